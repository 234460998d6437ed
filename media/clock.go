package media

import (
	"runtime"
	"sync"
	"time"
)

const (
	period  = 20 * time.Millisecond // one tick of a stream
	slots   = 10                    // phases that streams are spread over, 2 ms apart
	slotGap = period / slots
)

// ticker is what a clock drives. tick is called every 20 ms from one goroutine
// at a time; missed is how many periods before this one had no tick, because the
// machine stalled.
type ticker interface {
	tick(now time.Time, missed int)
}

// Clock paces streams: one per endpoint. A stream ticks every 20 ms; streams are
// spread over the phases of that period, and over shards. A shard has a goroutine
// only while it has streams, and wakes only in slots that are used.
//
// After a stall (a busy or a suspended machine) a stream has one tick, which says
// how many it missed: a [Stream] makes up for half a second at most.
type Clock struct {
	mu     sync.Mutex
	shards []*shard
	next   int
	closed bool
	wg     sync.WaitGroup
}

// NewClock returns a clock with the given number of shards; 0 chooses by the
// number of processors.
func NewClock(shards int) *Clock {
	if shards <= 0 {
		shards = min((runtime.GOMAXPROCS(0)+1)/2, 8)
	}
	c := &Clock{shards: make([]*shard, shards)}
	for i := range c.shards {
		c.shards[i] = &shard{wake: make(chan struct{}, 1)}
	}
	return c
}

// Close stops the clock and waits for its goroutines. Its streams stand still.
func (c *Clock) Close() {
	c.mu.Lock()
	c.closed = true
	for _, s := range c.shards {
		s.stop()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// add lets t tick from its slot's next turn on. remove takes it off.
func (c *Clock) add(t ticker) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shards[c.next%len(c.shards)]
	c.next++
	if s.add(t) && !c.closed {
		c.wg.Go(s.run)
	}
	return func() { s.remove(t) }
}

// shard owns the streams of a few slots; its mutex guards all fields but wake.
type shard struct {
	wake chan struct{} // something changed

	mu      sync.Mutex
	slot    [slots]slot
	running bool
	stopped bool
	scratch []ticker
}

type slot struct {
	tickers []ticker
	due     time.Time // of the next tick; zero: not started
}

// add puts t into the emptiest slot and reports whether the shard must be started.
func (s *shard) add(t ticker) (start bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := 0
	for i := range s.slot {
		// Filled 0, 5, 2, 7...: neighbours in time come last.
		j := (i * 7) % slots
		if len(s.slot[j].tickers) < len(s.slot[best].tickers) {
			best = j
		}
	}
	s.slot[best].tickers = append(s.slot[best].tickers, t)
	if s.running || s.stopped {
		s.signal()
		return false
	}
	s.running = true
	return true
}

func (s *shard) remove(t ticker) {
	s.mu.Lock()
	for i := range s.slot {
		b := &s.slot[i]
		for j := range b.tickers {
			if b.tickers[j] == t {
				last := len(b.tickers) - 1
				b.tickers[j] = b.tickers[last]
				b.tickers[last] = nil
				b.tickers = b.tickers[:last]
				break
			}
		}
		if len(b.tickers) == 0 {
			b.due = time.Time{}
		}
	}
	s.signal() // an empty shard ends
	s.mu.Unlock()
}

func (s *shard) stop() {
	s.mu.Lock()
	s.stopped = true
	s.signal()
	s.mu.Unlock()
}

func (s *shard) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run ticks until the shard is empty or stopped.
func (s *shard) run() {
	epoch := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, ok := s.pass(epoch)
		if !ok {
			return
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-s.wake:
		}
	}
}

// pass ticks the slots that are due, each once, and returns when the next is.
func (s *shard) pass(epoch time.Time) (next time.Time, ok bool) {
	for i := range s.slot {
		now := time.Now()
		batch, missed, wait, live := s.take(i, now, epoch)
		if !live {
			continue
		}
		for _, t := range batch {
			t.tick(now, missed)
		}
		clear(batch) // removed ones are not kept alive
		if !ok || wait.Before(next) {
			next, ok = wait, true
		}
	}
	if ok {
		return next, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.slot {
		if len(s.slot[i].tickers) > 0 && !s.stopped {
			return time.Now(), true // came in the meantime
		}
	}
	s.running = false
	return time.Time{}, false
}

// take returns what ticks now in slot i, and when it is due next.
func (s *shard) take(i int, now, epoch time.Time) (batch []ticker, missed int, wait time.Time, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.slot[i]
	if len(b.tickers) == 0 || s.stopped {
		return nil, 0, time.Time{}, false
	}
	if b.due.IsZero() {
		phase := time.Duration(i) * slotGap
		b.due = now.Add((phase - now.Sub(epoch)%period + period) % period)
	}
	if now.Before(b.due) {
		return nil, 0, b.due, true
	}
	behind := now.Sub(b.due)
	missed = int(behind / period)
	b.due = now.Add(period - behind%period)
	s.scratch = append(s.scratch[:0], b.tickers...)
	return s.scratch, missed, b.due, true
}
