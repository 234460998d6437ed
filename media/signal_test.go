package media

import (
	"math"
	"testing"
)

// speech is a deterministic speech-like signal: a gliding pitch with harmonics
// under formants, in syllables with pauses.
func speech(rate int, seconds float64) []int16 {
	pcm := make([]int16, int(float64(rate)*seconds))
	var weight [26]float64 // of the harmonics, at the middle pitch
	for k := range weight {
		f := 120 * float64(k)
		weight[k] = bell(f-600, 250) + 0.5*bell(f-1700, 300) + 0.05
	}
	phase := 0.0
	for i := range pcm {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (110 + 15*math.Sin(2*math.Pi*0.7*t)) / float64(rate)
		v, sin, last, twice := 0.0, math.Sin(phase), 0.0, 2*math.Cos(phase)
		for k := 1; k < len(weight); k++ {
			v += weight[k] * sin
			sin, last = twice*sin-last, sin // sin((k+1)x)
		}
		envelope := math.Max(0, math.Sin(2*math.Pi*2.5*t)) // syllables
		pcm[i] = int16(2500 * v * envelope)
	}
	return pcm
}

// compare finds the delay of got against sent with the best correlation and
// returns correlation and signal-to-noise ratio in dB (gain fitted).
func compare(tb testing.TB, sent, got []int16, maxDelay int) (delay int, corr, snr float64) {
	tb.Helper()
	n := min(len(sent), len(got)-maxDelay)
	if n < 1000 {
		tb.Fatalf("only %d samples to compare (sent %d, got %d)", n, len(sent), len(got))
	}
	score := func(d, step int) float64 {
		var xy, xx, yy float64
		for i := 0; i < n; i += step {
			x, y := float64(sent[i]), float64(got[i+d])
			xy, xx, yy = xy+x*y, xx+x*x, yy+y*y
		}
		if xx == 0 || yy == 0 {
			return 0
		}
		return xy / math.Sqrt(xx*yy)
	}
	for d := range maxDelay {
		if c := score(d, max(7, n/2000)); c > corr {
			corr, delay = c, d
		}
	}
	best, at := 0.0, delay
	for d := max(0, delay-3); d < min(maxDelay, delay+4); d++ {
		if c := score(d, 1); c > best {
			best, at = c, d
		}
	}
	return at, best, 10 * math.Log10(best*best/(1-best*best))
}

// bell is 1 at 0 and falls off over width.
func bell(x, width float64) float64 { return math.Exp(-x * x / (width * width)) }
