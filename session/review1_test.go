package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
)

// F1: SendDTMF after the end never returns (busy loop).
func TestReviewSendDTMFAfterEnd(t *testing.T) {
	p := sessiontest.Pair(t)
	_ = p.AliceCall.Hangup(t.Context())
	<-waitDone(p.AliceCall)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- p.AliceCall.SendDTMF(ctx, "1") }()
	select {
	case err := <-done:
		t.Log(err)
	case <-time.After(3 * time.Second):
		t.Error("SendDTMF on an ended call spins for 3 s and more")
	}
}

func waitDone(c *session.Call) chan struct{} {
	ch := make(chan struct{})
	go func() { _ = c.Wait(context.Background()); time.Sleep(200 * time.Millisecond); close(ch) }()
	return ch
}

// F: Endpoint.Close: handler ctx cause, and BYE to the peer
func TestReviewCloseSendsBye(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			p := sessiontest.Pair(t)
			_ = p.Alice.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := p.BobCall.Wait(ctx); err != nil {
				t.Errorf("bob: %v", err)
			} else if e, ok := errors.AsType[*session.EndError](p.BobCall.Err()); ok {
				t.Log(e, e.Reason)
			}
			e, _ := errors.AsType[*session.EndError](p.AliceCall.Err())
			if e == nil || e.Cause != session.ShutDown {
				t.Errorf("alice: %v", p.AliceCall.Err())
			}
		})
	}
}

func TestReviewHandlerCauseOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		cause := make(chan error, 1)
		bob := n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			_ = in.Ring(ctx)
			<-ctx.Done()
			cause <- context.Cause(ctx)
		})})
		alice := n.Listen("alice", nil)
		res := make(chan error, 1)
		go func() {
			_, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
			res <- err
		}()
		time.Sleep(3 * time.Second)
		_ = bob.Close()
		err := <-cause
		e, ok := errors.AsType[*session.EndError](err)
		if !ok || e.Cause != session.ShutDown {
			t.Errorf("handler's cause: %T %v, want *EndError ShutDown", err, err)
		}
		select {
		case err := <-res:
			t.Log("alice:", err)
		case <-time.After(5 * time.Second):
			t.Error("alice rings on after bob's endpoint was closed")
			_ = alice.Close()
			<-res
		}
	})
}

// Close during connect: cause must be ShutDown, not NoMedia.
func TestReviewCloseDuringConnect(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, 11 * time.Millisecond, 50 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			n := sessiontest.New(t, 1)
			n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
				_, _ = in.Answer(ctx)
				<-ctx.Done()
			})})
			alice := n.Listen("alice", nil)
			n.SetLink("alice", sessiontest.Link{Delay: 10 * time.Millisecond})
			call, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			_ = alice.Close()
			e, _ := errors.AsType[*session.EndError](call.Err())
			if e == nil || e.Cause != session.ShutDown {
				t.Errorf("%v: %v", d, call.Err())
			}
		})
	}
}

// Everything returns: gather cancelled.
func TestReviewDialCancelStages(t *testing.T) {
	for _, d := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 21 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond} {
		inWorld(t, func(w *world) {
			bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
				time.Sleep(time.Second)
				_ = in.Ring(ctx)
				time.Sleep(time.Second)
				_, _ = in.Answer(ctx)
				<-ctx.Done()
			})
			alice := w.person("alice", nil)
			w.registered(alice, bob)
			ctx, cancel := context.WithTimeout(w.Context(), d)
			defer cancel()
			call, err := alice.Dial(ctx, "sip:bob@example.org", nil)
			if err == nil {
				_ = call.Hangup(w.Context())
			} else if !errors.Is(err, context.DeadlineExceeded) {
				w.Errorf("%v: %v", d, err)
			}
			time.Sleep(40 * time.Second)
			synctest.Wait()
			if n := alice.Stats(); n.Calls != 0 || n.SIP.Dialogs != 0 {
				w.Errorf("%v: alice has %+v", d, n)
			}
			if n := bob.Stats(); n.Calls != 0 || n.SIP.Dialogs != 0 {
				w.Errorf("%v: bob has %+v", d, n)
			}
		})
	}
}
