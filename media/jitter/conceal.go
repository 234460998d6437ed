package jitter

import "math"

// Concealer fills the places of lost frames in a stream of decoded mono audio, by repeating the
// last pitch period as G.711 appendix I does, but without delaying the audio. It has one user at
// a time.
type Concealer struct {
	rate    int
	history []int16 // what was heard last, newest at the end
	period  []int16 // what is repeated while something is missing; its capacity is the longest
	missing bool    // the period is in use
	pos     int     // next sample of period
	ticks   int     // samples made since the loss began
	gain    float32
	jump    float32 // step between what was heard and the period, worn off in the first samples
}

// Times of our own; appendix I has 10 ms and 60 ms too.
const (
	holdMS    = 10 // the substitute keeps its level so long
	silentMS  = 60 // and is silent after
	overlapMS = 5  // substitute and audio overlap so long where they meet
	longestMS = 15 // pitch period, 66 Hz
	matchMS   = 20 // what must resemble itself one period earlier
)

// NewConcealer returns a Concealer for rate samples a second (8000 to 48000).
func NewConcealer(rate int) *Concealer {
	rate = max(min(rate, 48000), 8000)
	return &Concealer{
		rate:    rate,
		history: make([]int16, (longestMS+matchMS+overlapMS)*rate/1000),
		period:  make([]int16, 0, longestMS*rate/1000),
	}
}

// Good tells of a decoded frame. After a loss it changes the first milliseconds of frame, so that
// the substitute passes into it without a click.
func (c *Concealer) Good(frame []int16) {
	if c.missing {
		n := min(overlapMS*c.rate/1000, len(frame))
		step := 1 / float32(n+1)
		w := step
		for i, s := range frame[:n] {
			frame[i] = int16(w*float32(s) + (1-w)*c.next(silentMS))
			w += step
		}
		c.missing = len(frame) == 0
	}
	c.heard(frame)
}

// Lost fills dst with a continuation of what was heard, which fades to silence within 60 ms
// of loss. dst may have any length.
func (c *Concealer) Lost(dst []int16) { c.fill(dst, silentMS) }

// Silence fills dst where nothing is due (status Wait): what was heard fades out quickly
// instead of breaking off.
func (c *Concealer) Silence(dst []int16) { c.fill(dst, holdMS+overlapMS) }

// Splice says that the next good frame does not follow the last one (Frame.Spliced): Good then
// passes from one to the other without a click.
func (c *Concealer) Splice() {
	if !c.missing {
		c.begin()
	}
}

// Reset forgets what was heard.
func (c *Concealer) Reset() {
	clear(c.history)
	c.missing = false
}

// fill makes a substitute that is silent after the given time from the beginning of the loss.
func (c *Concealer) fill(dst []int16, silent int) {
	if !c.missing {
		c.begin()
	}
	for i := range dst {
		if c.gain <= 0 {
			clear(dst[i:])
			break
		}
		dst[i] = int16(c.next(silent))
	}
	c.heard(dst)
}

// heard keeps the end of what goes to the listener.
func (c *Concealer) heard(frame []int16) {
	if n := len(c.history) - len(frame); n > 0 {
		copy(c.history, c.history[len(frame):])
		copy(c.history[n:], frame)
		return
	}
	copy(c.history, frame[len(frame)-len(c.history):])
}

// next returns the next sample of the substitute.
func (c *Concealer) next(silent int) float32 {
	if c.gain <= 0 {
		return 0
	}
	s := float32(c.period[c.pos])
	if c.pos++; c.pos == len(c.period) {
		c.pos = 0
	}
	if wear := c.rate * overlapMS / 2000; c.ticks < wear {
		s += c.jump * float32(wear-c.ticks) / float32(wear)
	}
	s = max(min(s*c.gain, math.MaxInt16), math.MinInt16)
	if c.ticks++; c.ticks > holdMS*c.rate/1000 || silent < silentMS {
		c.gain -= 1000 / float32((silent-holdMS)*c.rate)
	}
	return s
}

// begin prepares the period that is repeated from now on.
func (c *Concealer) begin() {
	c.missing, c.pos, c.ticks, c.gain = true, 0, 0, 1
	h, p := c.history, c.pitch()
	end := len(h)
	c.period = append(c.period[:0], h[end-p:]...)
	// The end of the period passes into what preceded it, so that it can follow itself.
	n := p / 4
	for i := range n {
		w := float32(i+1) / float32(n+1)
		at := p - n + i
		c.period[at] = int16((1-w)*float32(c.period[at]) + w*float32(h[end-p-n+i]))
	}
	c.jump = float32(h[end-1]) - float32(h[end-p-1])
}

// pitch returns the distance at which the end of the history resembles itself most.
func (c *Concealer) pitch() int {
	// A coarse search at 8000 samples a second.
	const (
		longest = longestMS * 8
		match   = matchMS * 8
		total   = longest + match
	)
	var x [total]float32
	k := c.rate / 8000
	tail := c.history[len(c.history)-total*k:]
	for i := range x {
		var sum float32
		for _, s := range tail[i*k : i*k+k] {
			sum += float32(s)
		}
		x[i] = sum
	}
	recent := x[longest:]
	lag, best := longest, float32(0.3) // what resembles nothing is noise: then the longest period
	energy := float32(1)
	for _, s := range x[longest-20 : total-20] {
		energy += s * s
	}
	own := float32(1)
	for _, s := range recent {
		own += s * s
	}
	for l := 20; l <= longest; l++ {
		earlier := x[longest-l:][:match]
		var dot float32
		for i, s := range recent[:len(earlier)] {
			dot += s * earlier[i]
		}
		if r := dot / float32(math.Sqrt(float64(energy)*float64(own))); r > best {
			lag, best = l, r
		}
		if l < longest { // the window moves one sample into the past
			in, out := x[longest-l-1], x[total-l-1]
			energy = max(energy+in*in-out*out, 1)
		}
	}
	if k == 1 || best == 0.3 {
		return lag * k
	}
	return c.refine(lag*k, k)
}

// refine searches around lag at the full rate.
func (c *Concealer) refine(lag, k int) int {
	h := c.history
	n := matchMS * c.rate / 2000
	recent := h[len(h)-n:]
	best, found := float32(math.Inf(1)), lag
	for l := max(lag-k, 1); l <= min(lag+k, cap(c.period)); l++ {
		earlier := h[len(h)-n-l:][:n]
		var diff float32
		for i, s := range recent[:len(earlier)] {
			d := float32(s) - float32(earlier[i])
			diff += d * d
		}
		if diff < best {
			best, found = diff, l
		}
	}
	return found
}
