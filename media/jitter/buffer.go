package jitter

import (
	"math/bits"
	"time"
)

// Config describes a Buffer. The zero value of each field means its default.
type Config struct {
	ClockRate int           // ticks of the RTP timestamp per second; 8000, at most 192000
	Min       time.Duration // how long the first packet waits, and the delay the buffer returns to; 40 ms
	Max       time.Duration // the most audio that may wait; 200 ms; never less than Min

	MaxPackets int // packets that may wait, rounded up to a power of two; 64, at most 1024
	MaxPayload int // bytes of the longest payload taken; 1500
}

// Packet is an RTP packet as the buffer sees it.
type Packet struct {
	Seq         uint16
	Timestamp   uint32
	PayloadType uint8
	Marker      bool
	Payload     []byte // copied by Put
	Samples     int    // duration in ticks of the clock when the caller can tell; 0: learnt from the timestamps
}

// PutResult says what became of a packet.
type PutResult uint8

const (
	Queued    PutResult = iota // it waits for its turn
	Duplicate                  // its sequence number was here before; dropped
	Late                       // its turn was over; dropped
	Refused                    // longer than Config.MaxPayload, or from nowhere (a leap in sequence numbers not yet confirmed by a second packet); dropped
)

// String returns the result's name.
func (r PutResult) String() string {
	return name(int(r), "queued", "duplicate", "late", "refused")
}

// Status says what the listener should hear for the next Frame.Samples ticks.
type Status uint8

const (
	Wait Status = iota // silence: not begun, between talk spurts, or the stream stopped
	Play               // the packet in Frame
	Lost               // a substitute: the packet due did not come
)

// String returns the status's name.
func (s Status) String() string { return name(int(s), "wait", "play", "lost") }

func name(i int, names ...string) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// Frame is the answer of Get.
type Frame struct {
	Seq         uint16
	Timestamp   uint32
	PayloadType uint8
	Marker      bool
	Payload     []byte // of a Play; valid until the next Get or Reset
	Samples     int    // ticks of the clock this frame lasts, above zero; for Play the decoder's output rules
	Spliced     bool   // of a Play: audio before this frame was dropped to shorten the delay; see Concealer.Splice
}

// Stats counts since New.
type Stats struct {
	Received   uint64 // packets given to Put and Skip
	Played     uint64 // frames of status Play
	Lost       uint64 // packets that were not there when due, the late ones included
	Late       uint64 // packets that came after they were due
	Duplicates uint64
	Reordered  uint64 // queued packets that came after a later one
	Refused    uint64
	Concealed  uint64 // frames of status Lost
	Inserted   uint64 // frames of Concealed that stood for no lost packet: the delay grew by them
	Dropped    uint64 // packets dropped to shorten the delay
	Resets     uint64 // leaps of the sequence that were followed

	Depth int           // packets that wait
	Delay time.Duration // how long the last frame played had waited
}

// Choices of our own.
const (
	concealLimit = 60 * time.Millisecond  // longest concealment in a row; the Concealer is silent by then
	waitStep     = 20 * time.Millisecond  // longest frame of status Wait, so that a packet need not wait for its end
	longestFrame = 120 * time.Millisecond // longest duration that is believed of timestamps
	shrinkWindow = 2 * time.Second        // the delay shrinks by one packet at most once in this time
	shrinkSoon   = 400 * time.Millisecond // the same while it is longer than it need be
	shrinkFar    = 60 * time.Millisecond  // by so much
	shrinkMargin = 10 * time.Millisecond  // spare time beyond Min and a packet before it shrinks
	longQuiet    = 2 * time.Second        // after this without a packet any sequence number is believed
	maxDropout   = 3000                   // packets a sequence may leap ahead (RFC 3550 appendix A.1)
	maxMisorder  = 100                    // packets it may fall behind (the same)
	maxLateRun   = 50                     // late packets in a row before the stream is taken to have begun anew
)

type slotState uint8

const (
	empty  slotState = iota
	queued           // audio that waits
	passed           // arrived and is over: played, dropped or skipped
	silent           // arrived by Skip, its turn still to come
)

type slot struct {
	state   slotState
	marker  bool
	pt      uint8
	seq     uint16
	ts      uint32
	ticks   int32
	arrival time.Duration // since epoch
	payload []byte
}

// Buffer is a playout buffer. It has one user at a time and reads no clock.
type Buffer struct {
	min, max, clock   time.Duration // clock is one second's ticks, as a Duration
	limit, step, wide int32         // concealLimit, waitStep, longestFrame in ticks
	maxPayload        int
	epoch             time.Time

	ring []slot   // by sequence number, modulo its length
	free [][]byte // payload buffers not in use
	lent []byte   // the one that the last Frame points to

	begun   bool          // nextSeq means something
	played  bool          // next means something
	filling bool          // nothing is played until fillAt+min
	fillAt  time.Duration // since epoch
	nextSeq uint16        // the packet due next
	next    uint32        // the timestamp due next
	owed    int32         // ticks concealed after next
	hidden  int32         // ticks concealed since the last frame played
	run     uint64        // frames concealed since then that stood for no packet so far
	spliced bool          // packets before the next frame were dropped
	event   bool          // what came after the last frame played had no audio: nothing to conceal

	highest  uint16 // newest sequence number queued
	newestTS uint32 // and its timestamp
	dur      int32  // ticks of a packet, as far as known
	learnt   int32  // a duration seen once
	count    int    // audio packets queued
	waiting  int32  // their ticks

	seen    time.Duration // when the last packet came, since epoch
	badSeq  uint16        // a leap to here awaits confirmation
	bad     bool
	lateRun int

	spare  time.Duration // least time a packet played in this window had waited
	window time.Duration // began at, since epoch
	stats  Stats
}

// New returns an empty Buffer.
func New(cfg Config) *Buffer {
	if cfg.ClockRate <= 0 {
		cfg.ClockRate = 8000
	}
	if cfg.Min <= 0 {
		cfg.Min = 40 * time.Millisecond
	}
	if cfg.Max <= 0 {
		cfg.Max = 200 * time.Millisecond
	}
	if cfg.MaxPackets <= 0 {
		cfg.MaxPackets = 64
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = 1500
	}
	size := 1 << bits.Len(uint(min(cfg.MaxPackets, 1024)-1))
	b := &Buffer{
		min: cfg.Min, max: max(cfg.Max, cfg.Min), clock: time.Duration(min(cfg.ClockRate, 192000)),
		maxPayload: cfg.MaxPayload, ring: make([]slot, size), filling: true,
	}
	b.limit, b.step, b.wide = b.ticks(concealLimit), b.ticks(waitStep), b.ticks(longestFrame)
	b.dur = b.ticks(20 * time.Millisecond)
	return b
}

func (b *Buffer) ticks(d time.Duration) int32 {
	return int32(int64(d) * int64(b.clock) / int64(time.Second))
}

func (b *Buffer) duration(ticks int32) time.Duration {
	return time.Duration(ticks) * time.Second / b.clock
}

func (b *Buffer) slot(seq uint16) *slot { return &b.ring[int(seq)&(len(b.ring)-1)] }

// Reset forgets the stream and what waits, as for a new SSRC. Stats go on.
func (b *Buffer) Reset() {
	b.reclaim()
	b.forget()
}

// forget is Reset, but leaves the caller the payload that the last Get lent.
func (b *Buffer) forget() {
	for i := range b.ring {
		s := &b.ring[i]
		b.release(s)
		s.state = empty
	}
	b.begun, b.played, b.filling, b.spliced, b.event, b.bad = false, false, true, false, false, false
	b.owed, b.hidden, b.run, b.lateRun = 0, 0, 0, 0
}

// Stats returns the counters.
func (b *Buffer) Stats() Stats {
	s := b.stats
	s.Depth = b.count
	return s
}

// release takes s out of the queue and keeps its payload's memory for another.
func (b *Buffer) release(s *slot) {
	if s.state == queued {
		b.count--
		b.waiting -= s.ticks
	}
	if s.payload != nil {
		b.free = append(b.free, s.payload[:0])
		s.payload = nil
	}
	s.state = passed
}

// reclaim takes back what the last Frame lent.
func (b *Buffer) reclaim() {
	if b.lent != nil {
		b.free = append(b.free, b.lent[:0])
		b.lent = nil
	}
}
