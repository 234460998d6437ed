package session_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
)

// R18: Hangup before a provisional, then Shutdown: the CANCEL that waits for the 100 is never sent.
func TestReviewCancelThenShutdown(t *testing.T) {
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
		time.Sleep(60 * time.Millisecond)
		if err := call.Hangup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := alice.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Log(err)
		case <-time.After(10 * time.Minute):
			t.Error("bob's phone rings on for 10 minutes")
		}
	})
}

// R19: a Config that makes no sense is accepted.
func TestReviewBadConfig(t *testing.T) {
	if ep, err := session.Listen(t.Context(), &session.Config{Listen: []string{"udp://127.0.0.1:0"}, Servers: []ice.Server{{URL: "foo"}}}); err == nil {
		_ = ep.Close()
		t.Error("Servers: foo was accepted")
	}
	ep, err := session.Listen(t.Context(), &session.Config{Listen: []string{"udp://127.0.0.1:0"}, Format: media.Format{Rate: 44100, Channels: 1}})
	if err != nil {
		return
	}
	defer ep.Close()
	t.Error("Format of 44,100 Hz was accepted")
	defer func() { t.Log("and the first call panics: ", recover()) }()
	_, err = ep.Start(t.Context(), "sip:x@127.0.0.1:9", nil)
	t.Log(err)
}

// R20: events seen by a subscriber of a plain early-media call: PathReady twice.
func TestReviewDoublePath(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(488, "", "", nil)
			if in = phone.next(); in == nil {
				return
			}
			_ = in.Respond(183, "", "application/sdp", phone.sdp())
			time.Sleep(time.Second)
			_ = in.Respond(200, "", "application/sdp", phone.sdp())
		}()
		call, err := alice.Start(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		go func() { time.Sleep(3 * time.Second); _ = call.Hangup(context.Background()) }()
		n := 0
		for ev := range call.Events(w.Context()) {
			if _, ok := ev.(session.PathReady); ok {
				n++
			}
			t.Logf("%T", ev)
		}
		if n != 1 {
			w.Errorf("PathReady %d times", n)
		}
	})
}

// R21: stress of ends under -race.
func TestReviewStress(t *testing.T) {
	n := sessiontest.New(t, 1)
	bob := n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
		_ = in.Ring(ctx)
		c, err := in.Answer(ctx)
		if err == nil {
			go c.Stats()
			_ = c.Security()
			_ = c.Remote()
			_ = c.Wait(ctx)
		}
	})})
	alice := n.Listen("alice", nil)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*2*time.Millisecond)
			defer cancel()
			c, err := alice.Dial(ctx, "sip:bob@bob.example", nil)
			if err == nil {
				for range 3 {
					wg.Go(func() { _ = c.Hangup(context.Background()) })
					_ = c.Remote()
					_ = c.Stats()
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	wg.Go(func() { _ = bob.Close() })
	wg.Go(func() { _ = alice.Shutdown(context.Background()) })
	wg.Wait()
}
