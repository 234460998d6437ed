package dtmf

import (
	"errors"
	"time"
)

// SenderConfig describes a Sender. The zero value of each field means its default.
type SenderConfig struct {
	ClockRate int           // of the RTP timestamps; 8000
	PTime     time.Duration // between two calls of Next; 20 ms
	Tone      time.Duration // how long a key is held; 100 ms, at least 40 ms
	Gap       time.Duration // between two keys; 60 ms, at least 40 ms
	Volume    uint8         // -dBm0; 10
}

// Packet is what to send in place of audio.
type Packet struct {
	Timestamp uint32 // of the start of the event (of its segment)
	Marker    bool   // first packet of an event
	Payload   Payload
}

const (
	maxQueue   = 256    // keys that may wait
	maxSegment = 0xFFFF // ticks in one segment of an event
	finals     = 3      // times the last packet of an event is sent
	shortest   = 40 * time.Millisecond
)

// A Sender is idle until there is a key; then it goes through the states and comes back.
//
//	           a key waits          held for Tone          sent three times      Gap over
//	idle/gap ───────────────▶ tone ────────────────▶ final ─────────────────▶ gap ────────▶ idle
type senderState uint8

const (
	idle senderState = iota
	tone
	final
	gap
)

var errFull = errors.New("dtmf: more than 256 keys wait")

// Sender turns keys into packets: a pure machine, told the time by being called. It has one user
// at a time.
type Sender struct {
	step      uint32 // ticks per call
	tone, gap uint32 // in ticks
	volume    uint8

	queue []uint8
	state senderState
	left  int    // packets of final still to send
	total uint32 // ticks the event has lasted; in final and gap: since its end
	base  uint32 // of them in earlier segments
	now   Packet // the last one sent
	stop  bool   // the event ends with the next packet
}

// NewSender returns an idle Sender.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.ClockRate <= 0 {
		cfg.ClockRate = 8000
	}
	if cfg.PTime <= 0 {
		cfg.PTime = 20 * time.Millisecond
	}
	if cfg.Tone <= 0 {
		cfg.Tone = 100 * time.Millisecond
	}
	if cfg.Gap <= 0 {
		cfg.Gap = 60 * time.Millisecond
	}
	if cfg.Volume == 0 {
		cfg.Volume = 10
	}
	ticks := func(d time.Duration) uint32 {
		return uint32(max(d, 0) * time.Duration(cfg.ClockRate) / time.Second)
	}
	return &Sender{
		step: max(ticks(cfg.PTime), 1), tone: ticks(max(cfg.Tone, shortest)), gap: ticks(max(cfg.Gap, shortest)),
		volume: cfg.Volume,
	}
}

// Queue adds keys ("0123456789*#ABCD") to those waiting. Nothing is added when one of them is
// not a key or more than 256 would wait.
func (s *Sender) Queue(digits string) error {
	if err := Check(digits); err != nil {
		return err
	}
	if len(s.queue)+len(digits) > maxQueue {
		return errFull
	}
	for i := range len(digits) {
		code, _ := Code(digits[i])
		s.queue = append(s.queue, code)
	}
	return nil
}

// Next is called once per PTime with the RTP timestamp that audio would have now. When ok is
// true the packet goes out instead of audio; otherwise audio does.
func (s *Sender) Next(timestamp uint32) (p Packet, ok bool) {
	if s.state == gap {
		s.total += s.step
		if s.total < s.gap {
			return Packet{}, false
		}
		s.state = idle
	}
	switch s.state {
	default: // idle
		if len(s.queue) == 0 {
			return Packet{}, false
		}
		s.begin(timestamp)
		return s.sound(), true
	case tone:
		s.now.Marker = false
		return s.sound(), true
	case final:
		s.total += s.step
		s.now.Marker = false
		s.left--
		if s.left == 0 {
			s.state = gap
		}
		return s.now, true
	}
}

// begin takes the next key.
func (s *Sender) begin(timestamp uint32) {
	s.now = Packet{Timestamp: timestamp, Marker: true, Payload: Payload{Event: s.queue[0], Volume: s.volume}}
	s.queue = s.queue[:copy(s.queue, s.queue[1:])]
	s.state, s.total, s.base, s.stop = tone, 0, 0, false
}

// sound is the packet of a key that is held: its duration up to the end of this packet time.
func (s *Sender) sound() Packet {
	if s.now.Payload.Duration == maxSegment {
		// A long event continues in a new segment, whose timestamp is where the last one ended,
		// without marker (RFC 4733 section 2.5.1.3).
		s.base += maxSegment
		s.now.Timestamp += maxSegment
	}
	s.total += s.step
	over := s.total >= s.tone || s.stop
	if !s.stop {
		s.total = min(s.total, s.tone)
	}
	s.now.Payload.Duration = uint16(min(s.total-s.base, maxSegment))
	if over && s.total-s.base <= maxSegment {
		// "The final packet for each event ... SHOULD be sent a total of three times at the
		// interval used by the source for updates." (RFC 4733 section 2.5.1.4)
		s.now.Payload.End = true
		s.state, s.left, s.total = final, finals-1, 0
	}
	return s.now
}

// Idle says that all keys were sent, the last gap included.
func (s *Sender) Idle() bool { return len(s.queue) == 0 && s.state == idle }

// Stop forgets the keys that wait and ends the one that sounds with the next packet.
func (s *Sender) Stop() {
	s.queue = s.queue[:0]
	s.stop = true
}
