package session_test

import (
	"testing"
	"time"

	"github.com/peercall/peercall/session"
)

// established is an answered call between alice and bob, at home behind NATs.
func (w *world) established(change ...func(*session.Config)) (alice, bob *session.Call) {
	w.Helper()
	calls := make(chan *session.Call, 1)
	b := w.person("bob", answering(calls), change...)
	a := w.person("alice", nil, change...)
	w.registered(a, b)
	call, err := a.Dial(w.Context(), "sip:bob@example.org", nil)
	if err != nil {
		w.Fatal(err)
	}
	return call, <-calls
}

// TestRFC3264Section84HoldAndResume: either side holds; the held side hears
// nothing, the holding side neither; encryption stays; resuming brings both back.
func TestRFC3264Section84HoldAndResume(t *testing.T) {
	for _, who := range []string{"alice", "bob"} {
		t.Run(who+" holds", func(t *testing.T) {
			inWorld(t, func(w *world) {
				alice, bob := w.established()
				talk(w.T, alice, bob)
				holder, other := alice, bob
				if who == "bob" {
					holder, other = bob, alice
				}
				before := other.Security()
				if err := holder.Hold(w.Context()); err != nil {
					w.Fatalf("hold: %v", err)
				}
				go holder.Audio().WritePCM(tone(400, time.Second))
				go other.Audio().WritePCM(tone(1000, time.Second))
				heard := make(chan float64, 1)
				go func() { heard <- hears(w.T, holder, 1000, 2*time.Second) }()
				if share := hears(w.T, other, 400, 2*time.Second); share != 0 {
					w.Errorf("the held side hears the holder: %.2f of the energy", share)
				}
				if share := <-heard; share != 0 {
					w.Errorf("the holder hears the held side: %.2f of the energy", share)
				}
				time.Sleep(5 * time.Minute) // virtual: a long hold is no media time-out
				if err := holder.Resume(w.Context()); err != nil {
					w.Fatalf("resume: %v", err)
				}
				alice.Audio().Discard()
				bob.Audio().Discard()
				talk(w.T, alice, bob)
				if after := other.Security(); after != before {
					w.Errorf("protected by %+v after the hold, %+v before", after, before)
				}
			})
		})
	}
}

// TestRFC3261Section14Glare: both sides hold at the same moment. Both re-INVITEs
// are refused with 491, tried again after different times, and both succeed.
func TestRFC3261Section14Glare(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		errs := make(chan error, 2)
		for _, c := range []*session.Call{alice, bob} {
			go func() { errs <- c.Hold(w.Context()) }()
		}
		for range 2 {
			if err := <-errs; err != nil {
				w.Errorf("hold: %v", err)
			}
		}
		for _, c := range []*session.Call{alice, bob} {
			if err := c.Resume(w.Context()); err != nil {
				w.Errorf("resume: %v", err)
			}
		}
		alice.Audio().Discard()
		bob.Audio().Discard()
		talk(w.T, alice, bob)
	})
}

func TestHoldNeedsAnAnsweredCall(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		if err := alice.Hangup(w.Context()); err != nil {
			w.Fatal(err)
		}
		if err := alice.Hold(w.Context()); err == nil {
			w.Error("a call that ended could be held")
		}
	})
}
