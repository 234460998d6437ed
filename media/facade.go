package media

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	facadeQueue = 32 // DTLS datagrams that wait for the handshake; more are dropped, DTLS sends again
)

// facade is the net.PacketConn that the DTLS layer sees: what the demultiplexer
// pushes comes out of ReadFrom, what DTLS writes goes to the path.
type facade struct {
	path  Path
	limit deadline
	queue chan []byte
	done  chan struct{}

	mu     sync.Mutex // guards what follows
	muted  bool       // drop what DTLS writes (no close_notify)
	closed bool
	source netip.AddrPort // of the last datagram
}

func newFacade(path Path) *facade {
	return &facade{
		path:  path,
		limit: newDeadline(),
		queue: make(chan []byte, facadeQueue),
		done:  make(chan struct{}),
	}
}

// push queues a copy of a DTLS datagram, and reports whether it comes from
// another source than the one before.
func (f *facade) push(p []byte, from netip.AddrPort) (moved bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.queue) == cap(f.queue) {
		return false
	}
	f.queue <- append([]byte(nil), p...) // room was checked under the lock, and only push adds
	moved = from != f.source
	f.source = from
	return moved
}

func (f *facade) mute() {
	f.mu.Lock()
	f.muted = true
	f.mu.Unlock()
}

func (f *facade) ReadFrom(p []byte) (int, net.Addr, error) {
	pass := f.limit.wait()
	select {
	case <-pass:
		return 0, nil, os.ErrDeadlineExceeded
	case <-f.done:
		return 0, nil, net.ErrClosed
	default:
	}
	select {
	case d := <-f.queue:
		return copy(p, d), peer{}, nil
	case <-pass:
		return 0, nil, os.ErrDeadlineExceeded
	case <-f.done:
		return 0, nil, net.ErrClosed
	}
}

func (f *facade) WriteTo(p []byte, _ net.Addr) (int, error) {
	f.mu.Lock()
	muted, closed := f.muted, f.closed
	f.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if !muted {
		// A datagram that a path refuses now (no route yet) is a lost one: DTLS sends it again.
		_, _ = f.path.Write(p)
	}
	return len(p), nil
}

// Close ends the facade, not the path.
func (f *facade) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.done)
	}
	return nil
}

func (f *facade) LocalAddr() net.Addr                { return peer{} }
func (f *facade) SetReadDeadline(t time.Time) error  { f.limit.set(t); return nil }
func (f *facade) SetWriteDeadline(t time.Time) error { return nil } // writes do not wait
func (f *facade) SetDeadline(t time.Time) error      { return f.SetReadDeadline(t) }

// peer is the one address that DTLS knows: the path decides where that is.
type peer struct{}

func (peer) Network() string { return "path" }
func (peer) String() string  { return "peer" }
