package speech

import "math"

const (
	bandTop  = 3400.0 // Hz; what a narrowband codec carries
	bandEdge = 1000.0 // the filter falls from half of this under bandTop
	emphasis = 0.9    // high-pass: pitch alone makes any two voices alike
)

// reduce keeps the telephone band of a signal, at 8 kHz or the next rate that
// divides the signal's.
func reduce(pcm []int16, rate int) (x []float64, reduced int) {
	step := max(1, rate/8000)
	taps := lowPass(float64(rate))
	half := len(taps) / 2
	x = make([]float64, (len(pcm)+step-1)/step)
	for n := range x {
		at := n*step - half
		lo, hi := max(0, -at), min(len(taps), len(pcm)-at)
		var sum float64
		for k := lo; k < hi; k++ {
			sum += taps[k] * float64(pcm[at+k])
		}
		x[n] = sum
	}
	before := 0.0
	for n, v := range x {
		x[n] = v - emphasis*before
		before = v
	}
	return x, rate / step
}

// lowPass is a windowed sinc of odd length with unit gain.
func lowPass(rate float64) []float64 {
	cut := min(bandTop-bandEdge/4, 0.45*rate) / rate
	half := int(1.65*rate/(bandEdge/2)) + 1 // Hamming: 3.3 samples per transition
	taps := make([]float64, 2*half+1)
	var sum float64
	for i := range taps {
		n := float64(i - half)
		taps[i] = sinc(2*cut*n) * (0.54 + 0.46*math.Cos(math.Pi*n/float64(half)))
		sum += taps[i]
	}
	for i := range taps {
		taps[i] /= sum
	}
	return taps
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
