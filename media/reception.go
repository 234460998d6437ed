package media

import "time"

// Constants of RFC 3550 appendix A.1, and our policy about a change of source.
const (
	maxDropout    = 3000
	maxMisorder   = 100
	minSequential = 3 // packets in a row of a new SSRC before it replaces a source that still sends
)

// reception follows one source by the algorithms of RFC 3550 appendix A: a pure
// machine. Its zero value waits for the first packet.
type reception struct {
	begun   bool
	ssrc    uint32
	maxSeq  uint16
	cycles  uint32 // 65536 for each wrap
	baseSeq uint32
	badSeq  uint32 // 1<<16: none

	received      uint64
	priorExpected uint64
	priorReceived uint64

	epoch   time.Time
	transit uint32
	timed   bool   // transit is known
	jitter  uint32 // times 16, in ticks

	// sums over sources that went before
	lostBefore uint64

	// a source that may replace this one
	other       uint32
	otherSeq    uint16
	otherStreak int
	heard       time.Time
	changes     uint64
}

// takes reports whether a packet of ssrc belongs to the stream, and whether
// it starts a new source. The first source is taken at once: the packet was
// authenticated, or comes from the one address we listen to. Another one
// replaces it after a few packets in a row without a packet of the old one
// between them, or when the old one has been silent for a second.
func (r *reception) takes(now time.Time, ssrc uint32, seq uint16) (ok, fresh bool) {
	switch {
	case !r.begun:
		r.restart(now, ssrc, seq)
		return true, true
	case ssrc == r.ssrc:
		r.otherStreak = 0
		r.heard = now
		return true, false
	}
	if ssrc == r.other && seq == r.otherSeq+1 && r.otherStreak > 0 {
		r.otherStreak++
	} else {
		r.other, r.otherStreak = ssrc, 1
	}
	r.otherSeq = seq
	if r.otherStreak < minSequential && now.Sub(r.heard) < time.Second {
		return false, false
	}
	r.changes++
	r.restart(now, ssrc, seq)
	return true, true
}

func (r *reception) restart(now time.Time, ssrc uint32, seq uint16) {
	if r.begun {
		r.lostBefore = r.lost()
	}
	r.begun, r.ssrc = true, ssrc
	r.heard = now
	r.otherStreak = 0
	r.timed, r.jitter = false, 0
	r.resync(seq)
}

// resync is init_seq of appendix A.1.
func (r *reception) resync(seq uint16) {
	r.baseSeq, r.maxSeq = uint32(seq), seq
	r.badSeq = 1 << 16
	r.cycles, r.received, r.priorExpected, r.priorReceived = 0, 0, 0, 0
}

// sequence is update_seq of appendix A.1: it reports whether the packet is
// valid. Old and duplicate packets are valid.
func (r *reception) sequence(seq uint16) bool {
	delta := seq - r.maxSeq
	switch {
	case delta < maxDropout:
		if seq < r.maxSeq {
			r.cycles += 1 << 16
		}
		r.maxSeq = seq
	case delta <= 1<<16-maxMisorder:
		// "The sequence number made a very large jump": two in a row mean that the
		// other side restarted without telling us.
		if uint32(seq) != r.badSeq {
			r.badSeq = uint32(seq+1) & 0xffff
			return false
		}
		r.lostBefore = r.lost()
		r.resync(seq)
	}
	r.received++
	return true
}

// timing is the interarrival jitter of appendix A.8, for a packet with an RTP
// timestamp of clock ticks a second.
func (r *reception) timing(now time.Time, ts uint32, clock int) {
	if r.epoch.IsZero() {
		r.epoch = now
	}
	arrival := uint32(int64(now.Sub(r.epoch)) / int64(time.Microsecond) * int64(clock) / 1_000_000)
	transit := arrival - ts
	if r.timed {
		d := int32(transit - r.transit)
		if d < 0 {
			d = -d
		}
		if d < 0 { // the most negative number
			d = 0
		}
		r.jitter += uint32(d) - (r.jitter+8)>>4
	}
	r.transit, r.timed = transit, true
}

// expected is how many packets there should have been of this source.
func (r *reception) expected() uint64 {
	if !r.begun {
		return 0
	}
	return uint64(r.cycles) + uint64(r.maxSeq) - uint64(r.baseSeq) + 1
}

// lost is the number of packets lost of all sources so far.
func (r *reception) lost() uint64 {
	return r.lostBefore + uint64(max(0, int64(r.expected())-int64(r.received)))
}

// block fills in a reception report (appendix A.3) and begins a new interval.
func (r *reception) block() reportBlock {
	expected := r.expected()
	lost := int64(expected) - int64(r.received)
	expectedInterval := int64(expected - r.priorExpected)
	lostInterval := expectedInterval - int64(r.received-r.priorReceived)
	r.priorExpected, r.priorReceived = expected, r.received
	b := reportBlock{
		ssrc:    r.ssrc,
		lost:    int32(max(-0x800000, min(lost, 0x7fffff))), // clamped, not wrapped
		highest: r.cycles + uint32(r.maxSeq),
		jitter:  r.jitter >> 4,
	}
	if expectedInterval > 0 && lostInterval > 0 {
		b.fraction = uint8(min(lostInterval<<8/expectedInterval, 255))
	}
	return b
}

// jitterTime is the interarrival jitter as a duration.
func (r *reception) jitterTime(clock int) time.Duration {
	return time.Duration(r.jitter>>4) * time.Second / time.Duration(clock)
}
