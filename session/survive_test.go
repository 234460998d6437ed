package session_test

import (
	"testing"
	"time"

	"github.com/peercall/peercall/session"
)

// TestServersDie: registrar and relay lose their power in the middle of a call.
// The call goes on; a hang-up that cannot be signalled ends it for the other side
// by silence.
func TestServersDie(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established(func(c *session.Config) { c.MediaTimeout = 15 * time.Second })
		talk(w.T, alice, bob)
		w.hosts["registrar"].Crash(true)
		w.hosts["relay"].Crash(true)
		time.Sleep(2 * time.Minute) // virtual
		talk(w.T, alice, bob)
		_ = alice.Close()
		if err := bob.Wait(w.Context()); err == nil {
			w.Error("bob's call ended as if he had heard of the hang-up")
		}
		wantEnd(w.T, "bob", bob, session.MediaTimeout)
	})
}
