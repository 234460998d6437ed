package session_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
)

// TestMethodsAfterTheEnd: what a call that ended says to each method.
func TestMethodsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sessiontest.Pair(t)
		talk(t, p.AliceCall, p.BobCall)
		if err := p.AliceCall.Hangup(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(context.Context) error{
			"SendDTMF": func(ctx context.Context) error { return p.AliceCall.SendDTMF(ctx, "1") },
			"Hold":     p.AliceCall.Hold,
			"Resume":   p.AliceCall.Resume,
			"ReadPCM": func(context.Context) error {
				p.AliceCall.Audio().Discard()
				_, err := p.AliceCall.Audio().ReadPCM(make([]int16, 320))
				return err
			},
		} {
			if err := f(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v, want one that unwraps to net.ErrClosed", name, err)
			}
		}
		if err := p.AliceCall.Hangup(t.Context()); err != nil {
			t.Errorf("a second Hangup: %v", err)
		}
		if r := p.AliceCall.Remote(); !strings.Contains(r, "bob") {
			t.Errorf("Remote is %q, want bob", r)
		}
		if s := p.AliceCall.Stats().Stream; s.PacketsSent == 0 {
			t.Error("the figures are gone")
		}
	})
}

// closeBoth: alice's endpoint is closed in the middle of a call.
func closeBoth(t *testing.T) {
	p := sessiontest.Pair(t)
	if err := p.Alice.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.BobCall.Wait(ctx); err != nil {
		t.Errorf("bob: %v, want an ordinary hang-up", err)
	}
	wantEnd(t, "alice", p.AliceCall, session.ShutDown)
	wantEnd(t, "bob", p.BobCall, session.RemoteHungUp)
	if e, ok := errors.AsType[*session.EndError](p.BobCall.Err()); !ok || !strings.Contains(e.Reason, "cause=503") {
		t.Errorf("bob was told the reason %v, want one that says 503", p.BobCall.Err())
	}
}

func TestCloseSendsBYE(t *testing.T) { synctest.Test(t, closeBoth) }

// TestCloseSendsBYEInRealTime is the one test here that takes real time, as the
// race between BYE and closing does.
func TestCloseSendsBYEInRealTime(t *testing.T) {
	for range 5 {
		t.Run("", closeBoth)
	}
}

// TestCloseWhileConnecting: the cause is what the application did, however far
// the media had come.
func TestCloseWhileConnecting(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, 11 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := sessiontest.New(t, 1)
				n.Listen("bob", &session.Config{Handler: answering(make(chan *session.Call, 1))})
				alice := n.Listen("alice", nil)
				n.SetLink("alice", sessiontest.Link{Delay: 10 * time.Millisecond})
				call, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(d) // virtual
				if err := alice.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				wantEnd(t, "alice", call, session.ShutDown)
			})
		})
	}
}

// TestCancelAtEachStage: wherever in its set-up a call is cancelled, nothing of
// it is left on either side.
func TestCancelAtEachStage(t *testing.T) {
	for _, ms := range []int{0, 1, 5, 21, 40, 100, 500, 1500, 2500} {
		t.Run(fmt.Sprint(ms, " ms"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
					time.Sleep(time.Second) // virtual
					_ = in.Ring(ctx)
					time.Sleep(time.Second)
					_, _ = in.Answer(ctx)
					<-ctx.Done()
				})
				alice := w.person("alice", nil)
				w.registered(alice, bob)
				ctx, cancel := context.WithTimeout(w.Context(), time.Duration(ms)*time.Millisecond)
				defer cancel()
				call, err := alice.Dial(ctx, "sip:bob@example.org", nil)
				switch {
				case err == nil:
					if ms < 2000 {
						w.Error("answered before the handler did")
					}
					_ = call.Hangup(w.Context())
				case !errors.Is(err, context.DeadlineExceeded):
					w.Errorf("Dial: %v, want the context's end", err)
				}
				time.Sleep(40 * time.Second) // virtual: every transaction has ended
				synctest.Wait()
				for name, ep := range map[string]*session.Endpoint{"alice": alice, "bob": bob} {
					if s := ep.Stats(); s.Calls != 0 || s.SIP.Dialogs != 0 {
						w.Errorf("%s has %d calls and %d dialogs left", name, s.Calls, s.SIP.Dialogs)
					}
				}
			})
		})
	}
}

// TestPeerVanishesWhileConnecting: the peer answers and is never heard of again,
// or hangs up before media flows.
func TestPeerVanishesWhileConnecting(t *testing.T) {
	for _, c := range []struct {
		name  string
		extra []string
	}{
		{"DTLS without ICE", nil},
		{"ICE", []string{"a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=candidate:1 1 UDP 2130706431 " + phoneIP + " 4000 typ host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				calls := w.answeringAlice(0)
				phone := w.phone()
				began := time.Now()
				phone.calls(phone.secure(c.extra...))
				call := <-calls
				_ = call.Wait(w.Context())
				wantEnd(w.T, "silence", call, session.NoMedia)
				if d := time.Since(began); d > 31*time.Second {
					w.Errorf("the call ended after %v, want 30 s at most", d)
				}
				dialog, _ := phone.calls(phone.secure(c.extra...))
				call = <-calls
				time.Sleep(time.Second) // virtual
				if err := dialog.Bye(w.Context()); err != nil {
					w.Errorf("BYE: %v", err)
				}
				if err := call.Wait(w.Context()); err != nil {
					w.Errorf("an early BYE: %v", err)
				}
				wantEnd(w.T, "BYE", call, session.RemoteHungUp)
			})
		})
	}
}

// TestCloseFromWithin: an application may end anything from its handler and from
// its loop over events.
func TestCloseFromWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		var bob *session.Endpoint
		done := make(chan error, 1)
		bob = n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			call, err := in.Answer(ctx)
			if err != nil {
				done <- err
				return
			}
			done <- errors.Join(call.Close(), call.Hangup(context.WithoutCancel(ctx)), bob.Close())
		})})
		alice := n.Listen("alice", nil)
		call, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		ended := false
		for ev := range call.Events(t.Context()) {
			if _, ended = ev.(session.Ended); ended {
				if err := errors.Join(call.Hangup(t.Context()), alice.Close()); err != nil {
					t.Errorf("alice: %v", err)
				}
			}
		}
		if !ended {
			t.Error("the events did not end with Ended")
		}
		if err := <-done; err != nil {
			t.Errorf("bob: %v", err)
		}
	})
}

// TestEndsAllAtOnce: forty calls at every stage, hung up three times each while
// both endpoints go. The race detector and the bubble are the judges.
func TestEndsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		bob := n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			_ = in.Ring(ctx)
			if call, err := in.Answer(ctx); err == nil {
				go call.Stats()
				_ = call.Security()
				_ = call.Remote()
				_ = call.Wait(ctx)
			}
		})})
		alice := n.Listen("alice", nil)
		for _, who := range []string{"alice", "bob"} {
			n.SetLink(who, sessiontest.Link{Delay: 3 * time.Millisecond, Jitter: 2 * time.Millisecond})
		}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*2*time.Millisecond)
				defer cancel()
				call, err := alice.Dial(ctx, "sip:bob@bob.example", nil)
				if err != nil {
					return
				}
				for range 3 {
					wg.Go(func() { _ = call.Hangup(t.Context()) })
					_ = call.Remote()
					_ = call.Stats()
				}
			})
		}
		time.Sleep(50 * time.Millisecond) // virtual
		wg.Go(func() { _ = bob.Close() })
		wg.Go(func() { _ = alice.Shutdown(t.Context()) })
		wg.Wait()
		if a, b := alice.Stats(), bob.Stats(); a.Calls != 0 || b.Calls != 0 {
			t.Errorf("%d and %d calls are left", a.Calls, b.Calls)
		}
	})
}

// TestRFC3261Section9CancelWaitsForShutdown: a call hung up before its first
// provisional response is cancelled all the same when the endpoint shuts down.
func TestRFC3261Section9CancelWaitsForShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		ended := make(chan error, 1)
		n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			_ = in.Ring(ctx)
			<-ctx.Done()
			ended <- context.Cause(ctx)
		})})
		alice := n.Listen("alice", nil)
		n.SetLink("alice", sessiontest.Link{Delay: 50 * time.Millisecond})
		call, err := alice.Start(t.Context(), "sip:bob@bob.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond) // virtual: the INVITE has arrived, its 180 has not
		if err := call.Hangup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := alice.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		select {
		case err := <-ended:
			if e, ok := errors.AsType[*session.EndError](err); !ok || e.Cause != session.Cancelled {
				t.Errorf("bob's call ended with %v, want cancelled", err)
			}
		case <-time.After(10 * time.Minute):
			t.Error("bob's phone rings on for ten minutes")
		}
	})
}

// TestShutdown waits for the call that goes on, takes no new one, and leaves no
// binding at the registrar.
func TestShutdown(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		bob := w.person("bob", answering(calls))
		alice, carol := w.person("alice", nil), w.person("carol", nil)
		w.registered(alice, bob, carol)
		call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		if err != nil {
			w.Fatal(err)
		}
		bobs := <-calls
		time.AfterFunc(5*time.Second, func() { call.Close() })
		began := time.Now()
		down := make(chan error, 1)
		go func() { down <- bob.Shutdown(w.Context()) }()
		synctest.Wait()
		_, err = carol.Dial(w.Context(), "sip:bob@example.org", nil)
		wantStatus(w.T, err, 500) // what a proxy makes of bob's 503 (RFC 3261 section 16.7)
		if _, err := bob.Dial(w.Context(), "sip:alice@example.org", nil); !errors.Is(err, net.ErrClosed) {
			w.Errorf("a call from an endpoint that shuts down: %v, want one that unwraps to net.ErrClosed", err)
		}
		if err := <-down; err != nil {
			w.Errorf("shutdown: %v", err)
		}
		if d := time.Since(began); d < 5*time.Second || d > 6*time.Second {
			w.Errorf("shut down after %v, want after the call of 5 s", d)
		}
		wantEnd(w.T, "bob", bobs, session.RemoteHungUp)
		_, err = carol.Dial(w.Context(), "sip:bob@example.org", nil)
		wantStatus(w.T, err, 480) // no binding
		if err := errors.Join(bob.Shutdown(w.Context()), bob.Close()); err != nil {
			w.Errorf("once more: %v", err)
		}
	})
}

// TestShutdownBounded: when ctx ends first, what goes on is hung up and ctx's
// error is returned.
func TestShutdownBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sessiontest.Pair(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := p.Alice.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v, want the context's end", err)
		}
		if d := time.Since(began); d < 3*time.Second || d > 4*time.Second {
			t.Errorf("shut down after %v, want 3 s", d)
		}
		wantEnd(t, "alice", p.AliceCall, session.ShutDown)
		synctest.Wait()
		wantEnd(t, "bob", p.BobCall, session.RemoteHungUp)
	})
}

// TestHangupOfADeadPeer: ctx bounds the wait for the answer to the BYE only.
func TestHangupOfADeadPeer(t *testing.T) {
	inWorld(t, func(w *world) {
		_, call, _, _ := w.plainCall()
		time.Sleep(time.Second) // virtual: the ACK has come
		w.hosts["phone"].Crash(true)
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		if err := call.Hangup(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("hang up: %v, want the context's end", err)
		}
		wantEnd(w.T, "alice", call, session.HungUp)
	})
}

// TestRFC3261Section13314NoACK: an answer that is never acknowledged ends the call
// after 64*T1, with BYE.
func TestRFC3261Section13314NoACK(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) {
			cfg.Handler, cfg.Security, cfg.MediaTimeout = answering(calls), session.AllowPlain, -1
		})
		c, err := w.host("phone", phoneIP, nil).ListenPacket(w.Context(), "udp", phoneIP+":5060")
		if err != nil {
			w.Fatal(err)
		}
		defer c.Close()
		phone := &phone{w: w, ip: phoneIP}
		sdp := string(phone.sdp())
		_, err = c.WriteTo([]byte("INVITE "+toAlice+" SIP/2.0\r\nVia: SIP/2.0/UDP "+phoneIP+";branch=z9hG4bK1\r\nFrom: <"+toPhone+">;tag=1\r\nTo: <"+toAlice+
			">\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <"+toPhone+">\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: "+
			strconv.Itoa(len(sdp))+"\r\n\r\n"+sdp), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(aliceIP+":5060")))
		if err != nil {
			w.Fatal(err)
		}
		call := <-calls
		began := time.Now()
		if err := call.Wait(w.Context()); err == nil {
			w.Error("the call ended as if somebody had hung up")
		}
		wantEnd(w.T, "alice", call, session.SignallingLost)
		if d := time.Since(began); d < 29*time.Second || d > 33*time.Second {
			w.Errorf("ended after %v, want 32 s", d)
		}
	})
}

// TestHangupBeforeTheACKThenShutdown: a call hung up after its 200 and before the
// ACK. The BYE must wait for the ACK; Hangup and Shutdown wait for it, or the caller
// would be left alone in the call.
func TestHangupBeforeTheACKThenShutdown(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		alice := w.publicAlice(func(cfg *session.Config) { cfg.Handler, cfg.Security = answering(calls), session.AllowPlain })
		phone := w.phone()
		go phone.invite(toAlice, "application/sdp", phone.sdp(), nil)
		call := <-calls // the 200 is on its way
		began := time.Now()
		if err := call.Hangup(w.Context()); err != nil || time.Since(began) == 0 {
			w.Errorf("Hangup returned %v after %v, before the peer can have answered", err, time.Since(began))
		}
		if err := alice.Shutdown(w.Context()); err != nil {
			w.Errorf("shutdown: %v", err)
		}
		time.Sleep(time.Second) // virtual
		if n := phone.agent.Stats().Dialogs; n != 0 {
			w.Errorf("the phone has %d dialogs left, want none: it was told BYE", n)
		}
	})
}
