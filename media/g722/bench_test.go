package g722

import (
	"math"
	"testing"
)

// voice is a vowel-like sound: harmonics of a gliding pitch under a moving envelope, some noise.
func voice(n int) []int16 {
	pcm := make([]int16, n)
	phase, noise := 0.0, uint32(1)
	for i := range pcm {
		t := float64(i) / Rate
		phase += 2 * math.Pi * (120 + 40*math.Sin(2*math.Pi*0.7*t)) / Rate
		s := 0.0
		for k := 1.0; k < 40; k++ {
			s += math.Sin(k*phase) / k
		}
		noise = noise*1664525 + 1013904223
		pcm[i] = int16(s*5000*max(0, math.Sin(2*math.Pi*3*t)) + float64(int32(noise)>>22))
	}
	return pcm
}

func BenchmarkEncode20ms(b *testing.B) {
	pcm := voice(Rate)
	var e Encoder
	dst := make([]byte, 0, 160)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % 50 * 320
		e.Encode(dst, pcm[n:n+320])
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	var e Encoder
	p := e.Encode(nil, voice(Rate))
	var d Decoder
	dst := make([]int16, 0, 320)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % 50 * 160
		d.Decode(dst, p[n:n+160])
	}
}
