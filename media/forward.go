package media

import (
	"time"

	"github.com/pion/rtp"
)

// forwarding maps the sequence numbers and timestamps of other sources onto one
// stream. Losses and reordering show through; a change of source does not.
type forwarding struct {
	begun   bool
	ssrc    uint32 // of the source
	seq     uint16 // to add to the source's
	ts      uint32
	at      time.Time // of the packet before
	lastSeq uint16    // newest sent
	lastTS  uint32
}

const forwardClock = 8000 // RTP clock rate of what is forwarded

// next returns the numbers for h. seq and ts are where our stream stands.
func (f *forwarding) next(h *rtp.Header, seq uint16, ts uint32, now time.Time) (uint16, uint32) {
	if !f.begun || h.SSRC != f.ssrc {
		at := ts
		if f.begun {
			at = f.clock(now)
		}
		f.seq, f.ts = seq-h.SequenceNumber, at-h.Timestamp
		f.begun, f.ssrc = true, h.SSRC
		f.lastSeq, f.lastTS = seq, at
	}
	seq, ts = h.SequenceNumber+f.seq, h.Timestamp+f.ts
	if int16(seq-f.lastSeq) >= 0 {
		f.lastSeq, f.lastTS, f.at = seq, ts, now
	}
	return seq, ts
}

// clock is what our timestamp is now, going on from the last packet.
func (f *forwarding) clock(now time.Time) uint32 {
	if !f.begun {
		return 0
	}
	return f.lastTS + uint32(int64(now.Sub(f.at))*forwardClock/int64(time.Second))
}

// inserted makes room for a packet of our own.
func (f *forwarding) inserted() {
	f.seq++
	f.lastSeq++
}
