package jitter

import "time"

// Config describes a Buffer. The zero value of each field means its default.
type Config struct {
	ClockRate int           // ticks of the RTP timestamp per second; 8000
	Min       time.Duration // how long the first packet waits, and the delay the buffer returns to; 40 ms
	Max       time.Duration // the most audio that may wait; 200 ms; never less than Min

	MaxPackets int // packets that may wait, rounded up to a power of two; 64
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

// Status says what the listener should hear for the next Frame.Samples ticks.
type Status uint8

const (
	Wait Status = iota // silence: not begun, between talk spurts, or the stream stopped
	Play               // the packet in Frame
	Lost               // a substitute: the packet due did not come
)

// Frame is the answer of Get.
type Frame struct {
	PayloadType uint8
	Marker      bool
	Timestamp   uint32
	Seq         uint16
	Payload     []byte // of a Play; valid until the next Get
	Samples     int    // ticks of the clock this frame lasts, above zero; for Play the decoder's output rules
	Spliced     bool   // of a Play: audio before this frame was dropped to shorten the delay; see Concealer.Splice
}

// Stats counts since New.
type Stats struct {
	Received   uint64 // packets given to Put
	Played     uint64 // frames of status Play
	Lost       uint64 // packets that were not there when due, the late ones included
	Late       uint64 // packets that came after they were due
	Duplicates uint64
	Reordered  uint64 // queued packets that came after a later one
	Refused    uint64
	Concealed  uint64 // frames of status Lost
	Inserted   uint64 // frames of Concealed that stood for no lost packet: the delay grew
	Dropped    uint64 // packets dropped to shorten the delay
	Resets     uint64 // leaps of the sequence that were followed

	Depth int           // packets that wait
	Delay time.Duration // how long the last frame played had waited
}

// Buffer is a playout buffer. It has one user at a time and reads no clock.
type Buffer struct {
	cfg Config
}

// New returns an empty Buffer.
func New(cfg Config) *Buffer { return &Buffer{cfg: cfg} }

// Put takes a packet that arrived at now.
func (b *Buffer) Put(now time.Time, p Packet) PutResult { return Queued }

// Skip notes that sequence number seq arrived and carries no audio (a telephone-event packet):
// nothing is played for it and it is not lost.
func (b *Buffer) Skip(now time.Time, seq uint16) PutResult { return Queued }

// Get returns what is due at now and moves on by Frame.Samples. The caller asks whenever it
// needs more audio: ticks of its clock need not match the packets.
func (b *Buffer) Get(now time.Time) (Frame, Status) { return Frame{Samples: 160}, Wait }

// Reset forgets the stream and what waits, as for a new SSRC. Stats go on.
func (b *Buffer) Reset() {}

// Stats returns the counters.
func (b *Buffer) Stats() Stats { return Stats{} }
