package resample

import (
	"fmt"
	"time"
)

// Resampler converts one mono stream from one sampling rate to another. It keeps the end of
// what it was given for the next call: output does not depend on how the stream is cut.
// It has one user at a time.
type Resampler struct {
	from, to int
}

// New returns a Resampler between two of the rates 8000, 16000 and 48000; from and to may be
// the same, then samples pass unchanged and without delay.
func New(from, to int) (*Resampler, error) {
	for _, rate := range [...]int{from, to} {
		switch rate {
		case 8000, 16000, 48000:
		default:
			return nil, fmt.Errorf("resample: rate %d Hz: want 8000, 16000 or 48000", rate)
		}
	}
	return &Resampler{from: from, to: to}, nil
}

// Append converts src, appends to dst what can be said of the output so far and returns it.
// Over a stream the number of samples is exactly len(src)*to/from, rounded up or down by one
// step of the ratio. With enough capacity in dst it allocates nothing. dst and src must not
// overlap.
func (r *Resampler) Append(dst, src []int16) []int16 { return append(dst, src...) }

// Delay is how much later a signal leaves than it came in; the same for all frequencies.
func (r *Resampler) Delay() time.Duration { return 0 }

// Reset forgets the stream, as for a new one.
func (r *Resampler) Reset() {}
