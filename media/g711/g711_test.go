package g711

import (
	"fmt"
	"math"
	"testing"
)

// The tables of the recommendation, built the way it explains them and not the way the code works:
// 8 chords of 16 intervals, each chord with twice the step of the one below (A-law: from the second
// on); an output value lies in the middle of its interval. In units of a 16 bit sample, up from zero.
func table(law string) (decisions [129]int, outputs [128]int) {
	low, unit := 0, 8 // A-law: 13 bit values
	if law == "mu" {
		low, unit = -1, 4 // 14 bit values; the first interval reaches as far below zero as above
	}
	for i := range outputs {
		chord := i / 16
		if law == "A" {
			chord = max(chord-1, 0)
		}
		step := 2 << chord
		decisions[i] = low * unit
		outputs[i] = (low + step/2) * unit
		low += step
	}
	decisions[128] = low * unit
	return decisions, outputs
}

type law struct {
	name   string
	values [256]int // by code
	lowest [256]int // the decision value towards zero, by code
	encode func([]byte, []int16) []byte
	decode func([]int16, []byte) []int16
}

func laws() []law {
	mu := law{name: "mu-law", encode: EncodeULaw, decode: DecodeULaw}
	decisions, outputs := table("mu")
	for i, v := range outputs {
		// "the character signal ... is inverted": 0xFF is +0, 0x80 the loudest positive value.
		mu.values[0xFF-i], mu.lowest[0xFF-i] = v, decisions[i]
		mu.values[0x7F-i], mu.lowest[0x7F-i] = -v, -decisions[i]
	}
	a := law{name: "A-law", encode: EncodeALaw, decode: DecodeALaw}
	decisions, outputs = table("A")
	for i, v := range outputs {
		a.values[(0x80|i)^0x55], a.lowest[(0x80|i)^0x55] = v, decisions[i]
		a.values[i^0x55], a.lowest[i^0x55] = -v, -decisions[i]
	}
	return []law{mu, a}
}

func all() []int16 {
	pcm := make([]int16, 0, 1<<16)
	for s := math.MinInt16; s <= math.MaxInt16; s++ {
		pcm = append(pcm, int16(s))
	}
	return pcm
}

func TestG711OutputValues(t *testing.T) {
	for _, l := range laws() {
		for code, want := range l.values {
			if got := l.decode(nil, []byte{byte(code)}); len(got) != 1 || int(got[0]) != want {
				t.Errorf("%s: code %#02x decodes to %v, the table says %d", l.name, code, got, want)
			}
		}
	}
}

// Every sample gets the code of the interval it lies in; on a decision value, of the upper interval.
func TestG711DecisionValues(t *testing.T) {
	for _, l := range laws() {
		pcm := all()
		codes := l.encode(nil, pcm)
		for i, s := range pcm {
			best := -1
			for code, low := range l.lowest {
				positive := code&0x80 != 0 // in both laws the first bit is 1 for positive
				switch {
				case positive != (s >= 0):
				case positive && int(s) >= low && (best < 0 || low > l.lowest[best]):
					best = code
				case !positive && int(s) < low && (best < 0 || low < l.lowest[best]):
					best = code
				}
			}
			if int(codes[i]) != best {
				t.Fatalf("%s: sample %d becomes %#02x (%d), want %#02x (%d)", l.name, s, codes[i], l.values[codes[i]], best, l.values[best])
			}
		}
	}
}

func TestG711RoundTrip(t *testing.T) {
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) {
			codes := make([]byte, 256)
			for i := range codes {
				codes[i] = byte(i)
			}
			for i, c := range l.encode(nil, l.decode(nil, codes)) {
				if want := codes[i]; c != want && !(l.name == "mu-law" && want == 0x7F && c == 0xFF) { // -0 is 0
					t.Errorf("code %#02x comes back as %#02x", want, c)
				}
			}
			pcm := all()
			out := l.decode(nil, l.encode(nil, pcm))
			for i := 1; i < len(out); i++ {
				if out[i] < out[i-1] {
					t.Fatalf("not monotone: %d becomes %d, %d becomes %d", pcm[i-1], out[i-1], pcm[i], out[i])
				}
			}
			again := l.decode(nil, l.encode(nil, out))
			for i := range out {
				if again[i] != out[i] {
					t.Fatalf("coding %d twice changes it from %d to %d", pcm[i], out[i], again[i])
				}
			}
		})
	}
}

func TestG711Silence(t *testing.T) {
	if got := EncodeULaw(nil, []int16{0}); got[0] != SilenceULaw {
		t.Errorf("mu-law of 0 is %#02x, want %#02x", got[0], SilenceULaw)
	}
	if got := EncodeALaw(nil, []int16{0}); got[0] != SilenceALaw {
		t.Errorf("A-law of 0 is %#02x, want %#02x", got[0], SilenceALaw)
	}
}

// G.712 asks at least 33 dB of a sine between -30 and 0 dBm0.
func TestG711SignalToNoise(t *testing.T) {
	for _, l := range laws() {
		for _, level := range []float64{0, -10, -20, -30} {
			amplitude := 22000 * math.Pow(10, level/20)
			pcm := make([]int16, 8000)
			for i := range pcm {
				pcm[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*1004*float64(i)/8000)))
			}
			var signal, noise float64
			for i, s := range l.decode(nil, l.encode(nil, pcm)) {
				signal += float64(pcm[i]) * float64(pcm[i])
				noise += float64(s-pcm[i]) * float64(s-pcm[i])
			}
			if db := 10 * math.Log10(signal/noise); db < 33 {
				t.Errorf("%s: signal to noise ratio at %v dBm0 is %.1f dB, want 33", l.name, level, db)
			}
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	if got := EncodeULaw([]byte{1, 2}, []int16{0}); len(got) != 3 || got[0] != 1 || got[1] != 2 {
		t.Errorf("EncodeULaw: %v", got)
	}
	if got := DecodeALaw([]int16{7}, nil); len(got) != 1 || got[0] != 7 {
		t.Errorf("DecodeALaw: %v", got)
	}
}

func TestNoAllocation(t *testing.T) {
	pcm, codes := make([]int16, 160), make([]byte, 160)
	for _, l := range laws() {
		if n := testing.AllocsPerRun(100, func() {
			codes = l.encode(codes[:0], pcm)
			pcm = l.decode(pcm[:0], codes)
		}); n != 0 {
			t.Errorf("%s: %v allocations per frame", l.name, n)
		}
	}
}

func BenchmarkEncode20ms(b *testing.B) {
	pcm, codes := make([]int16, 160), make([]byte, 160)
	for i := range pcm {
		pcm[i] = int16(i * 411)
	}
	for _, l := range laws() {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				codes = l.encode(codes[:0], pcm)
			}
		})
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	pcm, codes := make([]int16, 160), make([]byte, 160)
	for i := range codes {
		codes[i] = byte(i * 7)
	}
	for _, l := range laws() {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pcm = l.decode(pcm[:0], codes)
			}
		})
	}
}

func ExampleEncodeULaw() {
	payload := EncodeULaw(nil, []int16{0, 1000, -1000, 32767})
	fmt.Printf("% x\n", payload)
	fmt.Println(DecodeULaw(nil, payload))
	// Output:
	// ff ce 4e 80
	// [0 988 -988 32124]
}
