package jitter

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// vowel is a voiced sound with a gliding pitch.
func vowel(rate, n int) []int16 {
	pcm := make([]int16, n)
	phase := 0.0
	for i := range pcm {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (130 + 20*math.Sin(2*math.Pi*0.5*t)) / float64(rate)
		s := 0.0
		for k := 1.0; k <= 20; k++ {
			f := k * 130
			s += math.Sin(k*phase) * (bell(f-600, 300) + 0.5*bell(f-1500, 300) + 0.05)
		}
		pcm[i] = int16(s * 3000 * (0.8 + 0.2*math.Sin(2*math.Pi*2*t)))
	}
	return pcm
}

// lossy plays pcm in frames of 20 ms through conceal for those lost and good for the others, and
// returns what was heard.
func lossy(pcm []int16, frame int, loss float64, good, lost func([]int16)) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]int16, len(pcm))
	copy(out, pcm)
	for at := 0; at+frame <= len(out); at += frame {
		if at > 10*frame && r.Float64() < loss {
			lost(out[at : at+frame])
		} else {
			good(out[at : at+frame])
		}
	}
	return out
}

func snr(want, got []int16) float64 {
	var signal, noise float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		signal += float64(want[i]) * float64(want[i])
		noise += d * d
	}
	return 10 * math.Log10(signal/noise)
}

func TestConcealmentBeatsSilence(t *testing.T) {
	for rate, better := range map[int]float64{8000: 2.5, 16000: 4, 48000: 5} { // the pitch fits finer at higher rates
		pcm := vowel(rate, 4*rate)
		for _, loss := range []float64{0.05, 0.10} {
			c := NewConcealer(rate)
			frame := rate / 50
			concealed := snr(pcm, lossy(pcm, frame, loss, c.Good, c.Lost))
			silence := snr(pcm, lossy(pcm, frame, loss, func([]int16) {}, func(p []int16) { clear(p) }))
			if concealed < silence+better {
				t.Errorf("%d Hz, %v%% lost: signal to noise ratio %.1f dB, with silence %.1f dB, want %v dB more", rate, loss*100, concealed, silence, better)
			}
		}
	}
}

// steepest is the largest step between neighbouring samples.
func steepest(pcm []int16) int {
	s := 0
	for i := 1; i < len(pcm); i++ {
		d := int(pcm[i]) - int(pcm[i-1])
		s = max(s, d, -d)
	}
	return s
}

// No step between samples is much larger than those of the sound itself: an edge would click.
func TestNoClicks(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		pcm := vowel(rate, 4*rate)
		frame := rate / 50
		limit := steepest(pcm) * 3 / 2
		t.Run(fmt.Sprint(rate, " lost"), func(t *testing.T) {
			c := NewConcealer(rate)
			if got := steepest(lossy(pcm, frame, 0.2, c.Good, c.Lost)); got > limit {
				t.Errorf("a step of %d, the sound has %d", got, steepest(pcm))
			}
		})
		t.Run(fmt.Sprint(rate, " silence"), func(t *testing.T) {
			c := NewConcealer(rate)
			if got := steepest(lossy(pcm, frame, 0.2, c.Good, c.Silence)); got > limit {
				t.Errorf("a step of %d, the sound has %d", got, steepest(pcm))
			}
		})
		t.Run(fmt.Sprint(rate, " spliced"), func(t *testing.T) {
			c := NewConcealer(rate)
			var out []int16
			for at := 0; at+frame <= len(pcm); at += frame {
				if at/frame%7 == 6 {
					c.Splice()
					continue
				}
				p := append([]int16(nil), pcm[at:at+frame]...)
				c.Good(p)
				out = append(out, p...)
			}
			if got := steepest(out); got > limit {
				t.Errorf("a step of %d, the sound has %d", got, steepest(pcm))
			}
		})
	}
}

func TestConcealmentFades(t *testing.T) {
	c := NewConcealer(8000)
	pcm := vowel(8000, 8000)
	c.Good(pcm)
	level := func(p []int16) (sum int) {
		for _, s := range p {
			sum += int(s) * int(s)
		}
		return sum
	}
	dst := make([]int16, 80) // 10 ms
	last := math.MaxInt
	for ms := 0; ms < 80; ms += 10 {
		c.Lost(dst)
		got := level(dst)
		switch {
		case ms == 0 && got < level(pcm[7920:])/2:
			t.Error("the first 10 ms are quieter than the sound")
		case ms >= 20 && got > last:
			t.Errorf("after %d ms it is louder than before", ms)
		case ms >= 60 && got != 0:
			t.Errorf("after %d ms it is not silent", ms)
		}
		last = got
	}
	clear(dst)
	c.Good(dst)
	c.Reset()
	c.Lost(dst)
	if level(dst) != 0 {
		t.Error("after Reset there is something to repeat")
	}
}

// Frames of any length, also none, one sample or a second, at any rate.
func TestConcealerTakesAnyLength(t *testing.T) {
	for _, rate := range []int{0, 8000, 11025, 44100, 48000, 1 << 30} {
		c := NewConcealer(rate)
		for _, n := range []int{0, 1, 7, 160, 960, 5000, 48000} {
			p := make([]int16, n)
			for i := range p {
				p[i] = int16(i * 7919)
			}
			c.Good(p)
			c.Lost(p)
			c.Silence(p)
			c.Good(p)
			c.Splice()
			c.Good(p)
			c.Lost(p[:n/2])
		}
	}
}

func BenchmarkConcealer20ms(b *testing.B) {
	for _, rate := range []int{8000, 16000, 48000} {
		pcm := vowel(rate, rate/50)
		b.Run(fmt.Sprint("good ", rate), func(b *testing.B) {
			c := NewConcealer(rate)
			b.ReportAllocs()
			for b.Loop() {
				c.Good(pcm)
			}
		})
		b.Run(fmt.Sprint("lost and good ", rate), func(b *testing.B) {
			c := NewConcealer(rate)
			b.ReportAllocs()
			for b.Loop() {
				c.Lost(pcm)
				c.Good(pcm)
			}
		})
	}
}

func ExampleConcealer() {
	c := NewConcealer(8000)
	frame := make([]int16, 160)
	for i := range frame {
		frame[i] = int16(10000 * math.Sin(2*math.Pi*200*float64(i)/8000))
	}
	for range 5 {
		c.Good(frame)
	}
	c.Lost(frame) // the next one did not come
	fmt.Println(frame[10], frame[30], frame[50])
	// Output: 10000 -10000 10000
}

// bell is 1 at 0 and falls off over width.
func bell(x, width float64) float64 { return math.Exp(-x * x / (width * width)) }
