package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

// wantEnd checks how a call ended.
func wantEnd(t *testing.T, who string, call *session.Call, cause session.Cause) {
	t.Helper()
	e, ok := errors.AsType[*session.EndError](call.Err())
	if !ok || e.Cause != cause {
		t.Errorf("%s: the call ended with %v, want the cause %q", who, call.Err(), cause)
	}
}

// wantStatus checks that an error is a SIP refusal.
func wantStatus(t *testing.T, err error, code int) {
	t.Helper()
	se, ok := errors.AsType[*sip.StatusError](err)
	if !ok || se.Code != code {
		t.Errorf("got the error %v, want status %d", err, code)
	}
}

func TestNormalCall(t *testing.T) {
	for _, c := range []struct {
		name, transport string
		nat             netsim.NATKind
		relayed         bool
	}{
		{"UDP, port-restricted NATs", "udp", netsim.PortRestricted, false},
		{"TCP, port-restricted NATs", "tcp", netsim.PortRestricted, false},
		{"UDP, full cones", "udp", netsim.FullCone, false},
		{"UDP, symmetric NATs: through the relay", "udp", netsim.Symmetric, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorldOver(t, c.transport, c.nat, func(w *world) {
				call, bobs := w.established()
				talk(w.T, call, bobs)
				if s := call.Security(); s.Profile != "DTLS-SRTP" || s.Suite != "AEAD_AES_128_GCM" || s.RemoteFingerprint != bobs.Security().LocalFingerprint {
					w.Errorf("protected by %+v, want DTLS-SRTP with AES-GCM and bob's fingerprint", s)
				}
				relayed := false
				for ev := range call.Events(w.Context()) {
					if p, ok := ev.(session.PathReady); ok {
						relayed = p.Relayed
						break
					}
				}
				if relayed != c.relayed {
					w.Errorf("relayed: %v, want %v", relayed, c.relayed)
				}
				if err := call.Hangup(w.Context()); err != nil {
					w.Errorf("hang up: %v", err)
				}
				if err := bobs.Wait(w.Context()); err != nil {
					w.Errorf("bob: %v", err)
				}
				wantEnd(w.T, "alice", call, session.HungUp)
				wantEnd(w.T, "bob", bobs, session.RemoteHungUp)
				if s := call.Stats().Stream; s.Lost != 0 || s.PacketsReceived < 100 {
					w.Errorf("%d packets received and %d lost on a perfect network, want over 100 and 0", s.PacketsReceived, s.Lost)
				}
			})
		})
	}
}

func TestBusy(t *testing.T) {
	inWorld(t, func(w *world) {
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			if err := in.Reject(ctx, 486); err != nil {
				w.Errorf("reject: %v", err)
			}
		})
		alice := w.person("alice", nil)
		w.registered(alice, bob)
		_, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		wantStatus(w.T, err, 486)
	})
}

func TestNoAnswerThenCancel(t *testing.T) {
	inWorld(t, func(w *world) {
		cause := make(chan error, 1)
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			if err := in.Ring(ctx); err != nil {
				w.Errorf("ring: %v", err)
			}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			if _, err := in.Answer(context.Background()); err == nil {
				w.Error("a cancelled call could be answered")
			}
		})
		alice := w.person("alice", nil)
		w.registered(alice, bob)
		ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
		defer cancel()
		_, err := alice.Dial(ctx, "sip:bob@example.org", nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("Dial: %v, want the context's end", err)
		}
		e, ok := errors.AsType[*session.EndError](<-cause)
		if !ok || e.Cause != session.Cancelled || !e.ByRemote {
			w.Errorf("the handler's context ended with %v, want cancelled by the peer", e)
		}
	})
}

// TestRFC3261Section9CancelCrosses200: the CANCEL and the 200 pass each other on
// the way. The caller acknowledges and hangs up; nobody stays in a call alone.
func TestRFC3261Section9CancelCrosses200(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			if err := in.Ring(ctx); err != nil {
				w.Errorf("ring: %v", err)
			}
			time.Sleep(time.Second) // virtual
			call, err := in.Answer(ctx)
			if err != nil {
				w.Errorf("answer: %v, want that the CANCEL comes too late", err)
				return
			}
			calls <- call
			<-ctx.Done()
		})
		alice := w.person("alice", nil)
		w.registered(alice, bob)
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		call, err := alice.Start(ctx, "sip:bob@example.org", nil)
		if err != nil {
			w.Fatal(err)
		}
		for ev := range call.Events(w.Context()) {
			if r, ok := ev.(session.Ringing); ok && r.Code == 180 {
				break
			}
		}
		// The 180 took 20 ms. The 200 leaves 980 ms from now and arrives in 1,000 ms.
		time.AfterFunc(990*time.Millisecond, cancel)
		if err := call.Wait(w.Context()); err == nil {
			w.Error("the cancelled call ended without an error")
		}
		wantEnd(w.T, "alice", call, session.Cancelled)
		bobs := <-calls
		began := time.Now()
		if err := bobs.Wait(w.Context()); err != nil {
			w.Errorf("bob: %v, want an ordinary hang-up", err)
		}
		wantEnd(w.T, "bob", bobs, session.RemoteHungUp)
		if d := time.Since(began); d > time.Second {
			w.Errorf("bob was alone in the call for %v", d)
		}
	})
}

func TestBothHangUpAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		call, bobs := w.established()
		talk(w.T, call, bobs)
		errs := make(chan error, 2)
		for _, c := range []*session.Call{call, bobs} {
			go func() { errs <- c.Hangup(w.Context()) }()
		}
		for range 2 {
			if err := <-errs; err != nil {
				w.Errorf("hang up: %v", err)
			}
		}
		for _, c := range []*session.Call{call, bobs} {
			if err := c.Wait(w.Context()); err != nil {
				w.Errorf("wait: %v", err)
			}
		}
	})
}

func TestWrongPassword(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.person("alice", nil, func(c *session.Config) { c.Password = "wrong" })
		err := alice.Registered(w.Context())
		se, ok := errors.AsType[*sip.StatusError](err)
		if !ok || se.Code != 401 && se.Code != 403 {
			w.Errorf("registered: %v, want the registrar's refusal", err)
		}
		_, err = alice.Dial(w.Context(), "sip:bob@example.org", nil)
		se, ok = errors.AsType[*sip.StatusError](err)
		if !ok || se.Code != 407 && se.Code != 403 {
			w.Errorf("dial: %v, want the proxy's refusal", err)
		}
	})
}

func TestUnknownUser(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.person("alice", nil)
		w.registered(alice)
		_, err := alice.Dial(w.Context(), "sip:nobody@example.org", nil)
		wantStatus(w.T, err, 404)
		_, err = alice.Dial(w.Context(), "sip:carol@example.org", nil) // known, not registered
		wantStatus(w.T, err, 480)
	})
}

// TestTwoCallsAtOnce: each caller hears the tone that bob plays to her, and not
// that for the other; the end of one call is not that of the other.
func TestTwoCallsAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 2)
		bob := w.person("bob", answering(calls))
		people := map[string]*session.Endpoint{"alice": w.person("alice", nil), "carol": w.person("carol", nil)}
		w.registered(bob, people["alice"], people["carol"])
		type dialled struct {
			who  string
			call *session.Call
			err  error
		}
		got := make(chan dialled, 2)
		for who, ep := range people {
			go func() {
				c, err := ep.Dial(w.Context(), "sip:bob@example.org", nil)
				got <- dialled{who, c, err}
			}()
		}
		callers := map[string]*session.Call{}
		tones := map[string]float64{"alice": 400, "carol": 1000}
		for range 2 {
			d := <-got
			if d.err != nil {
				w.Fatal(d.err)
			}
			callers[d.who] = d.call
			bobs := <-calls
			f, ok := tones[strings.TrimSuffix(strings.TrimPrefix(bobs.Remote(), "sip:"), "@example.org")]
			if !ok {
				w.Fatalf("bob's call is with %q", bobs.Remote())
			}
			go bobs.Audio().WritePCM(tone(f, 2*time.Second))
		}
		type heard struct {
			who    string
			shares []float64 // of 400 and 1000 Hz
		}
		all := make(chan heard, 2)
		for who, c := range callers {
			go func() { all <- heard{who, listen(w.T, c.Audio(), 3*time.Second, 400, 1000)} }()
		}
		for range 2 {
			h := <-all
			own, other := h.shares[0], h.shares[1]
			if h.who == "carol" {
				own, other = other, own
			}
			if own < 0.9 || other > 0.1 {
				w.Errorf("%s hears her own tone with %.2f and the other's with %.2f of the energy, want 0.9 and 0", h.who, own, other)
			}
		}
		if n := bob.Stats().Calls; n != 2 {
			w.Errorf("bob counts %d calls, want 2", n)
		}
		if err := callers["alice"].Hangup(w.Context()); err != nil {
			w.Errorf("hang up: %v", err)
		}
		synctest.Wait()
		if err := callers["carol"].Err(); err != nil {
			w.Errorf("the end of one call ended the other: %v", err)
		}
	})
}

func TestSignallingLoss(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		bob := w.person("bob", answering(calls))
		alice := w.person("alice", nil)
		w.loseSIP(0.15)
		w.registered(alice, bob)
		for i := range 20 {
			call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
			if err != nil {
				w.Fatalf("call %d: %v", i, err)
			}
			bobs := <-calls
			ctx, cancel := context.WithTimeout(w.Context(), 33*time.Second)
			if err := call.Hangup(ctx); err != nil {
				w.Errorf("call %d: hang up: %v", i, err)
			}
			if err := bobs.Wait(ctx); err != nil {
				w.Errorf("call %d: bob: %v", i, err)
			}
			cancel()
		}
		if n := w.lost(); n < 20 {
			w.Errorf("only %d messages were lost: the test shows nothing", n)
		}
	})
}

// TestPeerVanishes: bob's machine loses its power. Nothing tells alice but silence.
func TestPeerVanishes(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		bob := w.person("bob", answering(calls))
		alice := w.person("alice", nil, func(c *session.Config) { c.MediaTimeout = 12 * time.Second })
		w.registered(alice, bob)
		call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		if err != nil {
			w.Fatal(err)
		}
		talk(w.T, call, <-calls)
		w.hosts["bob"].Crash(true)
		began := time.Now()
		if err := call.Wait(w.Context()); err == nil {
			w.Error("the call ended as if somebody had hung up")
		}
		wantEnd(w.T, "alice", call, session.MediaTimeout)
		if d := time.Since(began); d < 11*time.Second || d > 14*time.Second {
			w.Errorf("the call ended after %v, want 12 s and a look a second", d)
		}
	})
}

// TestNothingBeforeAnswer: while bob's phone rings, not one packet with sound or
// keys leaves his machine; afterwards they do.
func TestNothingBeforeAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		answer := make(chan struct{})
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			if err := in.Ring(ctx); err != nil {
				w.Errorf("ring: %v", err)
			}
			<-answer
			call, err := in.Answer(ctx)
			if err != nil {
				w.Errorf("answer: %v", err)
				return
			}
			go call.Audio().WritePCM(tone(400, time.Second))
			calls <- call
			<-ctx.Done()
		})
		alice := w.person("alice", nil)
		w.registered(alice, bob)
		home := w.homes["bob"].Public()
		media := func(p netsim.Packet) bool {
			return p.Src.Addr() == home && p.What == netsim.Sent && len(p.Payload) > 0 &&
				(p.Payload[0] >= 20 && p.Payload[0] <= 63 && p.Payload[0] != 'A' || p.Payload[0] >= 128 && p.Payload[0] <= 191)
		}
		w.watch()
		call, err := alice.Start(w.Context(), "sip:bob@example.org", nil)
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(10 * time.Second) // virtual
		if n := w.seen(media); n != 0 {
			w.Errorf("%d packets with media or keys left bob before he answered", n)
		}
		close(answer)
		if err := call.Answered(w.Context()); err != nil {
			w.Fatal(err)
		}
		<-calls
		if share := hears(w.T, call, 400, 3*time.Second); share < 0.9 {
			w.Errorf("after the answer alice heard bob's tone with %.2f of the energy, want 0.9", share)
		}
		if n := w.seen(media); n < 40 {
			w.Errorf("%d packets of media were seen after the answer: the test looks in the wrong place", n)
		}
	})
}

func TestDTMF(t *testing.T) {
	inWorld(t, func(w *world) {
		call, bobs := w.established()
		for _, c := range []struct {
			who      string
			from, to *session.Call
			keys     string
		}{{"alice", call, bobs, "12#"}, {"bob", bobs, call, "*0D"}} {
			events := c.to.Events(w.Context()) // from now on
			if err := c.from.SendDTMF(w.Context(), c.keys); err != nil {
				w.Fatalf("%s: %v", c.who, err)
			}
			var got []byte
			for ev := range events {
				d, ok := ev.(session.DTMF)
				if !ok {
					continue
				}
				if d.Duration < 40*time.Millisecond || d.Duration > 200*time.Millisecond {
					w.Errorf("%s: key %c for %v, want about 100 ms", c.who, d.Digit, d.Duration)
				}
				if got = append(got, d.Digit); len(got) == len(c.keys) {
					break
				}
			}
			if string(got) != c.keys {
				w.Errorf("%s pressed %q, the peer got %q", c.who, c.keys, got)
			}
		}
	})
}
