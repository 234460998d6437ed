package speech

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

const rate = 16000

// voice reads one of the example's files: a WAV header of 44 bytes, then PCM.
func voice(t testing.TB, name string) []int16 {
	t.Helper()
	raw, err := os.ReadFile("../../examples/call/" + name + ".wav")
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 200_000 || string(raw[36:40]) != "data" || binary.LittleEndian.Uint32(raw[24:]) != rate {
		t.Fatalf("%s is not what the example needs", name)
	}
	pcm := make([]int16, (len(raw)-44)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[44+2*i:]))
	}
	return pcm
}

// path is something that happens to speech on its way.
type path func(pcm []int16) []int16

func each(f func(v float64) float64) path {
	return func(pcm []int16) []int16 {
		out := make([]int16, len(pcm))
		for i, v := range pcm {
			out[i] = int16(math.Round(min(max(f(float64(v)), -32768), 32767)))
		}
		return out
	}
}

func then(paths ...path) path {
	return func(pcm []int16) []int16 {
		for _, p := range paths {
			pcm = p(pcm)
		}
		return pcm
	}
}

func delayed(d time.Duration) path {
	return func(pcm []int16) []int16 { return append(make([]int16, samples(d, rate)), pcm...) }
}

// muLaw quantises as G.711 does, by the formula of its curve.
var muLaw = each(func(v float64) float64 {
	const mu = 255
	y := math.Copysign(math.Log1p(mu*math.Abs(v)/32768)/math.Log1p(mu), v)
	y = math.Round(y*127) / 127
	return math.Copysign(32768*(math.Pow(1+mu, math.Abs(y))-1)/mu, y)
})

// narrow passes the speech through 8 kHz and back.
func narrow(pcm []int16) []int16 {
	taps := lowPass(rate)
	filter := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for n := range y {
			at := n - len(taps)/2
			lo, hi := max(0, -at), min(len(taps), len(x)-at)
			for k, c := range taps[lo:hi] {
				y[n] += c * x[at+lo+k]
			}
		}
		return y
	}
	x := make([]float64, len(pcm))
	for i, v := range pcm {
		x[i] = float64(v)
	}
	x = filter(x)
	half := make([]int16, len(x)/2)
	for i := range half {
		half[i] = int16(x[2*i])
	}
	half = muLaw(half)
	clear(x)
	for i, v := range half {
		x[2*i] = 2 * float64(v)
	}
	x = filter(x)
	out := make([]int16, len(x))
	for i, v := range x {
		out[i] = int16(min(max(v, -32768), 32767))
	}
	return out
}

// halfSample delays by half a sample, as an asymmetric filter may.
func halfSample(pcm []int16) []int16 {
	var taps [64]float64
	for k := range taps {
		x := float64(k) - 31.5
		taps[k] = sinc(x) * (0.5 + 0.5*math.Cos(math.Pi*x/33))
	}
	out := make([]int16, len(pcm))
	for n := range len(pcm) - len(taps) {
		var sum float64
		for k, c := range taps {
			sum += c * float64(pcm[n+k])
		}
		out[n] = int16(min(max(sum, -32768), 32767))
	}
	return out
}

// noisy adds white noise at a distance in dB below the speech.
func noisy(snr float64) path {
	return func(pcm []int16) []int16 {
		var e float64
		for _, v := range pcm {
			e += float64(v) * float64(v)
		}
		level := math.Sqrt(e/float64(len(pcm))) * math.Pow(10, -snr/20)
		rng := rand.New(rand.NewPCG(1, 2))
		return each(func(v float64) float64 { return v + level*rng.NormFloat64() })(pcm)
	}
}

// losing replaces a share of the packets of 20 ms by silence.
func losing(share float64) path {
	return func(pcm []int16) []int16 {
		rng := rand.New(rand.NewPCG(3, 4))
		out := slices.Clone(pcm)
		for packet := range slices.Chunk(out, rate/50) {
			if rng.Float64() < share {
				clear(packet)
			}
		}
		return out
	}
}

// adapting is a jitter buffer that grows by 60 ms at two seconds.
func adapting(pcm []int16) []int16 {
	return slices.Concat(pcm[:2*rate], make([]int16, rate*60/1000), pcm[2*rate:])
}

func TestSameSpeech(t *testing.T) {
	for _, name := range []string{"alice", "bob"} {
		said := voice(t, name)
		for _, tc := range []struct {
			name  string
			path  path
			least float64 // median
		}{
			{"itself", then(), 0.9999},
			{"delayed", delayed(1234 * time.Millisecond), 0.9999},
			{"quiet", each(func(v float64) float64 { return v / 20 }), 0.99},
			{"louder and clipped", each(func(v float64) float64 { return 4 * v }), 0.9},
			{"G.711", muLaw, 0.99},
			{"G.711 at 8 kHz", then(delayed(700*time.Millisecond), narrow), 0.99},
			{"half a sample late", then(halfSample, narrow), 0.99},
			{"noise 20 dB below", noisy(20), 0.95},
			{"5% of the packets lost", then(delayed(time.Second), narrow, losing(0.05)), 0.93},
			{"jitter buffer that adapts", adapting, 0.95},
			{"start lost", func(pcm []int16) []int16 { return pcm[rate/4:] }, 0.9999},
			{"other sounds before and after", func(pcm []int16) []int16 {
				hello := voice(t, "alice")[:rate]
				return slices.Concat(hello, make([]int16, rate/2), pcm, hello)
			}, 0.99},
		} {
			t.Run(name+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				r := Compare(said, tc.path(said), rate, Options{})
				t.Log(r)
				if !r.OK() || r.Median < tc.least {
					t.Errorf("not OK, or median under %v: %v", tc.least, r)
				}
				if r.Unrelated() || r.Windows < 8 {
					t.Errorf("unrelated, or too few windows: %v", r)
				}
			})
		}
	}
}

func TestOtherSpeech(t *testing.T) {
	alice, bob := voice(t, "alice"), voice(t, "bob")
	for _, tc := range []struct {
		name        string
		said, heard []int16
		unrelated   bool
	}{
		{"bob for alice", alice, bob, true},
		{"alice for bob", bob, alice, true},
		{"bob for alice by telephone", alice, delayed(time.Second)(narrow(bob)), true},
		{"bob again and again for alice", alice, slices.Concat(bob, bob, bob), true},
		{"alice again and again for bob", bob, slices.Concat(alice, alice, alice), true},
		{"alice for bob by telephone", bob, delayed(time.Second)(narrow(alice)), true},
		{"other words of the same voice", alice[:len(alice)/2], alice[len(alice)/2:], true},
		{"silence", alice, make([]int16, len(alice)), true},
		{"nothing", alice, nil, true},
		{"noise", alice, noisy(-40)(alice), true},
		{"upside down", alice, each(func(v float64) float64 { return -v })(alice), false},
		{"half of it", alice, alice[:len(alice)/2], false},
		{"a third of the packets lost", alice, losing(0.33)(alice), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Compare(tc.said, tc.heard, rate, Options{})
			t.Log(r)
			if r.OK() {
				t.Errorf("OK: %v", r)
			}
			if tc.unrelated && !r.Unrelated() {
				t.Errorf("related: %v", r)
			}
		})
	}
}

func TestReport(t *testing.T) {
	said := voice(t, "alice")
	heard := slices.Clone(said)
	clear(heard[2*rate : 2*rate+rate/2]) // said at 2.0 to 2.5 s is not heard
	r := Compare(said, delayed(500*time.Millisecond)(heard), rate, Options{})
	if r.Offset != 500*time.Millisecond || r.Skipped != 300*time.Millisecond {
		t.Errorf("%v", r)
	}
	var bad []time.Duration
	for _, w := range r.Each {
		if w.Similarity < 0.99 {
			bad = append(bad, w.At)
		} else if w.Shift != 0 {
			t.Errorf("at %v: shifted by %v", w.At, w.Shift)
		}
	}
	if want := []time.Duration{1800 * time.Millisecond, 2300 * time.Millisecond}; !slices.Equal(bad, want) {
		t.Errorf("bad windows at %v, want %v", bad, want)
	}
	if r.Onset < 0.99 {
		t.Errorf("onset %v", r.Onset)
	}
}

func TestSkipAndTail(t *testing.T) {
	said := voice(t, "alice")[:3*rate]
	for _, tc := range []struct {
		opt     Options
		windows int
	}{
		{Options{}, 5},
		{Options{Skip: -1}, 6},
		{Options{Skip: time.Second}, 4},
		{Options{Tail: 700 * time.Millisecond}, 4},
		{Options{Tail: time.Hour}, 0},
		{Options{Skip: time.Hour}, 0},
	} {
		if r := Compare(said, said, rate, tc.opt); r.Windows != tc.windows {
			t.Errorf("%+v: %d windows, want %d", tc.opt, r.Windows, tc.windows)
		}
	}
	pause := slices.Concat(said, make([]int16, 3*rate), said)
	if r := Compare(pause, pause, rate, Options{Skip: -1}); r.Windows != 12 {
		t.Errorf("with a pause: %d windows, want 12", r.Windows)
	}
}

func TestRates(t *testing.T) {
	said := voice(t, "bob")
	for _, to := range []int{8000, 11025, 16000, 44100, 48000} {
		x := make([]int16, len(said)*to/rate)
		for i := range x { // nearest neighbour: what it adds lies above the band
			x[i] = said[min(i*rate/to, len(said)-1)]
		}
		r := Compare(x, append(make([]int16, to), x...), to, Options{})
		if !r.OK() || (r.Offset-time.Second).Abs() > time.Millisecond {
			t.Errorf("%d Hz: %v", to, r)
		}
	}
}

func TestFFT(t *testing.T) {
	a, b := []float64{1, 2, -3}, []float64{0, 4, 1, 2, -3, 5}
	f := newFFT(len(a) + len(b))
	c := f.correlate(a, b)
	for lag := 1 - len(a); lag < len(b); lag++ {
		var want float64
		for n, v := range a {
			if i := n + lag; i >= 0 && i < len(b) {
				want += v * b[i]
			}
		}
		if got := real(c[(lag+f.n)%f.n]); math.Abs(got-want) > 1e-9 {
			t.Errorf("lag %d: got %v, want %v", lag, got, want)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	said := slices.Concat(voice(b, "alice"), voice(b, "bob"))[:10*rate]
	heard := delayed(time.Second)(said)
	b.ReportAllocs()
	for b.Loop() {
		Compare(said, heard, rate, Options{})
	}
}
