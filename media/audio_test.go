package media

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAudioWritePCMWaitsAt60ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{Rate: 8000})
		if n, err := a.WritePCM(make([]int16, 480)); n != 480 || err != nil {
			t.Fatalf("60 ms: %d, %v", n, err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		if n, err := a.WritePCM(make([]int16, 160)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("one frame more: %d, %v after %v; want the deadline after 1 s", n, err, time.Since(start))
		}
		_ = a.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() { _, err := a.WritePCM(make([]int16, 160)); done <- err }()
		synctest.Wait()
		a.Discard() // makes room
		if err := <-done; err != nil {
			t.Errorf("WritePCM after Discard: %v", err)
		}
		a.Close()
	})
}

func TestAudioCloseUnblocksAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{})
		errs := make(chan error, 4)
		go func() { _, err := a.ReadPCM(make([]int16, 10)); errs <- err }()
		go func() { _, err := a.ReadPCM(make([]int16, 10)); errs <- err }()
		go func() { _, err := a.WritePCM(make([]int16, 16000)); errs <- err }()
		synctest.Wait()
		go func() { errs <- a.Drain(context.Background()) }()
		synctest.Wait()
		a.Close()
		for range 4 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("error %v, want net.ErrClosed", err)
			}
		}
		if _, err := a.WritePCM([]int16{1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WritePCM after Close: %v", err)
		}
	})
}

func TestAudioDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{})
		defer a.Close()
		_ = a.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := a.ReadPCM(make([]int16, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline in the past: %v", err)
		}
		_ = a.SetReadDeadline(time.Now().Add(time.Hour))
		read := make(chan error, 1)
		go func() { _, err := a.ReadPCM(make([]int16, 1)); read <- err }()
		synctest.Wait()
		_ = a.SetReadDeadline(time.Now().Add(time.Hour)) // as net.Conn: the waiting call keeps to a deadline
		a.in.push([]int16{1})
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

// A timer that Close had stopped used to make the next SetDeadline wait for ever.
func TestAudioDeadlineAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{})
		_ = a.SetDeadline(time.Now().Add(time.Hour))
		a.Close()
		_ = a.SetDeadline(time.Time{})
		_ = a.SetDeadline(time.Now().Add(time.Second))
		if _, err := a.ReadPCM(make([]int16, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("ReadPCM after Close: %v, want net.ErrClosed", err)
		}
		time.Sleep(2 * time.Second)
		_ = a.SetDeadline(time.Time{})
	})
}

func TestAudioNothingAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{})
		defer a.Close()
		a.in.push([]int16{1})
		_ = a.SetDeadline(time.Unix(1, 0)) // as net.Conn: also when there would be no wait
		if n, err := a.ReadPCM(make([]int16, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadPCM: %d, %v", n, err)
		}
		if n, err := a.WritePCM([]int16{1}); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("WritePCM: %d, %v", n, err)
		}
	})
}

func TestAudioUnreadIsDroppedOldestFirst(t *testing.T) {
	a := NewAudio(Format{Rate: 8000})
	defer a.Close()
	n := 0
	for i := range 35 { // 700 ms into 500
		frame := make([]int16, 160)
		for j := range frame {
			frame[j] = int16(i)
		}
		n += a.in.push(frame)
	}
	got := make([]int16, 8000)
	k, err := a.ReadPCM(got)
	if n != 1600 || k != 4000 || err != nil || got[0] != 10 || got[3999] != 34 {
		t.Errorf("dropped %d, read %d (%v), from %d to %d; want 1600, 4000, 10 to 34", n, k, err, got[0], got[3999])
	}
}

func TestBytes(t *testing.T) {
	a := NewAudio(Format{Rate: 8000})
	defer a.Close()
	rw := Bytes(a)
	for _, part := range [][]byte{{1}, {2, 3}, {4, 5, 6, 7}, {8}} {
		if n, err := rw.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	got := make([]int16, 10)
	n := a.out.pull(got)
	if want := []int16{0x0201, 0x0403, 0x0605, 0x0807}; !slices.Equal(got[:n], want) {
		t.Errorf("samples %x, want %x", got[:n], want)
	}
	a.in.push([]int16{0x0201, 0x0403, -2})
	var out []byte
	for len(out) < 6 {
		p := make([]byte, 1+len(out)%3)
		n, err := rw.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p[:n]...)
	}
	if !bytes.Equal(out, []byte{1, 2, 3, 4, 0xfe, 0xff}) {
		t.Errorf("bytes %x", out)
	}
}

func TestDrainWaitsForTheLastSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		a, b, _, _ := plainPair(t, clock)
		p := newParty(t, a, Format{Rate: 8000}, StreamConfig{Send: codecPCMU})
		if err := p.a.Drain(t.Context()); err != nil {
			t.Errorf("Drain of nothing: %v", err)
		}
		start := time.Now()
		p.say(speech(8000, 1.01)) // not a whole number of frames
		if err := p.a.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 1010*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("1.01 s of sound were sent after %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.say(make([]int16, 160))
		if err := p.a.Drain(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Drain with a cancelled context: %v", err)
		}
		a.Close()
		b.Close()
	})
}
