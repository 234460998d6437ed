package resample

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Limits of New.
const (
	minRate   = 8000
	maxRate   = 192000
	maxPhases = 1024
)

const (
	half  = 16  // periods of the lower rate on each side of the filter's middle
	beta  = 6.2 // of the Kaiser window: 65 dB
	unit  = 28  // bits after the point of a coefficient
	block = 480 // samples taken in at once
)

// Resampler converts one mono stream from one sampling rate to another. It keeps the end of
// what it was given for the next call: output does not depend on how the stream is cut.
// It has one user at a time.
type Resampler struct {
	from, to int
	up, down int         // to and from without their common divisor
	taps     int         // of each phase
	filter   []int32     // up phases of so many taps, the last for the newest sample
	pairs    [half]int32 // half of the taps that are not 0, for ratios of two: the rest mirrors them
	middle   int32       // but for this one, when halving
	input    []int16     // the past taps-1 samples, then room for a block
	phase    int         // of the next output
	skip     int         // input samples until it
}

var errRatio = errors.New("the ratio of the rates has terms over 1024")

// New returns a Resampler between two rates from 8000 to 192000 Hz. from and to may be
// the same, then samples pass unchanged and without delay.
func New(from, to int) (*Resampler, error) {
	for _, rate := range [...]int{from, to} {
		if rate < minRate || rate > maxRate {
			return nil, fmt.Errorf("resample: rate %d Hz: want %d to %d", rate, minRate, maxRate)
		}
	}
	g := divisor(from, to)
	r := &Resampler{from: from, to: to, up: to / g, down: from / g}
	if from == to {
		return r, nil
	}
	if max(r.up, r.down) > maxPhases {
		return nil, fmt.Errorf("resample: %d Hz to %d Hz: %w", from, to, errRatio)
	}
	r.design()
	r.input = make([]int16, r.taps-1+block)
	return r, nil
}

func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// design samples the filter on the grid of up*from: its middle is a whole number of steps in, and
// tap k of phase p lies at k*up+p.
func (r *Resampler) design() {
	period := max(r.up, r.down) // of the lower rate, on the grid
	middle := half * period
	r.taps = 2*middle/r.up + 1
	r.filter = make([]int32, r.up*r.taps)
	h := make([]float64, r.taps)
	for p := range r.up {
		sum := 0.0
		for k := range h {
			h[k] = 0
			if x := float64(k*r.up+p-middle) / float64(period); math.Abs(x) <= half {
				h[k] = sinc(x) * kaiser(x/half)
			}
			sum += h[k]
		}
		// Each phase has the gain 1 at 0 Hz, exactly: the rounding goes to the largest tap.
		row := r.filter[p*r.taps:][:r.taps]
		rest, largest := int32(1<<unit), 0
		for k, v := range h {
			at := r.taps - 1 - k
			row[at] = int32(math.Round(v / sum * (1 << unit)))
			rest -= row[at]
			if row[at] > row[largest] {
				largest = at
			}
		}
		row[largest] += rest
	}
	if r.up*r.down == 2 { // the last phase has them in either direction
		row := r.filter[(r.up-1)*r.taps:]
		for i := range r.pairs {
			r.pairs[i] = row[1+i*r.down]
		}
		r.middle = row[r.taps/2]
	}
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window at x from -1 to 1.
func kaiser(x float64) float64 { return bessel(beta*math.Sqrt(max(0, 1-x*x))) / bessel(beta) }

// bessel is the modified Bessel function of the first kind and order 0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

// Append converts src, appends to dst all output that src allows and returns it. Output k belongs
// to the time of input k*from/to, so that n samples of a stream have given n*to/from of output,
// rounded up. With enough capacity in dst it allocates nothing. dst and src must not overlap.
func (r *Resampler) Append(dst, src []int16) []int16 {
	if r.filter == nil {
		return append(dst, src...)
	}
	dst = slices.Grow(dst, len(src)*r.up/r.down+1)
	for len(src) > 0 {
		n := copy(r.input[r.taps-1:], src)
		src = src[n:]
		dst = r.convert(dst, n)
		copy(r.input, r.input[n:][:r.taps-1])
	}
	return dst
}

// convert filters the n samples of a block.
func (r *Resampler) convert(dst []int16, n int) []int16 {
	at, phase, taps := r.skip, r.phase, r.taps
	for at < n {
		x := r.input[at:][:taps]
		var y int
		switch {
		case phase == 0 && r.down == 1: // all taps but the middle one are 0: the sample itself
			y = int(x[taps-1-half]) << unit
		case r.up == 2 && r.down == 1:
			y = between(&r.pairs, (*[2 * half]int16)(x[1:]))
		case r.up == 1 && r.down == 2:
			y = halve(&r.pairs, r.middle, (*[4*half + 1]int16)(x))
		default:
			y = dot(r.filter[phase*taps:][:taps], x)
		}
		y = (y + 1<<(unit-1)) >> unit
		dst = append(dst, int16(max(min(y, math.MaxInt16), math.MinInt16)))
		for phase += r.down; phase >= r.up; phase -= r.up {
			at++
		}
	}
	r.skip, r.phase = at-n, phase
	return dst
}

// Delay is how much later a signal leaves than it came in; the same for all frequencies.
func (r *Resampler) Delay() time.Duration {
	if r.filter == nil {
		return 0
	}
	return half * time.Second / time.Duration(min(r.from, r.to))
}

// Reset forgets the stream, as for a new one.
func (r *Resampler) Reset() {
	clear(r.input)
	r.phase, r.skip = 0, 0
}
