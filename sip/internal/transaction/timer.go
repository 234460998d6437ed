package transaction

import "time"

// Timer is a pending call of After.
type Timer struct {
	entry
	shard *shard
}

// After calls f once after d on the layer's timer goroutine; f must return
// quickly. It costs no goroutine. Nothing is called after Close.
func (l *Layer) After(d time.Duration, f func()) *Timer {
	t := &Timer{shard: &l.shards[l.turn.Add(1)%shards]}
	t.call = f
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if !t.shard.closed {
		t.shard.wheel.add(&t.entry, ticksUp(l.now()+d))
		l.wakeFor(t.due)
	}
	return t
}

// Stop cancels the call; false when it has happened, is happening or was stopped.
func (t *Timer) Stop() bool {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	return !t.shard.closed && t.shard.wheel.remove(&t.entry)
}
