package session

import (
	"context"
	"math"
	"sync"
)

// maxPosted bounds what the network can queue at one call.
const maxPosted = 1024

// mailbox is the queue in front of a call's goroutine. Posting never blocks. The
// zero value is not ready: use newMailbox. Safe for concurrent use.
type mailbox struct {
	mu     sync.Mutex
	queue  []func(context.Context)
	closed bool
	wake   chan struct{}
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post queues f for the call's goroutine. It reports false, and f never runs, when
// the call is over.
func (m *mailbox) post(f func(context.Context)) bool { return m.add(f, math.MaxInt) }

// offer is post for what the network sends: it is refused when much is queued.
func (m *mailbox) offer(f func(context.Context)) bool { return m.add(f, maxPosted) }

func (m *mailbox) add(f func(context.Context), limit int) bool {
	m.mu.Lock()
	if m.closed || len(m.queue) >= limit {
		m.mu.Unlock()
		return false
	}
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// run calls what is posted, in order and with ctx, until close was called and the queue is empty.
func (m *mailbox) run(ctx context.Context) {
	for {
		m.mu.Lock()
		queue, closed := m.queue, m.closed
		m.queue = nil
		m.mu.Unlock()
		for _, f := range queue {
			f(ctx)
		}
		if len(queue) > 0 {
			continue
		}
		if closed {
			return
		}
		<-m.wake
	}
}

// close takes no more posts and lets run return.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
