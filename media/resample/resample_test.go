package resample

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func tone(rate int, hertz, amplitude float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return pcm
}

func pairs() [][2]int {
	return [][2]int{
		{8000, 16000},
		{16000, 8000},
		{8000, 48000},
		{48000, 8000},
		{16000, 48000},
		{48000, 16000},
		{44100, 16000},
		{44100, 8000},
		{16000, 44100},
		{11025, 8000},
		{24000, 16000},
		{22050, 48000},
	}
}

func mustNew(t testing.TB, from, to int) *Resampler {
	t.Helper()
	r, err := New(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// measure returns how the tone comes out: its gain in dB, and the ratio of the tone to all else.
func measure(pcm []int16, rate int, hertz, amplitude float64) (gain, ratio float64) {
	n := len(pcm)
	pcm = pcm[n/4 : n/4+n/2]
	var re, im float64
	for i, s := range pcm {
		w := 2 * math.Pi * hertz * float64(i) / float64(rate)
		re += float64(s) * math.Cos(w)
		im += float64(s) * math.Sin(w)
	}
	re, im = re*2/float64(len(pcm)), im*2/float64(len(pcm))
	var noise float64
	for i, s := range pcm {
		w := 2 * math.Pi * hertz * float64(i) / float64(rate)
		d := float64(s) - re*math.Cos(w) - im*math.Sin(w)
		noise += d * d
	}
	a := math.Hypot(re, im)
	return 20 * math.Log10(a/amplitude), 10 * math.Log10(a*a/2/(noise/float64(len(pcm))))
}

func TestPassband(t *testing.T) {
	for _, p := range pairs() {
		from, to := p[0], p[1]
		t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
			band := float64(min(from, to)) / 2
			for _, hertz := range []float64{100, 1000, 0.5 * band, 0.85 * band, 0.875 * band} {
				out := mustNew(t, from, to).Append(nil, tone(from, hertz, 10000, from))
				gain, ratio := measure(out, to, hertz, 10000)
				if math.Abs(gain) > 0.1 {
					t.Errorf("%.0f Hz: gain %.3f dB, want at most 0.1", hertz, gain)
				}
				if ratio < 60 {
					t.Errorf("%.0f Hz: signal to noise and images %.1f dB, want 60", hertz, ratio)
				}
			}
		})
	}
}

// What lies above the lower band would come back folded into it.
func TestAliases(t *testing.T) {
	for _, p := range pairs() {
		from, to := p[0], p[1]
		if from <= to {
			continue
		}
		t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
			for hertz := 1.125 * float64(to) / 2; hertz < float64(from)/2; hertz += 317 {
				loudest := 0
				for _, s := range mustNew(t, from, to).Append(nil, tone(from, hertz, 30000, from/4))[100:] {
					loudest = max(loudest, int(s), -int(s))
				}
				if db := 20 * math.Log10(float64(loudest)/30000); db > -60 {
					t.Errorf("%.0f Hz comes through with %.1f dB, want -60", hertz, db)
				}
			}
		})
	}
}

func TestDelay(t *testing.T) {
	for _, p := range pairs() {
		from, to := p[0], p[1]
		r := mustNew(t, from, to)
		const hertz = 300
		out := r.Append(nil, tone(from, hertz, 10000, from))
		// The phase of the output tells how much later it is.
		var re, im float64
		n := len(out) / 2
		for i := n; i < len(out); i++ {
			w := 2 * math.Pi * hertz * float64(i) / float64(to)
			re += float64(out[i]) * math.Cos(w)
			im += float64(out[i]) * math.Sin(w)
		}
		late := math.Mod(-math.Atan2(re, im)/(2*math.Pi*hertz)+1.0/hertz, 1.0/hertz)
		want := math.Mod(r.Delay().Seconds(), 1.0/hertz)
		if math.Abs(late-want) > 2e-6 {
			t.Errorf("%d to %d: delay %.6f s, Delay says %v", from, to, late, r.Delay())
		}
	}
	if d := mustNew(t, 8000, 16000).Delay(); d != 2*time.Millisecond {
		t.Errorf("delay at 8000 Hz is %v, want 2 ms", d)
	}
}

// However the stream is cut, the result is the same.
func TestChunks(t *testing.T) {
	for _, p := range pairs() {
		from, to := p[0], p[1]
		pcm := tone(from, 440, 20000, from/2)
		r := mustNew(t, from, to)
		want := r.Append(nil, pcm)
		if n := (len(pcm)*to + from - 1) / from; len(want) != n {
			t.Errorf("%d to %d: %d samples became %d, want %d", from, to, len(pcm), len(want), n)
		}
		r.Reset()
		var got []int16
		for i, n := 0, 1; i < len(pcm); n = n*7%1201 + 1 {
			end := min(i+n, len(pcm))
			got = r.Append(got, pcm[i:end])
			i = end
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d to %d: in pieces it differs from all at once", from, to)
		}
	}
}

// A frame of 20 ms always becomes a frame of 20 ms.
func TestFrames(t *testing.T) {
	for _, from := range []int{8000, 16000, 48000} {
		for _, to := range []int{8000, 16000, 48000} {
			r := mustNew(t, from, to)
			for i := range 10 {
				if n := len(r.Append(nil, make([]int16, from/50))); n != to/50 {
					t.Fatalf("%d to %d: frame %d has %d samples, want %d", from, to, i, n, to/50)
				}
			}
		}
	}
}

func TestSteadyAndLoud(t *testing.T) {
	for _, p := range pairs() {
		r := mustNew(t, p[0], p[1])
		pcm := make([]int16, p[0]/4)
		for i := range pcm {
			pcm[i] = 12345
		}
		for i, s := range r.Append(nil, pcm)[200:] {
			if s != 12345 {
				t.Fatalf("%v: a steady 12345 came out as %d at %d", p, s, i)
			}
		}
		for i := range pcm { // a square wave overshoots
			pcm[i] = int16(math.MaxInt16 - (i/30%2)*0xFFFF)
		}
		last := 0
		for _, s := range r.Append(nil, pcm)[200:] {
			if d := int(s) - last; p[0] < p[1] && (d > 60000 || d < -60000) {
				t.Fatalf("%v: %d follows %d: wrapped around", p, s, last)
			}
			last = int(s)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, p := range [][2]int{{0, 8000}, {8000, -1}, {8000, 1 << 30}, {7999, 8000}, {47999, 48000}} {
		if _, err := New(p[0], p[1]); err == nil {
			t.Errorf("New(%d, %d) works", p[0], p[1])
		}
	}
}

func TestNoAllocation(t *testing.T) {
	for _, p := range pairs() {
		r := mustNew(t, p[0], p[1])
		src, dst := make([]int16, p[0]/50), make([]int16, 0, p[1]/50+2)
		if n := testing.AllocsPerRun(100, func() { r.Append(dst, src) }); n != 0 {
			t.Errorf("%v: %v allocations per frame", p, n)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(uint16(8000), uint16(16000), []byte{1, 2, 3})
	f.Add(uint16(44100), uint16(8000), make([]byte, 2000))
	f.Fuzz(func(t *testing.T, from, to uint16, p []byte) {
		r, err := New(int(from), int(to))
		if err != nil {
			return
		}
		pcm := make([]int16, len(p))
		for i, c := range p {
			pcm[i] = int16(c) << 8
		}
		want := (len(pcm)*int(to) + int(from) - 1) / int(from)
		if got := len(r.Append(nil, pcm)); got != want {
			t.Fatalf("%d to %d: %d samples became %d, want %d", from, to, len(pcm), got, want)
		}
	})
}

func BenchmarkAppend20ms(b *testing.B) {
	for _, p := range pairs()[:7] {
		b.Run(fmt.Sprint(p[0], " to ", p[1]), func(b *testing.B) {
			r := mustNew(b, p[0], p[1])
			src, dst := tone(p[0], 440, 10000, p[0]/50), make([]int16, 0, p[1]/50+2)
			b.ReportAllocs()
			for b.Loop() {
				r.Append(dst, src)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustNew(b, 8000, 16000)
	}
}

func Example() {
	up, err := New(8000, 16000)
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := make([]int16, 160) // 20 ms
	fmt.Println(len(up.Append(nil, frame)), up.Delay())
	// Output: 320 2ms
}
