package jitter

import "time"

// Get returns what is due at now and moves on by Frame.Samples. The caller asks whenever it
// needs more audio: ticks of its clock need not match the packets.
func (b *Buffer) Get(now time.Time) (Frame, Status) { return b.GetLate(now, 0) }

// GetLate is Get for a caller that was held up and still has to take so much for the time that
// has passed: that much more may wait without being dropped.
func (b *Buffer) GetLate(now time.Time, behind time.Duration) (Frame, Status) {
	b.reclaim()
	if !b.begun {
		return b.wait(b.step)
	}
	at := now.Sub(b.epoch)
	if most := b.ticks(b.max + behind); b.waiting > most && b.count > 1 {
		for b.waiting > most && b.count > 1 {
			b.drop()
		}
		b.cut()
	}
	b.stepOver()
	if b.count == 0 {
		return b.dry()
	}
	head, missing := b.head()
	if !b.filling { // then next is known
		gap := int32(head.ts - b.next)
		switch rest := gap - b.owed; {
		case gap < b.dur/2: // in time; or timestamps ran backwards, then the sequence counts
		case missing > 0 && rest < b.dur/2: // all of the gap has been concealed
		case missing > 0 && b.hidden < b.limit:
			return b.bridge(head, missing, gap)
		default: // silence, or a gap too long to conceal: a new talk spurt
			b.filling, b.fillAt = true, head.arrival
		}
	}
	if b.filling && at-b.fillAt < b.min {
		return b.wait(min(b.dur, b.step))
	}
	if b.filling {
		b.spare, b.window = at-head.arrival, at
	} else if missing == 0 && b.shrinks(at) {
		second := b.slot(head.seq + 1)
		if second.state == queued && second.ts == head.ts+uint32(head.ticks) {
			b.drop()
			b.spliced = true
			b.spare, b.window = at-second.arrival, at
			head = second
		}
	}
	return b.play(head, missing, at), Play
}

// Lacks says that a stream plays and fewer than n packets (1 or 2) are there for the next calls of
// Get. A caller that was held up may wait a little for them, as they may have been held up with it.
func (b *Buffer) Lacks(n int) bool {
	if !b.begun || b.filling {
		return false
	}
	b.stepOver()
	if b.count < n {
		return true
	}
	_, missing := b.head()
	return missing > 0
}

func (b *Buffer) wait(ticks int32) (Frame, Status) { return Frame{Samples: int(max(ticks, 1))}, Wait }

func (b *Buffer) conceal(ticks int32) (Frame, Status) {
	f := Frame{Samples: int(ticks), Seq: b.nextSeq, Timestamp: b.next + uint32(b.owed)}
	b.owed += ticks
	b.hidden += ticks
	b.run++
	b.stats.Concealed++
	return f, Lost
}

// bridge conceals a packet's share of the gap before head and gives up the packets for which that
// was the last moment: should they come now, they are late.
func (b *Buffer) bridge(head *slot, missing int, gap int32) (Frame, Status) {
	share := gap / int32(missing)
	if share > b.wide || share < 1 {
		share = b.dur
	}
	f, status := b.conceal(min(share, gap-b.owed))
	if gap-b.owed < b.dur/2 {
		b.giveUp(missing)
		b.next, b.owed = head.ts, 0
	} else if n := min(b.owed/share, int32(missing)-1); n > 0 {
		b.giveUp(int(n))
		b.next += uint32(n * share)
		b.owed -= n * share
	}
	return f, status
}

// giveUp moves past so many missing packets.
func (b *Buffer) giveUp(missing int) {
	b.stats.Lost += uint64(missing)
	b.run -= min(b.run, uint64(missing))
	for ; missing > 0; missing-- {
		b.stepOver()
		b.nextSeq++
	}
	b.stepOver()
}

// dry is the answer of an empty buffer. The packets may be late or lost, or the sender silent:
// nobody knows yet, so nothing is given up.
func (b *Buffer) dry() (Frame, Status) {
	if b.filling {
		return b.wait(min(b.dur, b.step))
	}
	if b.hidden < b.limit && !b.event {
		return b.conceal(b.dur)
	}
	b.filling = true // fillAt is set by the packet that comes
	return b.wait(min(b.dur, b.step))
}

// stepOver passes the packets without audio that are due.
func (b *Buffer) stepOver() {
	for s := b.slot(b.nextSeq); s.state == silent && s.seq == b.nextSeq; s = b.slot(b.nextSeq) {
		s.state = passed
		b.nextSeq++
		b.event = true
	}
}

// head returns the first packet of audio and how many before it are missing.
func (b *Buffer) head() (s *slot, missing int) {
	for seq := b.nextSeq; ; seq++ {
		switch s = b.slot(seq); s.state {
		case queued:
			return s, missing
		case silent:
		default:
			missing++
		}
	}
}

// play hands over the head of the queue.
func (b *Buffer) play(s *slot, missing int, at time.Duration) Frame {
	f := Frame{
		Seq: s.seq, Timestamp: s.ts, PayloadType: s.pt, Marker: s.marker,
		Payload: s.payload, Samples: int(s.ticks), Spliced: b.spliced,
	}
	b.lent, s.payload = s.payload, nil
	b.pass(s.seq + 1)
	b.stats.Lost += uint64(missing)
	b.stats.Played++
	if !b.filling {
		b.stats.Inserted += b.run - min(b.run, uint64(missing))
	}
	b.stats.Delay = at - s.arrival
	b.spare = min(b.spare, b.stats.Delay)
	b.next = s.ts + uint32(s.ticks)
	b.played, b.filling, b.spliced, b.event = true, false, false, false
	b.owed, b.hidden, b.run = 0, 0, 0
	return f
}

// pass moves on to seq: whatever is before it is over.
func (b *Buffer) pass(seq uint16) {
	for ; b.nextSeq != seq; b.nextSeq++ {
		if s := b.slot(b.nextSeq); s.state == queued || s.state == silent {
			b.release(s)
		}
	}
}

// drop gives up the packet due next, whether it waits, is missing or has no audio.
func (b *Buffer) drop() {
	switch s := b.slot(b.nextSeq); s.state {
	case queued:
		b.stats.Dropped++
		b.release(s)
	case silent:
		s.state = passed
	default:
		b.stats.Lost++
	}
	b.nextSeq++
}

// cut goes on with what waits after something before it was dropped.
func (b *Buffer) cut() {
	b.spliced = b.played
	if b.count == 0 {
		b.filling = true
		return
	}
	head, _ := b.head()
	b.next = head.ts
}

// shrinks says whether for a whole window, a short one if the delay is long, every packet had more time to spare than the target
// delay, so that one can go.
func (b *Buffer) shrinks(at time.Duration) bool {
	target := b.min + b.duration(b.dur) + shrinkMargin
	switch window := at - b.window; {
	case window >= shrinkSoon && b.spare > target+shrinkFar: // after a stall: soon, or people talk over each other
		return true
	case window < shrinkWindow:
		return false
	case b.spare > target:
		return true
	}
	b.window, b.spare = at, 1<<62
	return false
}
