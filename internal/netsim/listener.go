package netsim

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// Listener accepts streams.
type Listener struct {
	h     *Host
	local netip.AddrPort
	bound binding

	// Guarded by Sim.mu.
	queue  []*Conn
	closed bool
	sig    signal
	rd     deadline
}

const backlog = 4096 // Linux: net.core.somaxconn

// Listen binds a stream listener: "tcp", "tcp4" or "tcp6", and a local
// address as for ListenPacket. The result is a *Listener. ctx bounds nothing
// but a name look-up.
func (h *Host) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	local, err := h.resolveOne(ctx, "listen", network, address)
	if err != nil {
		return nil, err
	}
	return plain[net.Listener](h.listenTCP(network, local))
}

func (h *Host) listenTCP(network string, local netip.AddrPort) (*Listener, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	b, err := h.bind(network, local, func(b binding) bool {
		return slices.ContainsFunc(h.listeners[b.addr.Port()], func(l *Listener) bool { return l.bound.conflicts(b) })
	})
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(local), Err: os.NewSyscallError("bind", err)}
	}
	l := &Listener{h: h, local: b.addr, bound: b}
	h.listeners[b.addr.Port()] = append(h.listeners[b.addr.Port()], l)
	return l, nil
}

// listener finds who accepts streams to an address: a bound address before
// all addresses.
func (h *Host) listener(dst netip.AddrPort) *Listener {
	var best *Listener
	for _, l := range h.listeners[dst.Port()] {
		if l.bound.accepts(dst.Addr()) && (best == nil || best.bound.wildcard()) {
			best = l
		}
	}
	return best
}

// enqueue adds a connected stream for Accept. mu must be held.
func (l *Listener) enqueue(c *Conn) {
	if l.closed || c.h.crashed || len(l.queue) >= backlog {
		c.abort(true)
		return
	}
	c.h.conns[c] = struct{}{}
	l.queue = append(l.queue, c)
	l.sig.broadcast()
}

// Accept implements net.Listener. The result is a *Conn.
func (l *Listener) Accept() (net.Conn, error) { return plain[net.Conn](l.accept()) }

func (l *Listener) accept() (*Conn, error) {
	s := l.h.s
	s.mu.Lock()
	for {
		switch {
		case l.closed:
			s.mu.Unlock()
			return nil, l.fail("accept", net.ErrClosed)
		case l.rd.passed():
			s.mu.Unlock()
			return nil, l.fail("accept", os.ErrDeadlineExceeded)
		case len(l.queue) > 0:
			c := l.queue[0]
			l.queue = slices.Delete(l.queue, 0, 1)
			s.mu.Unlock()
			return c, nil
		}
		changed := l.sig.wait()
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
}

// Close ends waiting Accepts with net.ErrClosed and resets the streams that
// nobody accepted.
func (l *Listener) Close() error {
	l.h.s.mu.Lock()
	defer l.h.s.mu.Unlock()
	if !l.close() {
		return l.fail("close", net.ErrClosed)
	}
	return nil
}

// close is Close with mu held; false when it was closed.
func (l *Listener) close() bool {
	if l.closed {
		return false
	}
	l.closed = true
	port := l.local.Port()
	l.h.listeners[port] = slices.DeleteFunc(l.h.listeners[port], func(o *Listener) bool { return o == l })
	waiting := l.queue
	l.queue = nil
	for _, c := range waiting {
		c.abort(true)
	}
	l.rd.stop()
	l.sig.broadcast()
	return true
}

// Addr is a *net.TCPAddr.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }

// SetDeadline applies to Accept.
func (l *Listener) SetDeadline(t time.Time) error {
	l.h.s.mu.Lock()
	defer l.h.s.mu.Unlock()
	if l.closed {
		return l.fail("set", net.ErrClosed)
	}
	l.rd.set(l.h.s, t, &l.sig)
	return nil
}

func (l *Listener) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: l.Addr(), Err: err}
}
