package dtmf

import "time"

// SenderConfig describes a Sender. The zero value of each field means its default.
type SenderConfig struct {
	ClockRate int           // of the RTP timestamps; 8000
	PTime     time.Duration // between two calls of Next; 20 ms
	Tone      time.Duration // how long a key is held; 100 ms, at least 40 ms
	Gap       time.Duration // between two keys; 60 ms, at least 40 ms
	Volume    uint8         // -dBm0; 10
}

// Sender turns keys into packets: a pure machine, told the time by being called. It has one user
// at a time.
type Sender struct{}

// NewSender returns an idle Sender.
func NewSender(cfg SenderConfig) *Sender { return &Sender{} }

// Packet is what to send in place of audio.
type Packet struct {
	Timestamp uint32 // of the start of the event (of its segment)
	Marker    bool   // first packet of an event
	Payload   Payload
}

// Queue adds keys ("0123456789*#ABCD") to those waiting. Nothing is added when one of them is
// not a key or too many wait.
func (s *Sender) Queue(digits string) error { return Check(digits) }

// Next is called once per PTime with the RTP timestamp that audio would have now. When ok is
// true the packet goes out instead of audio; otherwise audio does.
func (s *Sender) Next(timestamp uint32) (p Packet, ok bool) { return Packet{}, false }

// Idle says that all keys were sent, the last gap included.
func (s *Sender) Idle() bool { return true }

// Stop forgets the keys that wait and ends the one that sounds.
func (s *Sender) Stop() {}
