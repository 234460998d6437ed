package g722

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

func readBytes(t testing.TB, name string) []byte {
	t.Helper()
	p, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readPCM(t testing.TB, name string) []int16 {
	t.Helper()
	p := readBytes(t, name)
	pcm := make([]int16, len(p)/2)
	if _, err := binary.Decode(p, binary.LittleEndian, pcm); err != nil {
		t.Fatal(err)
	}
	return pcm
}

// G.722 is specified bit by bit: what another implementation makes, this one must make.
func TestG722Encode(t *testing.T) {
	var e Encoder
	got, want := e.Encode(nil, readPCM(t, "voice.s16")), readBytes(t, "voice.g722")
	if !bytes.Equal(got, want) {
		t.Errorf("encoded voice differs from the golden vector\n got % x\nwant % x", got[:40], want[:40])
	}
}

func TestG722Decode(t *testing.T) {
	for _, c := range []struct {
		name, in, out string
		mode          Mode
	}{
		{"voice, mode 1", "voice.g722", "voice.64.s16", Mode64},
		{"voice, mode 2", "voice.g722", "voice.56.s16", Mode56},
		{"voice, mode 3", "voice.g722", "voice.48.s16", Mode48},
		{"noise, mode 1", "noise.g722", "noise.64.s16", Mode64},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decoder{Mode: c.mode}
			got, want := d.Decode(nil, readBytes(t, c.in)), readPCM(t, c.out)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("sample %d is %d, want %d", i, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d samples, want %d", len(got), len(want))
			}
		})
	}
}

// The search for the interval must find what counting from the bottom finds (block QUANTL).
func TestG722Quantizer(t *testing.T) {
	for _, det := range []int32{32, 36, 100, 777, 4096, 16384} {
		for el := int32(-32768); el <= 32767; el += 7 {
			mag := el
			if el < 0 {
				mag = -(el + 1)
			}
			i := 1
			for i < 30 && mag >= decisions6[i]*det>>12 {
				i++
			}
			want := codes6[i-1]
			if el >= 0 {
				want = codes6[32+i-1]
			}
			if got := encodeLow(el, det); got != want {
				t.Fatalf("difference %d at scale %d has code %d, want %d", el, det, got, want)
			}
		}
	}
}

// The shift of the filters: a signal comes out of encoder and decoder 22 samples later.
const shift = 22

func ratio(in, out []int16) float64 {
	var signal, noise float64
	for i := 1000; i < len(in)-shift; i++ {
		d := float64(out[i+shift]) - float64(in[i])
		signal += float64(in[i]) * float64(in[i])
		noise += d * d
	}
	return 10 * math.Log10(signal/noise)
}

func TestG722SignalToNoise(t *testing.T) {
	code := func(pcm []int16, m Mode) []int16 {
		var e Encoder
		d := Decoder{Mode: m}
		return d.Decode(nil, e.Encode(nil, pcm))
	}
	for _, c := range []struct {
		hertz, least float64
	}{{100, 35}, {1000, 38}, {3000, 30}, {6000, 15}, {7000, 15}} {
		pcm := make([]int16, Rate)
		for i := range pcm {
			pcm[i] = int16(10000 * math.Sin(2*math.Pi*c.hertz*float64(i)/Rate))
		}
		if got := ratio(pcm, code(pcm, Mode64)); got < c.least {
			t.Errorf("%v Hz: signal to noise ratio %.1f dB, want %v", c.hertz, got, c.least)
		}
	}
	pcm := voice(Rate)
	last := math.Inf(1)
	for m, least := range map[Mode]float64{Mode64: 14.5, Mode56: 14, Mode48: 13} {
		if got := ratio(pcm, code(pcm, m)); got < least {
			t.Errorf("voice in mode %d: signal to noise ratio %.1f dB, want %v", m+1, got, least)
		}
	}
	for _, m := range []Mode{Mode64, Mode56, Mode48} {
		got := ratio(pcm, code(pcm, m))
		if got >= last {
			t.Errorf("mode %d is not worse than the one with more bits", m+1)
		}
		last = got
	}
}

// However the stream is cut, the result is the same; odd samples wait for their partner.
func TestChunks(t *testing.T) {
	pcm := voice(4000)
	var whole Encoder
	want := whole.Encode(nil, pcm)
	var e Encoder
	var got []byte
	for i, n := 0, 1; i < len(pcm); n = n*7%401 + 1 {
		end := min(i+n, len(pcm))
		got = e.Encode(got, pcm[i:end])
		i = end
	}
	if !bytes.Equal(got, want) {
		t.Error("encoding in pieces differs from encoding at once")
	}
	var one, other Decoder
	all := one.Decode(nil, want)
	var out []int16
	for p := range slices.Chunk(want, 37) {
		out = other.Decode(out, p)
	}
	if !slices.Equal(all, out) {
		t.Error("decoding in pieces differs from decoding at once")
	}
	whole.Reset()
	one.Reset()
	if !bytes.Equal(whole.Encode(nil, pcm), want) || !slices.Equal(one.Decode(nil, want), all) {
		t.Error("Reset left something of the old stream")
	}
}

func TestNoAllocation(t *testing.T) {
	pcm := voice(320)
	var e Encoder
	var d Decoder
	p := make([]byte, 0, 160)
	if n := testing.AllocsPerRun(100, func() {
		p = e.Encode(p[:0], pcm)
		pcm = d.Decode(pcm[:0], p)
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add([]byte{0xFA, 0xFA, 0, 255}, uint8(1))
	f.Add(bytes.Repeat([]byte{0x04, 0x60, 0xC4, 0x20}, 100), uint8(2))
	f.Fuzz(func(t *testing.T, p []byte, mode uint8) {
		d := Decoder{Mode: Mode(mode)}
		out := d.Decode(nil, p)
		if len(out) != 2*len(p) {
			t.Fatalf("%d samples of %d bytes", len(out), len(p))
		}
		for _, f := range []*band{&d.low, &d.high} {
			if len(p) > 0 && (f.det < 8 || f.det > 16384 || f.nb < 0 || f.nb > topHigh) {
				t.Fatalf("scale factor %d, %d left its range", f.nb, f.det)
			}
			for _, b := range f.b {
				if b != clip16(b) {
					t.Fatalf("coefficient %d left 16 bits", b)
				}
			}
		}
		var e Encoder
		if again := e.Encode(nil, out); len(again) != len(p) {
			t.Fatalf("%d bytes of %d samples", len(again), len(out))
		}
	})
}

func Example() {
	var enc Encoder
	var dec Decoder
	frame := make([]int16, 320) // 20 ms
	payload := enc.Encode(nil, frame)
	pcm := dec.Decode(nil, payload)
	fmt.Println(len(payload), len(pcm))
	// Output: 160 320
}
