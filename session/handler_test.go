package session_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
	"github.com/peercall/peercall/sip"
)

const toBob = "sip:bob@bob.example"

// TestHandlerRefuses: what the caller gets when the handler does not answer.
func TestHandlerRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(context.Context, *session.Incoming)
		code int
	}{
		{"returns", func(context.Context, *session.Incoming) {}, 480},
		{"rings and returns", func(ctx context.Context, in *session.Incoming) { _ = in.Ring(ctx) }, 480},
		{"panics", func(context.Context, *session.Incoming) { panic("on purpose") }, 500},
		{"declines", func(ctx context.Context, in *session.Incoming) { _ = in.Reject(ctx, 603) }, 603},
		{"passes on a refusal", func(ctx context.Context, in *session.Incoming) {
			_ = in.RejectErr(ctx, &session.EndError{Cause: session.Refused, Err: &sip.StatusError{Code: 404}})
		}, 404},
		{"passes on another error", func(ctx context.Context, in *session.Incoming) { _ = in.RejectErr(ctx, io.ErrUnexpectedEOF) }, 480},
		{"passes on a status that refuses nothing", func(ctx context.Context, in *session.Incoming) {
			_ = in.RejectErr(ctx, &sip.StatusError{Code: 183})
		}, 480},
		{"rejects with a status that refuses nothing", func(ctx context.Context, in *session.Incoming) {
			for _, code := range []int{0, 180, 200, 700} {
				if err := in.Reject(ctx, code); err == nil {
					t.Errorf("Reject(%d) was taken", code)
				}
			}
			_ = in.Reject(ctx, 486)
		}, 486},
		{"rejects twice", func(ctx context.Context, in *session.Incoming) {
			_ = in.Reject(ctx, 486)
			if err := in.Reject(context.WithoutCancel(ctx), 603); err == nil {
				t.Error("a refused call could be refused again")
			}
			if _, err := in.Answer(context.WithoutCancel(ctx)); err == nil {
				t.Error("a refused call could be answered")
			}
			if err := in.Ring(context.WithoutCancel(ctx)); err == nil {
				t.Error("a refused call could ring")
			}
		}, 486},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := sessiontest.New(t, 1)
				bob := n.Listen("bob", &session.Config{Handler: session.HandlerFunc(c.f)})
				_, err := n.Listen("alice", nil).Dial(t.Context(), toBob, nil)
				wantStatus(t, err, c.code)
				synctest.Wait()
				if s := bob.Stats(); s.Calls != 0 || s.Incoming != 1 || s.Answered != 0 {
					t.Errorf("bob counts %+v, want one call that is over", s)
				}
			})
		})
	}
}

// TestHandlerEndsAfterAnswer: returning hangs up, a panic ends that call only.
func TestHandlerEndsAfterAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		panic bool
		cause session.Cause
	}{{"returns", false, session.HungUp}, {"panics", true, session.HandlerPanic}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := sessiontest.New(t, 1)
				calls := make(chan *session.Call, 1)
				n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
					call, err := in.Answer(ctx)
					if err != nil {
						t.Errorf("answer: %v", err)
					}
					if _, err := in.Answer(ctx); !errors.Is(err, session.ErrAnswered) {
						t.Errorf("a second Answer: %v, want ErrAnswered", err)
					}
					if err := in.Reject(ctx, 486); !errors.Is(err, session.ErrAnswered) {
						t.Errorf("Reject after Answer: %v, want ErrAnswered", err)
					}
					if err := in.Ring(ctx); !errors.Is(err, session.ErrAnswered) {
						t.Errorf("Ring after Answer: %v, want ErrAnswered", err)
					}
					calls <- call
					time.Sleep(time.Second) // virtual
					if c.panic {
						panic("on purpose")
					}
				})})
				alice := n.Listen("alice", nil)
				for range 2 { // the endpoint lives on
					call, err := alice.Dial(t.Context(), toBob, nil)
					if err != nil {
						t.Fatal(err)
					}
					if err := call.Wait(t.Context()); err != nil {
						t.Errorf("alice: %v, want an ordinary hang-up", err)
					}
					wantEnd(t, "alice", call, session.RemoteHungUp)
					bobs := <-calls
					if err := bobs.Wait(t.Context()); (err == nil) == c.panic {
						t.Errorf("bob's call ended with %v", err)
					}
					wantEnd(t, "bob", bobs, c.cause)
				}
			})
		})
	}
}

// TestHandlerWhenTheEndpointCloses: a phone that rings stops, the caller gets 503
// and the handler is told why.
func TestHandlerWhenTheEndpointCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		cause := make(chan error, 1)
		bob := n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			_ = in.Ring(ctx)
			<-ctx.Done()
			cause <- context.Cause(ctx)
		})})
		alice := n.Listen("alice", nil)
		time.AfterFunc(3*time.Second, func() { _ = bob.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := alice.Dial(ctx, toBob, nil)
		wantStatus(t, err, 503)
		if e, ok := errors.AsType[*session.EndError](<-cause); !ok || e.Cause != session.ShutDown {
			t.Errorf("the handler's context ended with %v, want the cause %q", e, session.ShutDown)
		}
	})
}

// TestNoHandler: an endpoint that only calls refuses with 480.
func TestNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		bob := n.Listen("bob", nil)
		_, err := n.Listen("alice", nil).Dial(t.Context(), toBob, nil)
		wantStatus(t, err, 480)
		if s := bob.Stats(); s.Refused != 1 || s.Incoming != 0 {
			t.Errorf("bob counts %+v, want one refused", s)
		}
	})
}

// TestMaxCalls: past the bound a caller gets 486, Dial an error, and a call that
// ends makes room.
func TestMaxCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		calls := make(chan *session.Call, 2)
		bob := n.Listen("bob", &session.Config{Handler: answering(calls), MaxCalls: 1})
		alice := n.Listen("alice", nil)
		first, err := alice.Dial(t.Context(), toBob, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-calls
		_, err = alice.Dial(t.Context(), toBob, nil)
		wantStatus(t, err, 486)
		if call, err := bob.Dial(t.Context(), "sip:alice@alice.example", nil); err == nil {
			t.Error("bob could make a second call")
			call.Close()
		}
		if s := bob.Stats(); s.Calls != 1 || s.Refused != 1 || s.Outgoing != 0 {
			t.Errorf("bob counts %+v, want one call and one refused", s)
		}
		if err := first.Hangup(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err = alice.Dial(t.Context(), toBob, nil); err != nil {
			t.Errorf("after the end of the first call: %v", err)
		}
	})
}

// TestIncomingSays: what the handler learns of a call before it answers.
func TestIncomingSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			for what, got := range map[string][2]string{
				"From":         {in.From(), "sip:alice@example.org"},
				"FromName":     {in.FromName(), ""},
				"To":           {in.To(), toBob},
				"Header":       {in.Header("X-Purpose"), "a test"},
				"absent field": {in.Header("X-Nothing"), ""},
				"Remote":       {in.Remote().String(), "198.51.100.2:5060"},
			} {
				if got[0] != got[1] {
					t.Errorf("%s is %q, want %q", what, got[0], got[1])
				}
			}
			_ = in.Reject(ctx, 486)
		})})
		alice := n.Listen("alice", nil)
		_, err := alice.Dial(t.Context(), toBob, &session.DialOptions{
			From: "sip:alice@example.org", Header: []sip.Header{sip.NewHeader("X-Purpose", "a test")},
		})
		wantStatus(t, err, 486)
	})
}

// TestDialErrors: what cannot be dialled is refused before anything is sent.
func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := sessiontest.New(t, 1).Listen("alice", nil)
		for _, c := range []struct {
			target string
			opts   *session.DialOptions
		}{
			{"bob", nil},
			{"sip:", nil},
			{"sips:bob@bob.example", nil},
			{toBob, &session.DialOptions{From: "alice"}},
			{toBob, &session.DialOptions{Security: 9}},
		} {
			if call, err := alice.Start(t.Context(), c.target, c.opts); err == nil {
				t.Errorf("%q with %+v was dialled", c.target, c.opts)
				call.Close()
			}
		}
		if s := alice.Stats(); s.Outgoing != 0 || s.SIP.Sent != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}
