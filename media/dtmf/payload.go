package dtmf

import "errors"

// Payload is the four bytes of a telephone-event (RFC 4733 section 2.3).
type Payload struct {
	Event    uint8  // 0-15: the keys 0-9 * # A-D
	End      bool   // the E bit: the last packet of the event
	Volume   uint8  // power level in -dBm0, 0 (loud) to 63
	Duration uint16 // ticks of the clock since the packet's timestamp
}

var errShort = errors.New("dtmf: payload under four bytes")

// Parse reads the first event of p. Further bytes are ignored.
func Parse(p []byte) (Payload, error) { return Payload{}, errShort }

// Append appends the four bytes of p to dst.
func (p Payload) Append(dst []byte) []byte { return dst }

// Code returns the event code of a key: 0-9 * # A-D, also in lower case.
func Code(key byte) (code uint8, ok bool) { return 0, false }

// Key returns the key of an event code: one of "0123456789*#ABCD", ok false above 15.
func Key(code uint8) (key byte, ok bool) { return 0, false }

// Check says whether all characters of digits are keys. The error names the first that is not.
func Check(digits string) error { return nil }
