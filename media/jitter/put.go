package jitter

import "time"

// Put takes a packet that arrived at now.
func (b *Buffer) Put(now time.Time, p Packet) PutResult {
	if len(p.Payload) > b.maxPayload {
		b.stats.Received++
		b.stats.Refused++
		return Refused
	}
	s, result := b.admit(now, p.Seq)
	if s == nil {
		return result
	}
	b.learn(p)
	if b.filling && b.count == 0 {
		b.fillAt = b.seen
	}
	ticks := b.dur
	if p.Samples > 0 {
		ticks = min(int32(min(p.Samples, 1<<24)), b.wide)
	}
	*s = slot{
		state: queued, seq: p.Seq, ts: p.Timestamp, pt: p.PayloadType, marker: p.Marker,
		ticks: ticks, arrival: b.seen, payload: append(b.memory(), p.Payload...),
	}
	b.count++
	b.waiting += ticks
	return Queued
}

// Skip notes that sequence number seq arrived and carries no audio (a telephone-event packet):
// nothing is played for it and it is not lost.
func (b *Buffer) Skip(now time.Time, seq uint16) PutResult {
	s, result := b.admit(now, seq)
	if s != nil {
		*s = slot{state: silent, seq: seq}
	}
	return result
}

// memory returns an empty payload buffer.
func (b *Buffer) memory() []byte {
	n := len(b.free)
	if n == 0 {
		return make([]byte, 0, 64)
	}
	p := b.free[n-1]
	b.free = b.free[:n-1]
	return p
}

// admit finds the place for seq, or says why it has none.
func (b *Buffer) admit(now time.Time, seq uint16) (*slot, PutResult) {
	b.stats.Received++
	if b.epoch.IsZero() {
		b.epoch = now
	}
	at := now.Sub(b.epoch)
	quiet := at - b.seen
	b.seen = at
	if !b.begun {
		b.begin(seq)
	}
	size := len(b.ring)
	ahead := int(int16(seq - b.nextSeq))
	switch {
	case ahead < 0 && b.slot(seq).seq == seq && b.slot(seq).state == passed:
		b.stats.Duplicates++
		return nil, Duplicate
	case ahead < 0 && !b.played && int(int16(b.highest-seq)) < size:
		b.nextSeq = seq // the stream began with packets out of order
	case ahead < 0 && ahead >= -maxMisorder:
		b.lateRun++
		if b.lateRun > maxLateRun || quiet >= longQuiet {
			b.restart(seq)
			break
		}
		b.stats.Late++
		return nil, Late
	case ahead < 0 || ahead >= size:
		if !b.leap(seq, ahead, quiet) {
			b.stats.Refused++
			return nil, Refused
		}
	}
	b.bad, b.lateRun = false, 0
	s := b.slot(seq)
	if s.state == queued || s.state == silent {
		b.stats.Duplicates++
		return nil, Duplicate
	}
	if int16(seq-b.highest) < 0 {
		b.stats.Reordered++
	} else {
		b.highest = seq
	}
	return s, Queued
}

// leap decides about a sequence number outside of the ring: to make room for it, to follow it to
// a new beginning, or not to believe it yet.
func (b *Buffer) leap(seq uint16, ahead int, quiet time.Duration) bool {
	size := len(b.ring)
	switch {
	case ahead >= size && ahead < 2*size && b.count > 0: // nobody calls Get, or a burst was lost
		for int(int16(seq-b.nextSeq)) >= size {
			b.drop()
		}
		b.cut()
	case ahead >= size && ahead < maxDropout && b.count == 0: // an outage
		b.stats.Lost += uint64(ahead)
		b.forget()
		b.begin(seq)
	case quiet >= longQuiet, b.bad && seq == b.badSeq+1: // RFC 3550 appendix A.1: two in sequence
		b.restart(seq)
	default:
		b.bad, b.badSeq = true, seq
		return false
	}
	return true
}

func (b *Buffer) begin(seq uint16) {
	b.begun, b.nextSeq, b.highest = true, seq, seq
}

func (b *Buffer) restart(seq uint16) {
	b.stats.Resets++
	b.forget()
	b.begin(seq)
}

// learn keeps the packets' duration from two equal distances in a row, or as told.
func (b *Buffer) learn(p Packet) {
	if p.Samples > 0 {
		b.dur = min(int32(min(p.Samples, 1<<24)), b.wide)
	} else if p.Seq == b.highest && b.slot(p.Seq-1).seq == p.Seq-1 && b.slot(p.Seq-1).state != empty {
		if d := int32(p.Timestamp - b.newestTS); d > 0 && d <= b.wide {
			if d == b.learnt {
				b.dur = d
			}
			b.learnt = d
		}
	}
	if p.Seq == b.highest {
		b.newestTS = p.Timestamp
	}
}
