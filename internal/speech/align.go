package speech

import "math"

// locate is the lag at which a correlates best with b: b[n+lag] is a[n].
func locate(a, b []float64) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	f := newFFT(len(a) + len(b))
	c := f.correlate(a, b)
	lag, best := 0, 0.0
	for l := 1 - len(a); l < len(b); l++ {
		if v := real(c[(l+f.n)%f.n]); v > best {
			lag, best = l, v
		}
	}
	return lag
}

// aligner compares windows with the places where they should be.
type aligner struct {
	f     *fft
	reach int // lags both ways
}

// around is how many samples on each side a value between two lags is
// computed from.
const around = 16

func newAligner(window, reach int) *aligner {
	return &aligner{newFFT(window + 2*(reach+around)), reach}
}

// align finds the lag of at most reach at which the window is most like b
// around at, to an eighth of a sample: a path with a filter in it shifts by
// fractions.
func (al *aligner) align(window, b []float64, at int) (similarity, shift float64) {
	own := energy(window)
	region := make([]float64, len(window)+2*(al.reach+around)) // zero where nothing was heard
	from := at - al.reach - around
	for i := range region {
		if j := from + i; j >= 0 && j < len(b) {
			region[i] = b[j]
		}
	}
	there := runningEnergy(region, len(window))
	c := al.f.correlate(window, region)
	// alike is the similarity at a place in region, d of a sample further.
	alike := func(i int, v float64) float64 {
		if there[i] <= own*1e-9 || own == 0 { // nothing there
			return 0
		}
		return v / math.Sqrt(own*there[i])
	}
	coarse := math.Inf(-1)
	for i := around; i <= around+2*al.reach; i++ {
		coarse = max(coarse, alike(i, real(c[i])))
	}
	similarity = coarse
	for i := around; i <= around+2*al.reach; i++ {
		v := alike(i, real(c[i]))
		if v == similarity {
			shift = float64(i - around - al.reach)
		}
		if v < coarse/2 || v <= 0 {
			continue
		}
		for d := -0.5; d <= 0.5; d += 0.125 {
			if u := alike(i, between(c[i-around:i+around+1], d)); u > similarity {
				similarity, shift = u, float64(i-around-al.reach)+d
			}
		}
	}
	return similarity, shift
}

// between interpolates at d samples after the middle of c, whose band is
// limited.
func between(c []complex128, d float64) float64 {
	var sum float64
	for k, v := range c {
		x := float64(k-around) - d
		sum += real(v) * sinc(x) * (0.5 + 0.5*math.Cos(math.Pi*x/(around+1)))
	}
	return sum
}

// runningEnergy is the energy of each stretch of size samples.
func runningEnergy(x []float64, size int) []float64 {
	sums := make([]float64, len(x)+1)
	for i, v := range x {
		sums[i+1] = sums[i] + v*v
	}
	e := make([]float64, len(x)-size+1)
	for i := range e {
		e[i] = sums[i+size] - sums[i]
	}
	return e
}
