package media

import (
	"context"
	"io"
	"time"
)

// Audio is the PCM end of a call: what the peer says is read from it, what is
// written to it is said to the peer. It exists before any transport and outlives
// them; streams attach to it. Samples are in its Format, channels interleaved.
type Audio struct{}

// NewAudio returns an open Audio. It panics on a format that Format does not allow.
func NewAudio(f Format) *Audio { return &Audio{} }

// Format is the format given to NewAudio, defaults filled in.
func (a *Audio) Format() Format { return Format{} }

// ReadPCM waits for sound of the peer and reads what there is, up to len(p)
// samples. It returns net.ErrClosed after Close and os.ErrDeadlineExceeded after
// the read deadline. From the peer's first packet on, sound comes every 20 ms,
// silence included; more than 200 ms unread is dropped, oldest first.
func (a *Audio) ReadPCM(p []int16) (int, error) { return 0, nil }

// WritePCM queues sound for the peer. It waits while 60 ms are queued, so that
// its caller needs no ticker; n < len(p) only with an error (net.ErrClosed,
// os.ErrDeadlineExceeded).
func (a *Audio) WritePCM(p []int16) (int, error) { return 0, nil }

// Discard drops what is queued and not yet sent (barge-in).
func (a *Audio) Discard() {}

// Drain waits until everything queued was sent (or discarded).
func (a *Audio) Drain(ctx context.Context) error { return nil }

// SetDeadline sets both deadlines, as in net.Conn; zero: none.
func (a *Audio) SetDeadline(t time.Time) error { return nil }

// SetReadDeadline bounds waiting in ReadPCM, now and later.
func (a *Audio) SetReadDeadline(t time.Time) error { return nil }

// SetWriteDeadline bounds waiting in WritePCM, now and later.
func (a *Audio) SetWriteDeadline(t time.Time) error { return nil }

// Close unblocks all readers, writers and Drain. What is queued is dropped.
func (a *Audio) Close() error { return nil }

// Bytes presents a as a stream of little-endian 16-bit samples (s16le).
func Bytes(a *Audio) io.ReadWriter { return nil }
