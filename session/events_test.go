package session

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
)

// take collects what a subscription has now.
func take(ctx context.Context, h *hub, n int) (got []Event) {
	if n == 0 {
		return nil
	}
	for ev := range h.events(ctx) {
		if got = append(got, ev); len(got) == n {
			break
		}
	}
	return got
}

func TestEventsReplayTheState(t *testing.T) {
	var h hub
	h.publish(Ringing{Code: 180})
	h.publish(Ringing{Code: 183})
	h.publish(DTMF{Digit: '1'}) // nobody listens: not state, gone
	h.publish(Answered{})
	got := take(t.Context(), &h, 2)
	if got[0] != (Ringing{Code: 183}) || got[1] != (Answered{}) {
		t.Errorf("replayed %v, want the newest of each state in order", got)
	}
	h.publish(Ended{Err: &EndError{Cause: HungUp}})
	var last Event
	for ev := range h.events(t.Context()) {
		last = ev
	}
	if _, ok := last.(Ended); !ok {
		t.Errorf("a subscription after the end closed with %v, want Ended", last)
	}
}

func TestEventsMergeAndCount(t *testing.T) {
	var h hub
	events := h.events(t.Context())
	for range maxDTMF + 44 {
		h.publish(DTMF{Digit: '7'})
	}
	h.publish(Ringing{Code: 180})
	h.publish(Ringing{Code: 181})
	keys, ringing := 0, 0
	for ev := range events {
		switch ev := ev.(type) {
		case DTMF:
			keys++
			if ev.Digit == '8' {
				if ev.Dropped != 44 {
					t.Errorf("the next key says that %d were dropped, want 44", ev.Dropped)
				}
				if keys != maxDTMF+1 || ringing != 1 {
					t.Errorf("%d keys and %d ringing states kept, want %d and 1", keys, ringing, maxDTMF+1)
				}
				return
			}
		case Ringing:
			ringing++
			if ev.Code != 181 {
				t.Errorf("got the state %d, want only the newest", ev.Code)
			}
			h.publish(DTMF{Digit: '8'})
		}
	}
}

func TestEventsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hub
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int)
		go func() {
			n := 0
			for range h.events(ctx) {
				n++
			}
			done <- n
		}()
		synctest.Wait()
		h.publish(Answered{})
		synctest.Wait()
		cancel()
		if n := <-done; n != 1 {
			t.Errorf("%d events before the context ended, want 1", n)
		}
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.subs) != 0 {
			t.Errorf("%d subscriptions are left", len(h.subs))
		}
	})
}

// A subscription that was opened and never ranged over goes with its context.
func TestEventsUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hub
		ctx, cancel := context.WithCancel(t.Context())
		h.events(ctx)
		cancel()
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.subs) != 0 {
			t.Errorf("%d subscriptions are left", len(h.subs))
		}
	})
}

func TestMailbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMailbox()
		var got []int
		for i := range 3 {
			m.post(func(context.Context) { got = append(got, i) })
		}
		done := make(chan struct{})
		go func() { m.run(t.Context()); close(done) }()
		synctest.Wait()
		m.post(func(context.Context) {
			got = append(got, 3)
			m.post(func(context.Context) { got = append(got, 4) })
			m.close()
		})
		<-done
		if len(got) != 5 || got[3] != 3 || got[4] != 4 {
			t.Errorf("ran %v, want 0 to 4 in order", got)
		}
		if m.post(func(context.Context) {}) {
			t.Error("a closed mailbox took a post")
		}
	})
}

func TestHostileMailboxFlood(t *testing.T) {
	m := newMailbox()
	n := 0
	for range 2 * maxPosted {
		if m.offer(func(context.Context) {}) {
			n++
		}
	}
	if n != maxPosted {
		t.Errorf("the network could queue %d, want %d", n, maxPosted)
	}
	if !m.post(func(context.Context) {}) {
		t.Error("a full queue keeps the application out")
	}
}

func TestEndError(t *testing.T) {
	for _, c := range []struct {
		e    *EndError
		want string
	}{
		{&EndError{Cause: HungUp}, "session: call ended: we hung up"},
		{&EndError{Cause: RemoteHungUp, Reason: "Q.850;cause=16"}, "session: call ended: the peer hung up (Q.850;cause=16)"},
		{&EndError{Cause: NoMedia, Err: io.ErrUnexpectedEOF}, "session: call ended: no media path: unexpected EOF"},
		{&EndError{}, "session: call ended: cause 0"},
	} {
		if got := c.e.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if !errors.Is(c.e, net.ErrClosed) || c.e.Err != nil && !errors.Is(c.e, c.e.Err) {
			t.Errorf("%v does not unwrap to its cause and to net.ErrClosed", c.e)
		}
	}
	if e := (&EndError{Cause: MediaTimeout}); e.reason() != `SIP;cause=408;text="media timeout"` {
		t.Errorf("Reason header field %q", e.reason())
	}
}
