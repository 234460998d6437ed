package transaction

import (
	"math"
	"math/bits"
	"time"
)

// tick is the wheel's granularity: no timer fires early and none more than a tick late.
const tick = time.Millisecond

const (
	slotBits = 6
	slots    = 1 << slotBits
	levels   = 7 // 2^42 ticks, 139 years
	never    = int64(math.MaxInt64)
)

// entry is something the wheel fires. The zero value is in no wheel.
type entry struct {
	prev, next *entry
	due        int64  // tick
	slot       uint16 // 1 + level*slots + index; 0: in no wheel
	tx         *record
	call       func()
}

// wheel is a hierarchical timer wheel: 64 slots of one tick, 64 of 64 ticks, and so
// on. An entry lies at the level of the highest bit in which its due tick differs from
// now, so the entries of a level are all due before those of the levels above, and the
// occupied bits give the next thing to do without a walk. Whoever owns it locks it; it
// never reads a clock.
type wheel struct {
	now  int64 // the tick advance has reached
	used [levels]uint64
	list [levels * slots]*entry
}

// add puts e, which is in no wheel, where it fires at tick due, at once (with the next
// advance) when that has passed.
func (w *wheel) add(e *entry, due int64) {
	e.due = min(max(due, w.now), 1<<(slotBits*levels)-1)
	level := (bits.Len64(uint64(e.due^w.now)|1) - 1) / slotBits
	index := e.due >> (slotBits * level) & (slots - 1)
	at := level*slots + int(index)
	e.slot = uint16(at) + 1
	e.prev, e.next = nil, w.list[at]
	if e.next != nil {
		e.next.prev = e
	}
	w.list[at] = e
	w.used[level] |= 1 << index
}

// remove takes e out; false when it was in no wheel.
func (w *wheel) remove(e *entry) bool {
	if e.slot == 0 {
		return false
	}
	at := int(e.slot) - 1
	if e.prev != nil {
		e.prev.next = e.next
	} else if w.list[at] = e.next; e.next == nil {
		w.used[at/slots] &^= 1 << (at % slots)
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.prev, e.next, e.slot = nil, nil, 0
	return true
}

// first finds the first occupied slot and the tick at which it begins.
func (w *wheel) first() (at int, begins int64) {
	for level, used := range w.used {
		if used == 0 {
			continue
		}
		index := bits.TrailingZeros64(used)
		above := slotBits * (level + 1)
		return level*slots + index, w.now>>above<<above | int64(index)<<(slotBits*level)
	}
	return 0, never
}

// nextTick is the next tick at which advance has something to do; never when empty.
func (w *wheel) nextTick() int64 {
	_, begins := w.first()
	return begins
}

// advance moves the wheel to tick now and fires what is due, each entry once and in no
// wheel. fire may add and remove entries.
func (w *wheel) advance(now int64, fire func(*entry)) {
	for {
		at, begins := w.first()
		if begins > now {
			break
		}
		w.now = begins
		for e := w.list[at]; e != nil; e = w.list[at] {
			w.remove(e)
			if e.due > w.now {
				w.add(e, e.due) // one level down
				continue
			}
			fire(e)
		}
	}
	w.now = max(w.now, now)
}
