package transport

import (
	"sync"
	"time"
)

// bucket bounds the answers given without state. Whoever forges a source makes us
// send them to somebody who did not ask, and a flood of bad requests is no reason to
// send a flood of answers. It is told the time; rate 0 or less is no limit.
type bucket struct {
	rate int // per second; twice as many at once

	mu     sync.Mutex // guards what follows
	tokens float64
	last   time.Time // zero: full
}

func (b *bucket) take(now time.Time) bool {
	if b.rate <= 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full := 2 * float64(b.rate)
	if b.last.IsZero() {
		b.tokens = full
	} else {
		b.tokens = min(full, b.tokens+float64(b.rate)*max(0, now.Sub(b.last).Seconds()))
	}
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// Reply sends an answer of which no state is kept: the peer asks again when it is
// lost, and over a datagram socket it is left out when there are too many of them
// (Limits.Replies).
func (t *Transport) Reply(f Flow, res []byte) {
	if !f.Reliable() && !t.replies.take(time.Now()) {
		t.count.unreplied.Add(1)
		return
	}
	if err := f.Write(res); err != nil {
		t.log("answer not sent", "remote", f.Remote(), "err", err)
	}
}
