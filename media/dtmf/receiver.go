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
func (e Event) Key() byte {
	if k, ok := Key(e.Code); ok {
		return k
	}
	return '?'
}

// Choices of our own.
const (
	silence = 200 * time.Millisecond // without a packet for so long a key counts as released
	backlog = 5 * time.Second        // timestamps so far back are a new beginning, not an old packet
)

// Receiver turns packets into events, each key once however many packets told of it. It has
// one user at a time and reads no clock.
type Receiver struct {
	rate int

	known bool // code and ts are those of an event
	held  bool // it is not over
	code  uint8
	ts    uint32 // of its segment
	base  uint32 // ticks in earlier segments
	ticks uint16 // in this one
	seen  time.Time
}

// NewReceiver returns a Receiver for a clock rate (0: 8000).
func NewReceiver(clockRate int) *Receiver {
	if clockRate <= 0 {
		clockRate = 8000
	}
	return &Receiver{rate: clockRate}
}

// Receive takes a packet that arrived at now and appends to dst what it means: nothing, the
// beginning or end of a key, or the end of one and the beginning of the next. The error is that
// of Parse. Packets may be lost, repeated and out of order; the timestamp tells events apart, so
// the sequence number does not matter, and a key whose first packets (with the marker) were lost
// begins with the first that came.
func (r *Receiver) Receive(dst []Event, now time.Time, _ uint16, timestamp uint32, marker bool, payload []byte) ([]Event, error) {
	p, err := Parse(payload)
	if err != nil {
		return dst, err
	}
	after := int32(timestamp - r.ts) // RFC 3550: timestamps wrap
	switch {
	case !r.known:
	case after == 0 && p.Event == r.code:
		return r.update(dst, now, p), nil
	case after < 0 && time.Duration(-int64(after))*time.Second < backlog*time.Duration(r.rate):
		return dst, nil // of an event before: late
	case after == maxSegment && p.Event == r.code && !marker:
		// The next segment of a long event, also of one that seemed over because
		// packets ceased (RFC 4733 section 2.5.1.3).
		r.base += maxSegment
		r.ts, r.ticks = timestamp, 0
		return r.update(dst, now, p), nil
	}
	if r.held {
		dst = r.end(dst, false) // its last packets were lost, the next key tells
	}
	*r = Receiver{rate: r.rate, known: true, held: true, code: p.Event, ts: timestamp, seen: now}
	dst = append(dst, Event{Code: p.Event, Begin: true})
	return r.update(dst, now, p), nil
}

// update takes a further packet of the event, or of its end again.
func (r *Receiver) update(dst []Event, now time.Time, p Payload) []Event {
	if !r.held {
		return dst
	}
	r.seen = now
	r.ticks = max(r.ticks, p.Duration)
	if p.End {
		dst = r.end(dst, false)
	}
	return dst
}

func (r *Receiver) end(dst []Event, timedOut bool) []Event {
	r.held = false
	d := time.Duration(r.base+uint32(r.ticks)) * time.Second / time.Duration(r.rate)
	return append(dst, Event{Code: r.code, Duration: d, TimedOut: timedOut})
}

// Expire appends the end of a key whose packets ceased. Call it now and then (every tick, say).
func (r *Receiver) Expire(dst []Event, now time.Time) []Event {
	if !r.held || now.Sub(r.seen) < silence {
		return dst
	}
	return r.end(dst, true)
}
