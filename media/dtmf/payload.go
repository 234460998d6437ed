package dtmf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Payload is the four bytes of a telephone-event (RFC 4733 section 2.3).
type Payload struct {
	Event    uint8  // 0-15: the keys 0-9 * # A-D
	End      bool   // the E bit: the last packet of the event
	Volume   uint8  // power level in -dBm0, 0 (loud) to 63
	Duration uint16 // ticks of the clock since the packet's timestamp
}

var errShort = errors.New("dtmf: payload under four bytes")

// Parse reads the first event of p. Further bytes and the reserved bit are ignored.
func Parse(p []byte) (Payload, error) {
	if len(p) < 4 {
		return Payload{}, errShort
	}
	return Payload{
		Event:    p[0],
		End:      p[1]&0x80 != 0,
		Volume:   p[1] & 0x3F,
		Duration: binary.BigEndian.Uint16(p[2:]),
	}, nil
}

// Append appends the four bytes of p to dst. A Volume above 63 becomes 63.
func (p Payload) Append(dst []byte) []byte {
	flags := min(p.Volume, 63)
	if p.End {
		flags |= 0x80
	}
	return binary.BigEndian.AppendUint16(append(dst, p.Event, flags), p.Duration)
}

const keys = "0123456789*#ABCD" // by event code (RFC 4733 section 3.2, table 3)

// Code returns the event code of a key: 0-9 * # A-D, also in lower case.
func Code(key byte) (code uint8, ok bool) {
	if 'a' <= key && key <= 'd' {
		key -= 'a' - 'A'
	}
	i := strings.IndexByte(keys, key)
	return uint8(max(i, 0)), i >= 0
}

// Key returns the key of an event code: one of "0123456789*#ABCD", ok false above 15.
func Key(code uint8) (key byte, ok bool) {
	if int(code) >= len(keys) {
		return 0, false
	}
	return keys[code], true
}

// Check says whether all characters of digits are keys. The error names the first that is not.
func Check(digits string) error {
	for i, r := range digits {
		if r > 'd' {
			return fmt.Errorf("dtmf: %q at %d is not a key: want 0-9 * # A-D", r, i)
		}
		if _, ok := Code(byte(r)); !ok {
			return fmt.Errorf("dtmf: %q at %d is not a key: want 0-9 * # A-D", r, i)
		}
	}
	return nil
}
