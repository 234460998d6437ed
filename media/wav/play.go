package wav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/peercall/peercall/media/resample"
)

// Sink is where Play writes mono samples; *media.Audio is one.
type Sink interface {
	Rate() int
	WritePCM(p []int16) (int, error)
	Drain(ctx context.Context) error
}

// Source is where Record reads mono samples; *media.Audio is one. It ends with io.EOF or
// net.ErrClosed.
type Source interface {
	Rate() int
	ReadPCM(p []int16) (int, error)
}

// A Sink or Source may also have deadlines, as *media.Audio does.
type (
	writeDeadline interface{ SetWriteDeadline(time.Time) error }
	readDeadline  interface{ SetReadDeadline(time.Time) error }
)

// Play reads a WAV file from r and writes it to dst, resampled and mixed to mono as dst needs
// it. It returns when the last sample was sent. When ctx ends first Play returns its error; what
// dst has queued is dst's.
func Play(ctx context.Context, dst Sink, r io.Reader) error {
	src, err := NewReader(r)
	if err != nil {
		return err
	}
	convert, err := resample.New(src.Rate(), dst.Rate())
	if err != nil {
		return fmt.Errorf("wav: play: %w", err)
	}
	if d, ok := dst.(writeDeadline); ok {
		defer interrupt(ctx, d.SetWriteDeadline)()
	}
	frame := make([]int16, src.Rate()/50*src.Channels()) // 20 ms
	out := make([]int16, 0, dst.Rate()/50+2)
	held := 0 // samples at the start of frame whose other channel is still to come
	for ctx.Err() == nil {
		n, err := src.ReadPCM(frame[held:])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		n += held
		held = n % src.Channels()
		out = convert.Append(out[:0], mono(frame[:n-held], src.Channels()))
		if held > 0 {
			frame[0] = frame[n-1]
		}
		if err := write(ctx, dst, out); err != nil {
			return err
		}
	}
	// What is still in the filter.
	tail := make([]int16, int(convert.Delay()*time.Duration(src.Rate())/time.Second))
	if err := write(ctx, dst, convert.Append(out[:0], tail)); err != nil {
		return err
	}
	if err := dst.Drain(ctx); err != nil {
		return ended(ctx, fmt.Errorf("wav: play: %w", err))
	}
	return nil
}

func write(ctx context.Context, dst Sink, pcm []int16) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if _, err := dst.WritePCM(pcm); err != nil {
		return ended(ctx, fmt.Errorf("wav: play: %w", err))
	}
	return nil
}

// mono mixes in place.
func mono(p []int16, channels int) []int16 {
	if channels == 1 {
		return p
	}
	n := len(p) / 2
	for i := range n {
		p[i] = int16((int(p[2*i]) + int(p[2*i+1])) / 2)
	}
	return p[:n]
}

// Record writes what src hears to w as a WAV file until src ends (nil) or ctx does (its error).
// The file is complete in both cases.
func Record(ctx context.Context, w io.WriteSeeker, src Source) error {
	dst, err := NewWriter(w, src.Rate(), 1)
	if err != nil {
		return err
	}
	if d, ok := src.(readDeadline); ok {
		defer interrupt(ctx, d.SetReadDeadline)()
	}
	err = record(ctx, dst, src)
	return errors.Join(err, dst.Close())
}

func record(ctx context.Context, dst *Writer, src Source) error {
	frame := make([]int16, src.Rate()/50) // 20 ms
	for ctx.Err() == nil {
		n, err := src.ReadPCM(frame)
		if _, err := dst.WritePCM(frame[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return ended(ctx, fmt.Errorf("wav: record: %w", err))
		}
	}
	return context.Cause(ctx)
}

// interrupt lets the end of ctx break off what waits, by a deadline in the past. The function it
// returns takes that back.
func interrupt(ctx context.Context, deadline func(time.Time) error) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = deadline(time.Unix(1, 0)) // closed: then nothing waits
	})
	return func() {
		if !stop() {
			<-done
			_ = deadline(time.Time{})
		}
	}
}

// ended prefers ctx's reason to err where the one led to the other.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ctx.Err())) {
		return context.Cause(ctx)
	}
	return err
}
