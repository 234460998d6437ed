package speech

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Options says what of the signals counts. The zero value is the measure that
// the examples and tests use.
type Options struct {
	Skip time.Duration // of what was said, from its start, not judged; default 300 ms, negative: none
	Tail time.Duration // of what was said, up to its end, not judged: what was under way when the call ended; default none
}

const (
	windowLength = 500 * time.Millisecond
	alignment    = 100 * time.Millisecond // each window's own, both ways
	defaultSkip  = 300 * time.Millisecond

	enoughWindows = 4   // two seconds of speech
	likeness      = 0.9 // median of the same speech
	good          = 0.8 // a window that came through
	goodShare     = 0.9
	unlikeness    = 0.3 // median of other speech is below
)

// Window is one window of speech.
type Window struct {
	At         time.Duration // in what was said
	Shift      time.Duration // later (or, negative, earlier) in what was heard than Report.Offset says
	Similarity float64       // -1..1
}

// Report is what Compare found.
type Report struct {
	Windows int           // with speech
	Each    []Window      // these, in order
	Median  float64       // of their similarities; 0 without windows
	Share80 float64       // of the windows: similarity of 0.8 and more
	Skipped time.Duration // from the start of what was said, not judged
	Onset   float64       // similarity of the skipped part, if there was speech
	Offset  time.Duration // where what was said starts in what was heard
}

// OK tells whether what was said was heard: median at least 0.9, nine windows
// of ten at least 0.8, two seconds of speech at least.
func (r Report) OK() bool {
	return r.Windows >= enoughWindows && r.Median >= likeness && r.Share80 >= goodShare
}

// Unrelated tells whether what was heard is not what was said: median under
// 0.3, two seconds of speech at least. It is what a comparison with somebody
// else's words must give.
func (r Report) Unrelated() bool { return r.Windows >= enoughWindows && r.Median < unlikeness }

// String is one line for people.
func (r Report) String() string {
	return fmt.Sprintf("median %.3f, %.0f%% of %d windows at 0.8 or more, found at %v, first %v not judged (%.2f)",
		r.Median, 100*r.Share80, r.Windows, r.Offset.Round(time.Millisecond), r.Skipped, r.Onset)
}

// Compare measures how much of what was said is in what was heard. Both are
// PCM of one channel at the same rate in Hz, 8000 or more.
func Compare(said, heard []int16, rate int, opt Options) Report {
	skip := opt.Skip
	switch {
	case skip == 0:
		skip = defaultSkip
	case skip < 0:
		skip = 0
	}
	said = said[:max(0, len(said)-samples(opt.Tail, rate))]
	a, reduced := reduce(said, rate)
	b, _ := reduce(heard, rate)

	r := Report{Skipped: skip}
	offset := locate(a, b)
	r.Offset = duration(offset, reduced)
	size, first := samples(windowLength, reduced), samples(skip, reduced)
	active := newGate(a, reduced)
	al := newAligner(size, samples(alignment, reduced))
	if first > 0 && first <= min(size, len(a)) && active.speech(0, first) {
		r.Onset, _ = al.align(a[:first], b, offset)
	}
	for at := first; at+size <= len(a); at += size {
		if !active.speech(at, at+size) {
			continue
		}
		similarity, shift := al.align(a[at:at+size], b, at+offset)
		r.Each = append(r.Each, Window{
			At:         duration(at, reduced),
			Shift:      time.Duration(shift / float64(reduced) * float64(time.Second)),
			Similarity: similarity,
		})
	}
	r.Windows = len(r.Each)
	r.Median, r.Share80 = summary(r.Each)
	return r
}

func summary(windows []Window) (median, share float64) {
	if len(windows) == 0 {
		return 0, 0
	}
	all := make([]float64, len(windows))
	passed := 0
	for i, w := range windows {
		all[i] = w.Similarity
		if w.Similarity >= good {
			passed++
		}
	}
	slices.Sort(all)
	mid := len(all) / 2
	median = all[mid]
	if len(all)%2 == 0 {
		median = (all[mid-1] + all[mid]) / 2
	}
	return median, float64(passed) / float64(len(all))
}

func samples(d time.Duration, rate int) int {
	return int(math.Round(d.Seconds() * float64(rate)))
}

func duration(n, rate int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(rate)
}

// gate tells where in a signal there is speech.
type gate struct {
	loud  []bool // frames of 20 ms
	frame int
}

const (
	gateBelow = 1e-3 // 30 dB under the loud frames
	gateFloor = 25   // mean square, some -76 dB of full scale: silence has no loud frames
)

func newGate(x []float64, rate int) gate {
	g := gate{frame: rate / 50}
	var energies []float64
	for at := 0; at+g.frame <= len(x); at += g.frame {
		energies = append(energies, energy(x[at:at+g.frame])/float64(g.frame))
	}
	if len(energies) == 0 {
		return g
	}
	loudest := slices.Clone(energies)
	slices.Sort(loudest)
	threshold := max(gateFloor, gateBelow*loudest[len(loudest)*19/20])
	for _, e := range energies {
		g.loud = append(g.loud, e > threshold)
	}
	return g
}

// speech tells whether at least half the frames from sample i to j are loud.
func (g gate) speech(i, j int) bool {
	frames := g.loud[min(i/g.frame, len(g.loud)):min(j/g.frame, len(g.loud))]
	loud := 0
	for _, l := range frames {
		if l {
			loud++
		}
	}
	return len(frames) > 0 && 2*loud >= len(frames)
}

func energy(x []float64) float64 {
	var e float64
	for _, v := range x {
		e += v * v
	}
	return e
}
