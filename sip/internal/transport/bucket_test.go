package transport

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

// Forged requests must not make us flood the address that they claim to come from.
func TestStatelessRepliesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:5060")
		defer a.Close()
		b := listen(t, bob, Limits{Replies: 10}, "udp://192.0.2.2:5060")
		defer b.Close()
		f := a.flow("udp", "192.0.2.2:5060")
		flood := func() {
			for range 100 {
				a.write(f, strings.Replace(options, "Max-Forwards: 70", "Max-Forwards: x", 1))
			}
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		flood()
		if s := b.Stats(); s.BadRequests != 100 || s.Sent != 20 || s.Unreplied != 80 {
			t.Errorf("stats %+v: want 20 answers to 100 bad requests", s)
		}
		time.Sleep(time.Second)
		flood()
		if s := b.Stats(); s.Sent != 30 {
			t.Errorf("stats %+v: want 10 more answers after a second", s)
		}
	})
}
