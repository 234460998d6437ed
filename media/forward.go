package media

import (
	"time"

	"github.com/pion/rtp"
)

const (
	forwardClock = 8000 // RTP clock rate of what is forwarded
	forwardLate  = 64   // packets by which one may be late
	forwardLeap  = 1000 // a greater leap of the sequence is a new source
)

// forwarding maps the sequence numbers and timestamps of other sources onto one
// stream: a pure machine. Losses and reordering show through; a change of source
// does not. It never gives a sequence number twice: SRTP must not protect two
// packets under one index ("key and IV ... MUST NOT be reused", RFC 3711 section
// 9.1), whatever another source sends.
type forwarding struct {
	begun   bool
	ssrc    uint32 // of the source
	seq     uint16 // to add to the source's
	ts      uint32
	at      time.Time // of the newest packet
	lastSeq uint16    // newest sent
	lastTS  uint32
	used    uint64 // bit i: lastSeq-i was sent
}

// next returns the numbers for h. seq and ts are where our stream stands now. It is
// not ok when the packet was forwarded before or is too late.
func (f *forwarding) next(h *rtp.Header, seq uint16, ts uint32, now time.Time) (uint16, uint32, bool) {
	if f.begun && h.SSRC == f.ssrc {
		if d := int16(h.SequenceNumber + f.seq - f.lastSeq); d > forwardLeap || d < -forwardLeap {
			f.ssrc = ^h.SSRC // as a new source
		}
	}
	if !f.begun || h.SSRC != f.ssrc {
		f.seq, f.ts = seq-h.SequenceNumber, ts-h.Timestamp
		f.ssrc = h.SSRC
		if !f.begun {
			f.begun, f.lastSeq = true, seq-1
		}
	}
	seq, ts = h.SequenceNumber+f.seq, h.Timestamp+f.ts
	switch d := int16(seq - f.lastSeq); {
	case d > 0:
		f.used = f.used<<min(d, 64) | 1
		f.lastSeq, f.lastTS, f.at = seq, ts, now
	case d <= -forwardLate || f.used&(1<<-d) != 0:
		return 0, 0, false
	default:
		f.used |= 1 << -d
	}
	return seq, ts, true
}

// clock is what our timestamp is now, going on from the newest packet.
func (f *forwarding) clock(now time.Time) uint32 {
	return f.lastTS + uint32(int64(now.Sub(f.at))*forwardClock/int64(time.Second))
}

// inserted makes room for a packet of our own, sent with the number after the newest.
func (f *forwarding) inserted() {
	f.seq++
	f.lastSeq++
	f.used = f.used<<1 | 1
}
