package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/peercall/peercall/examples/call/internal/report"
	"github.com/peercall/peercall/media/wav"
	"github.com/peercall/peercall/session"
)

// talk says said, over and over until d is full, and returns what it heard
// meanwhile. The peer's hang-up ends it early, without an error.
func talk(ctx context.Context, call *session.Call, said []int16, d time.Duration, out *report.Printer) ([]int16, error) {
	ctx, cancel := context.WithTimeout(ctx, d+20*time.Second)
	defer cancel()
	audio := call.Audio()
	stop := context.AfterFunc(ctx, func() {
		_ = audio.SetDeadline(time.Unix(1, 0)) // interrupted: unblock both
	})
	defer stop()
	heard := make(chan []int16, 1)
	go func() { heard <- hear(call) }()
	defer out.Progress(ctx, call)()

	err := say(ctx, call, loop(said, d))
	// What is on its way to us may take a moment more.
	_ = audio.SetReadDeadline(time.Now().Add(400 * time.Millisecond))
	pcm := <-heard
	_ = audio.SetDeadline(time.Time{})
	if ctx.Err() != nil && call.Err() == nil {
		return pcm, errors.New("interrupted")
	}
	if errors.Is(err, net.ErrClosed) && call.Err() != nil {
		return pcm, call.Wait(context.WithoutCancel(ctx)) // nil when the peer hung up
	}
	return pcm, err
}

func say(ctx context.Context, call *session.Call, pcm []int16) error {
	for len(pcm) > 0 {
		n, err := call.Audio().WritePCM(pcm[:min(len(pcm), rate/50)])
		if err != nil {
			return err
		}
		pcm = pcm[n:]
	}
	return call.Audio().Drain(ctx)
}

// hear reads until the deadline or the end of the call.
func hear(call *session.Call) []int16 {
	var all []int16
	buf := make([]int16, rate/50)
	for {
		n, err := call.Audio().ReadPCM(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return all
		}
	}
}

// loop repeats pcm until it lasts d.
func loop(pcm []int16, d time.Duration) []int16 {
	n := int(d.Seconds() * rate)
	all := make([]int16, 0, n+len(pcm))
	for len(all) < n {
		all = append(all, pcm...)
	}
	return all[:n]
}

func save(name string, pcm []int16, rate int) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write what was heard: %w", err)
	}
	defer f.Close()
	w, err := wav.NewWriter(f, rate, 1)
	if err != nil {
		return fmt.Errorf("write what was heard: %w", err)
	}
	if _, err := w.WritePCM(pcm); err != nil {
		return fmt.Errorf("write what was heard: %w", err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return fmt.Errorf("write what was heard: %w", err)
	}
	return nil
}
