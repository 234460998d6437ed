package wav

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// line is a Sink and Source like a call's audio: what is written is sent in time, what is read
// arrives in time.
type line struct {
	rate int
	mu   sync.Mutex
	sent []int16
	end  error // of ReadPCM, after a second of sound

	deadline chan struct{}
	read     int
}

func newLine(rate int) *line { return &line{rate: rate, deadline: make(chan struct{})} }

func (l *line) Rate() int { return l.rate }

func (l *line) wait(samples int) error {
	select {
	case <-time.After(time.Duration(samples) * time.Second / time.Duration(l.rate)):
		return nil
	case <-l.deadline:
		return os.ErrDeadlineExceeded
	}
}

func (l *line) WritePCM(p []int16) (int, error) {
	if err := l.wait(len(p)); err != nil {
		return 0, err
	}
	l.sent = append(l.sent, p...)
	return len(p), nil
}

func (l *line) ReadPCM(p []int16) (int, error) {
	if l.read >= l.rate && l.end != nil {
		return 0, l.end
	}
	if err := l.wait(len(p)); err != nil {
		return 0, err
	}
	for i := range p {
		p[i] = int16(l.read)
		l.read++
	}
	return len(p), nil
}

func (l *line) Drain(ctx context.Context) error {
	select {
	case <-time.After(60 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) SetWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.IsZero() {
		l.deadline = make(chan struct{})
	} else {
		close(l.deadline)
	}
	return nil
}

func (l *line) SetReadDeadline(t time.Time) error { return l.SetWriteDeadline(t) }

func wavFile(t *testing.T, rate, channels int, pcm []int16) []byte {
	t.Helper()
	var f memory
	w, err := NewWriter(&f, rate, channels)
	if err == nil {
		_, err = w.WritePCM(pcm)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.p
}

func TestPlay(t *testing.T) {
	for _, c := range []struct{ rate, channels, to int }{{16000, 1, 16000}, {44100, 2, 16000}, {8000, 2, 48000}, {48000, 1, 8000}} {
		synctest.Test(t, func(t *testing.T) {
			pcm := make([]int16, c.rate*c.channels)
			for i := range pcm {
				pcm[i] = int16(10000 * math.Sin(2*math.Pi*300*float64(i/c.channels)/float64(c.rate)))
			}
			begin := time.Now()
			l := newLine(c.to)
			if err := Play(t.Context(), l, bytes.NewReader(wavFile(t, c.rate, c.channels, pcm))); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d < 1060*time.Millisecond || d > 1065*time.Millisecond {
				t.Errorf("%v: a second took %v, want it and 60 ms to drain", c, d)
			}
			if n := len(l.sent); n < c.to || n > c.to+c.to/400 {
				t.Errorf("%v: %d samples were sent", c, n)
			}
			loudest := slices.Max(l.sent[c.to/10:])
			if loudest < 9950 || loudest > 10050 {
				t.Errorf("%v: the loudest sample is %d, want 10000", c, loudest)
			}
		})
	}
}

// A sample of a stereo pair may come alone, as from a pipe.
func TestPlayKeepsPairsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pcm := make([]int16, 2000)
		for i := range pcm {
			pcm[i] = int16(i / 2 * 4 * (1 - i%2)) // left only
		}
		l := newLine(8000)
		if err := Play(t.Context(), l, &few{wavFile(t, 8000, 2, pcm)}); err != nil {
			t.Fatal(err)
		}
		for i, s := range l.sent {
			if int(s) != i*2 {
				t.Fatalf("sample %d is %d, want %d", i, s, i*2)
			}
		}
		if len(l.sent) != 1000 {
			t.Errorf("%d samples, want 1000", len(l.sent))
		}
	})
}

// few is a reader of three samples at a time.
type few struct{ p []byte }

func (f *few) Read(p []byte) (int, error) {
	if len(f.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 6)], f.p)
	f.p = f.p[n:]
	return n, nil
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 310*time.Millisecond, cause)
		defer cancel()
		begin := time.Now()
		l := newLine(16000)
		err := Play(ctx, l, bytes.NewReader(wavFile(t, 16000, 1, make([]int16, 160000))))
		if !errors.Is(err, cause) || time.Since(begin) != 310*time.Millisecond {
			t.Errorf("ended after %v with %v", time.Since(begin), err)
		}
		if err := l.wait(1); err != nil {
			t.Errorf("the deadline was left behind: %v", err)
		}
	})
}

func TestPlayErrors(t *testing.T) {
	if err := Play(t.Context(), newLine(16000), bytes.NewReader([]byte("no sound at all"))); !errors.Is(err, ErrFormat) {
		t.Errorf("text: %v", err)
	}
	if err := Play(t.Context(), newLine(1), bytes.NewReader(wavFile(t, 16000, 1, nil))); err == nil {
		t.Error("a line of 1 Hz")
	}
}

func TestRecord(t *testing.T) {
	for _, c := range []struct {
		name string
		end  error // of the source, after a second
		stop time.Duration
		want error
		n    int
	}{
		{"until the call ends", net.ErrClosed, time.Hour, nil, 16000},
		{"until the source ends", io.EOF, time.Hour, nil, 16000},
		{"until the context ends", nil, 510 * time.Millisecond, context.DeadlineExceeded, 8000},
		{"until an error", errFullDisk, time.Hour, errFullDisk, 16000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.stop)
				defer cancel()
				var f memory
				l := newLine(16000)
				l.end = c.end
				if err := Record(ctx, &f, l); !errors.Is(err, c.want) {
					t.Errorf("ended with %v, want %v", err, c.want)
				}
				r, err := NewReader(bytes.NewReader(f.p))
				if err != nil {
					t.Fatal(err)
				}
				pcm, err := readAll(r)
				if err != nil || len(pcm) != c.n || r.Rate() != 16000 || pcm[c.n-1] != int16(c.n-1) {
					t.Errorf("recorded %d samples, want %d; %v", len(pcm), c.n, err)
				}
			})
		})
	}
}

func TestRecordFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := Record(t.Context(), &memory{limit: 5000}, newLine(16000)); !errors.Is(err, errFullDisk) {
			t.Errorf("ended with %v", err)
		}
	})
}
