package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

// TestHostileDowngrade: a peer that refuses encryption gets no call from an
// endpoint that did not allow plain RTP, and no second offer.
func TestHostileDowngrade(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone()
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(488, "", "", nil)
		}()
		_, err := alice.Dial(w.Context(), toPhone, nil)
		wantStatus(w.T, err, 488)
		select {
		case <-phone.in:
			w.Error("a second offer went out")
		case <-time.After(40 * time.Second):
		}
	})
}

// TestHostileAnswerWithoutEncryption: an answer that drops what was offered is
// acknowledged and ended by BYE with a Reason; no packet of sound goes out.
func TestHostileAnswerWithoutEncryption(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone()
		reason := make(chan string, 1)
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			in.Dialog.Handle(func(ev sip.DialogEvent) {
				if e, ok := ev.(sip.DialogEnded); ok {
					reason <- e.Reason
				}
			})
			_ = in.Respond(200, "", "application/sdp", phone.sdp())
		}()
		w.watch()
		call, err := alice.Dial(w.Context(), toPhone, nil)
		if err == nil {
			err = call.Wait(w.Context())
		}
		e, ok := errors.AsType[*session.EndError](err)
		if !ok || e.Cause != session.NoMedia {
			w.Errorf("got %v, want the cause %q", err, session.NoMedia)
		}
		if r := <-reason; !strings.Contains(r, "cause=488") {
			w.Errorf("the BYE's reason is %q, want one that says 488", r)
		}
		if n := w.seen(func(p netsim.Packet) bool { return len(p.Payload) > 0 && p.Payload[0] >= 128 && p.Payload[0] < 192 }); n != 0 {
			w.Errorf("%d packets of media were sent", n)
		}
	})
}

// TestHostileAnswerWithoutSDP: a 200 without a session description is no answer.
func TestHostileAnswerWithoutSDP(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone()
		go func() {
			if in := phone.next(); in != nil {
				_ = in.Respond(200, "", "", nil)
			}
		}()
		call, err := alice.Dial(w.Context(), toPhone, nil)
		if call != nil {
			w.Error("Dial succeeded")
			call.Close()
		}
		e, ok := errors.AsType[*session.EndError](err)
		if !ok || e.Cause != session.NoMedia {
			w.Errorf("got %v, want the cause %q", err, session.NoMedia)
		}
	})
}

// TestHostileStrangersSound: RTP from a host that the peer did not name is not heard.
func TestHostileStrangersSound(t *testing.T) {
	inWorld(t, func(w *world) {
		phone, call, _, answer := w.plainCall()
		go phone.elsewhere("203.0.113.99").play(mediaOf(w.T, answer), 1000, 100)
		go phone.play(mediaOf(w.T, answer), 400, 100)
		shares := listen(w.T, call.Audio(), 2*time.Second, 400, 1000)
		if shares[0] < 0.9 || shares[1] > 0.1 {
			w.Errorf("the phone is heard with %.2f and a stranger with %.2f of the energy, want 0.9 and 0", shares[0], shares[1])
		}
	})
}

// TestHostileStrangerAtTheDoor: an endpoint with a registrar drops a call that
// comes from elsewhere, says nothing, and counts it. With AcceptDirect it rings.
func TestHostileStrangerAtTheDoor(t *testing.T) {
	for _, direct := range []bool{false, true} {
		name := "calls from the registrar only"
		if direct {
			name = "calls from anywhere"
		}
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				called := make(chan struct{}, 1)
				bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
					called <- struct{}{}
					_ = in.Reject(ctx, 486)
				}, func(c *session.Config) {
					c.Network = w.host("public", "203.0.113.40", nil)
					c.Listen = []string{"udp://203.0.113.40:5060", "tcp://203.0.113.40:5060"}
					c.AcceptDirect = direct
				})
				w.registered(bob)
				phone := w.phone()
				before := bob.Stats().SIP
				err := phone.invite("sip:bob@203.0.113.40", "application/sdp", phone.secure(), nil).err
				if direct {
					wantStatus(w.T, err, 486)
					<-called
					return
				}
				if !errors.Is(err, sip.ErrTimeout) {
					w.Errorf("the stranger got %v, want silence", err)
				}
				if len(called) != 0 {
					w.Error("the handler was called")
				}
				if after := bob.Stats().SIP; after == before {
					w.Error("the dropped call was not counted")
				}
			})
		})
	}
}

// TestHostileFingerprintChanged: a re-INVITE with another certificate is refused,
// as no new DTLS association would be made, and so is one that drops encryption.
func TestHostileFingerprintChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.answeringAlice(session.AllowPlain)
		phone := w.softphone()
		offer := phone.text(phone.local, "actpass")
		dialog, answer := phone.calls(offer)
		if err := phone.take(answer); err != nil {
			w.Fatal(err)
		}
		call := <-calls
		print := strings.Join(attr(offer, "fingerprint"), "")
		_, err := reinvite(dialog, edit(w.T, version(w.T, offer, 2), "a=fingerprint:"+print, fingerprintOfNobody), nil)
		wantStatus(w.T, err, 488)
		_, err = reinvite(dialog, version(w.T, phone.sdp(), 3), nil)
		wantStatus(w.T, err, 488)
		if !call.Security().Encrypted() {
			w.Errorf("protected by %+v", call.Security())
		}
		phone.talk(call)
	})
}

// TestHostileLocalTrouble: when the callee has no address of its own to give, the
// call fails with 480. A 488 would make the caller offer plain RTP.
func TestHostileLocalTrouble(t *testing.T) {
	inWorld(t, func(w *world) {
		answered := make(chan error, 1)
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			_, err := in.Answer(ctx)
			answered <- err
			<-ctx.Done()
		}, func(c *session.Config) {
			c.RelayOnly = true
			for i := range c.Servers {
				c.Servers[i].Password = "wrong"
			}
			c.Security = session.AllowPlain
		})
		alice := w.person("alice", nil, func(c *session.Config) { c.Security = session.AllowPlain })
		w.registered(alice, bob)
		_, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		wantStatus(w.T, err, 480)
		if n := bob.Stats().Incoming; n != 1 {
			w.Errorf("bob got %d INVITEs, want 1: his trouble made alice offer plain RTP", n)
		}
		if err := <-answered; err == nil {
			w.Error("bob could answer without an address")
		}
	})
}

// TestHostileReasonPhrase: what a peer writes into its reason phrases reaches no
// terminal as an escape sequence: such a message is dropped.
func TestHostileReasonPhrase(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.publicAlice(nil)
		w.sipServer(func(r *rawRequest) {
			if r.method == "INVITE" {
				r.reply("180 \x1b[31mRed\x07", "t", nil)
				r.reply("486 \x1b[32mBusy", "t", nil)
				time.AfterFunc(100*time.Millisecond, func() { r.reply("486 Busy Here", "t", nil) })
			}
		})
		call, err := alice.Start(w.Context(), toPhone, nil)
		if err != nil {
			w.Fatal(err)
		}
		var texts []string
		for ev := range call.Events(w.Context()) {
			switch ev := ev.(type) {
			case session.Ringing:
				texts = append(texts, ev.Reason)
			case session.Ended:
				texts = append(texts, ev.Err.Error())
			}
		}
		if len(texts) == 0 || !strings.Contains(texts[len(texts)-1], "Busy Here") {
			w.Errorf("told %q, want the honest refusal", texts)
		}
		if strings.ContainsAny(strings.Join(texts, ""), "\x1b\x07") {
			w.Errorf("control characters in %q", texts)
		}
	})
}
