package wav

import (
	"context"
	"io"
)

// Sink is where Play writes mono samples; *media.Audio is one.
type Sink interface {
	Rate() int
	WritePCM(p []int16) (int, error)
	Drain(ctx context.Context) error
}

// Source is where Record reads mono samples; *media.Audio is one.
type Source interface {
	Rate() int
	ReadPCM(p []int16) (int, error)
}

// Play reads a WAV file from r and writes it to dst, resampled and mixed to mono as dst needs
// it. It returns when the last sample was sent.
func Play(ctx context.Context, dst Sink, r io.Reader) error { return nil }

// Record writes what src hears to w as a WAV file until src ends (nil) or ctx does (its error).
// The file is complete in both cases.
func Record(ctx context.Context, w io.WriteSeeker, src Source) error { return nil }
