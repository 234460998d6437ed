package dtmf

import "time"

// Event is a key pressed or released.
type Event struct {
	Code     uint8
	Begin    bool          // pressed; otherwise released, and Duration is known
	Duration time.Duration // how long it was held, as far as packets told
	TimedOut bool          // released because packets ceased, not because the sender said so
}

// Key is the key's character, '?' for a code above 15.
func (e Event) Key() byte { return '?' }

// Receiver turns packets into events, each key once however many packets told of it. It has
// one user at a time and reads no clock.
type Receiver struct{}

// NewReceiver returns a Receiver for a clock rate (0: 8000).
func NewReceiver(clockRate int) *Receiver { return &Receiver{} }

// Receive takes a packet that arrived at now and appends to dst what it means: nothing, the
// beginning or end of a key, or the end of one and the beginning of the next. The error is that
// of Parse.
func (r *Receiver) Receive(dst []Event, now time.Time, seq uint16, timestamp uint32, marker bool, payload []byte) ([]Event, error) {
	return dst, nil
}

// Expire appends the end of a key whose packets ceased. Call it now and then (every tick, say).
func (r *Receiver) Expire(dst []Event, now time.Time) []Event { return dst }
