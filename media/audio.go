package media

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readRoom   = 100 * time.Millisecond // unread sound that there is room for from the start,
	readQueue  = 500 * time.Millisecond // and for a reader that comes late
	writeQueue = 60 * time.Millisecond  // unsent sound that WritePCM takes without waiting
)

// Audio is the PCM end of a call: what the peer says is read from it, what is
// written to it is said to the peer. It exists before any transport and outlives
// them; streams attach to it, one at a time. Samples are in its Format, channels
// interleaved.
type Audio struct {
	format Format
	in     *ring // from the peer
	out    *ring // to the peer

	dirty atomic.Bool // something was written since sent
	mu    sync.Mutex
	idle  chan struct{} // closed when everything was sent; nil: nobody waits
}

// NewAudio returns an open Audio. It panics on a format that Format does not allow.
func NewAudio(f Format) *Audio {
	f = f.defaults()
	if !f.valid() {
		panic("media: NewAudio: format not supported")
	}
	return &Audio{
		format: f,
		in:     newRing(f.samples(readRoom), f.samples(readQueue)),
		out:    newRing(f.samples(writeQueue), 0),
	}
}

// Format is the format given to NewAudio, defaults filled in.
func (a *Audio) Format() Format { return a.format }

// Rate is the number of samples a second, per channel.
func (a *Audio) Rate() int { return a.format.Rate }

// ReadPCM waits for sound of the peer and reads what there is, up to len(p)
// samples. It returns net.ErrClosed after Close and os.ErrDeadlineExceeded after
// the read deadline. From the peer's first packet on, sound comes every 20 ms,
// silence included; more than 500 ms unread is dropped, oldest first.
func (a *Audio) ReadPCM(p []int16) (int, error) { return a.in.read(p) }

// WritePCM queues sound for the peer. It waits while 60 ms are queued, so that
// its caller needs no ticker; n < len(p) only with an error (net.ErrClosed,
// os.ErrDeadlineExceeded).
func (a *Audio) WritePCM(p []int16) (int, error) {
	n, err := a.out.write(p)
	a.dirty.Store(true)
	return n, err
}

// Discard drops what is queued and not yet sent (barge-in).
func (a *Audio) Discard() {
	a.out.clear()
	a.sent()
}

// Drain waits until everything queued was sent (or discarded).
func (a *Audio) Drain(ctx context.Context) error {
	a.mu.Lock()
	if !a.dirty.Load() && a.out.len() == 0 {
		a.mu.Unlock()
		return nil
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	idle := a.idle
	a.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-a.out.done:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sent wakes Drain: what was queued has left. Streams say it whenever it is so.
func (a *Audio) sent() {
	if !a.dirty.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dirty.Store(false)
	if a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// SetDeadline sets both deadlines, as in net.Conn; zero: none.
func (a *Audio) SetDeadline(t time.Time) error {
	a.in.limit.set(t)
	a.out.limit.set(t)
	return nil
}

// SetReadDeadline bounds waiting in ReadPCM, now and later.
func (a *Audio) SetReadDeadline(t time.Time) error {
	a.in.limit.set(t)
	return nil
}

// SetWriteDeadline bounds waiting in WritePCM, now and later.
func (a *Audio) SetWriteDeadline(t time.Time) error {
	a.out.limit.set(t)
	return nil
}

// Close unblocks all readers, writers and Drain. What is queued is dropped.
func (a *Audio) Close() error {
	a.in.close()
	a.out.close()
	return nil
}

// Bytes presents a as a stream of little-endian 16-bit samples (s16le). A sample
// is never split over two reads; an odd byte at the end of a write waits for the
// next write. One reader and one writer at a time.
func Bytes(a *Audio) io.ReadWriter { return &byteStream{audio: a} }

type byteStream struct {
	audio   *Audio
	in, out [480]int16
	rest    [2]byte // bytes of a sample read and not handed over
	nrest   int
	odd     byte // first byte of a sample half written
	half    bool
}

func (b *byteStream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.nrest > 0 {
		n := copy(p, b.rest[2-b.nrest:])
		b.nrest -= n
		return n, nil
	}
	want := max(min(len(p)/2, len(b.in)), 1)
	n, err := b.audio.ReadPCM(b.in[:want])
	if len(p) == 1 && n == 1 {
		p[0] = byte(b.in[0])
		b.rest[1], b.nrest = byte(b.in[0]>>8), 1
		return 1, err
	}
	for i, s := range b.in[:n] {
		p[2*i], p[2*i+1] = byte(s), byte(s>>8)
	}
	return 2 * n, err
}

func (b *byteStream) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, used := 0, 0
		rest := p[done:]
		if b.half {
			b.out[0] = int16(uint16(b.odd) | uint16(rest[0])<<8)
			n, used, b.half = 1, 1, false
		}
		for n < len(b.out) && used+1 < len(rest) {
			b.out[n] = int16(uint16(rest[used]) | uint16(rest[used+1])<<8)
			n, used = n+1, used+2
		}
		if n < len(b.out) && used+1 == len(rest) {
			b.odd, b.half = rest[used], true
			used++
		}
		if _, err := b.audio.WritePCM(b.out[:n]); err != nil {
			return done, err
		}
		done += used
	}
	return done, nil
}
