package session_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

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
				time.Sleep(time.Minute) // virtual: a long hold is no media time-out
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

// TestRFC6141RefusedHold: what the peer says to a re-INVITE of ours, and what
// becomes of the call: a refusal and silence leave it as it was, a dialog that is
// gone ends it.
func TestRFC6141RefusedHold(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(p *phone, in *sip.IncomingInvite)
		status int // of the error; 0: a time-out
		cause  session.Cause
	}{
		{"488", func(_ *phone, in *sip.IncomingInvite) { _ = in.Respond(488, "", "", nil) }, 488, 0},
		{"603", func(_ *phone, in *sip.IncomingInvite) { _ = in.Respond(603, "", "", nil) }, 603, 0},
		{"491 and again", func(_ *phone, in *sip.IncomingInvite) { _ = in.Respond(491, "", "", nil) }, 491, 0},
		{"481", func(_ *phone, in *sip.IncomingInvite) { _ = in.Respond(481, "", "", nil) }, 481, session.SignallingLost},
		{"silence", func(*phone, *sip.IncomingInvite) {}, 0, 0},
		{"an answer without audio", func(p *phone, in *sip.IncomingInvite) {
			_ = in.Respond(200, "", "application/sdp", edit(p.w.T, version(p.w.T, p.sdp(), 2), "m=audio 4000", "m=audio 0"))
		}, -1, session.NoMedia},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				phone, call, dialog, answer := w.plainCall()
				phone.talk(call, answer)
				asked := make(chan struct{}, 16)
				dialog.Handle(func(ev sip.DialogEvent) {
					if in, ok := ev.(sip.DialogInvite); ok {
						asked <- struct{}{}
						if !bytes.Contains(in.Request.Body(), []byte("a=sendonly")) {
							w.Errorf("the re-INVITE does not hold: %s", in.Request.Body())
						}
						c.answer(phone, in.IncomingInvite)
					}
				})
				ctx := w.Context()
				if c.name == "silence" {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
					defer cancel()
				}
				err := call.Hold(ctx)
				switch {
				case c.status > 0:
					wantStatus(w.T, err, c.status)
				case c.status == 0 && !errors.Is(err, context.DeadlineExceeded):
					w.Errorf("hold: %v, want the context's end", err)
				case err == nil:
					w.Error("the hold succeeded")
				}
				if n := len(asked); n != 1 && c.status != 491 || n == 0 || n > 6 {
					w.Errorf("asked %d times", n)
				}
				if c.cause != 0 {
					_ = call.Wait(w.Context())
					wantEnd(w.T, "alice", call, c.cause)
					return
				}
				if call.Err() != nil {
					w.Fatalf("the call ended: %v", call.Err())
				}
				call.Audio().Discard()
				phone.talk(call, answer)
			})
		})
	}
}

// TestRFC3261Section14NoAnswerToHold: the peer's signalling is dead, its media is
// not: the hold fails and the call goes on.
func TestRFC3261Section14NoAnswerToHold(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		w.loseSIP(1)
		began := time.Now()
		wantStatus(w.T, alice.Hold(w.Context()), 408) // the proxy's: bob is not reached
		if d := time.Since(began); d < 31*time.Second || d > 40*time.Second {
			w.Errorf("given up after %v, want 32 s", d)
		}
		if alice.Err() != nil {
			w.Fatalf("the call ended: %v", alice.Err())
		}
		w.loseSIP(0)
		alice.Audio().Discard()
		bob.Audio().Discard()
		talk(w.T, alice, bob)
		if err := alice.Hold(w.Context()); err != nil {
			w.Errorf("hold, with the signalling back: %v", err)
		}
	})
}

// TestHoldOneAtATime: a second change meanwhile is refused at once.
func TestHoldOneAtATime(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		first := make(chan error, 1)
		go func() { first <- alice.Hold(w.Context()) }()
		synctest.Wait()
		if err := alice.Resume(w.Context()); err == nil {
			w.Error("two changes at a time")
		}
		if err := <-first; err != nil {
			w.Errorf("hold: %v", err)
		}
		if err := alice.Resume(w.Context()); err != nil {
			w.Errorf("resume: %v", err)
		}
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

// TestHoldGivenUp: ctx ends while the peer is still asked, or between two tries:
// the re-INVITE is cancelled and the call can be changed again.
func TestHoldGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(in *sip.IncomingInvite)
	}{
		{"while asked", func(in *sip.IncomingInvite) { _ = in.Respond(100, "", "", nil) }},
		{"between two tries", func(in *sip.IncomingInvite) { _ = in.Respond(491, "", "", nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				alice, phone := w.publicAlice(nil), w.phone()
				dialogs := make(chan *sip.Dialog, 1)
				go func() {
					if in := phone.plain(); in != nil {
						_ = in.Respond(200, "", "application/sdp", phone.sdp())
						dialogs <- in.Dialog
					}
				}()
				call, err := alice.Dial(w.Context(), toPhone, allowPlain)
				if err != nil {
					w.Fatal(err)
				}
				n := 0
				(<-dialogs).Handle(func(ev sip.DialogEvent) {
					in, ok := ev.(sip.DialogInvite)
					if !ok {
						return
					}
					if n++; n == 1 {
						c.answer(in.IncomingInvite)
					} else {
						_ = in.Respond(200, "", "application/sdp", append(version(w.T, phone.sdp(), 2), "a=recvonly\r\n"...))
					}
				})
				time.Sleep(time.Second) // virtual: media flows
				ctx, cancel := context.WithTimeout(w.Context(), 2*time.Second)
				defer cancel()
				if err := call.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
					w.Errorf("hold: %v, want the context's end", err)
				}
				time.Sleep(time.Second)
				if err := call.Hold(w.Context()); err != nil {
					w.Errorf("a second hold: %v", err)
				}
				if n != 2 {
					w.Errorf("the phone was asked %d times, want 2", n)
				}
			})
		})
	}
}
