package netsim

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// The methods of *net.TCPConn over the stream.

// Read implements net.Conn. What came before a reset is read first.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.fail("read", err)
	}
	return n, err
}

func (c *Conn) read(b []byte) (int, error) {
	s := c.h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, net.ErrClosed
		case c.rd.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case c.noRead:
			return 0, io.EOF
		case len(c.in) > 0:
			n := copy(b, c.in)
			c.in = c.in[n:]
			c.peer.flight -= n
			c.peer.sig.broadcast()
			return n, nil
		case c.eof:
			return 0, io.EOF
		case c.err != nil:
			return 0, c.err
		}
		changed := c.sig.wait()
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
}

// Write implements net.Conn. It waits while 256 KiB are on the way or unread.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	n, err := c.write(b)
	c.h.s.deliverTraces()
	if err != nil {
		err = c.fail("write", err)
	}
	return n, err
}

func (c *Conn) write(b []byte) (n int, err error) {
	s := c.h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case c.closed:
			return n, net.ErrClosed
		case c.noWrite:
			return n, os.NewSyscallError("write", syscall.EPIPE)
		case c.err != nil:
			return n, c.err
		case c.wd.passed():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if k := min(len(b), window-c.flight, maxSegment); k > 0 {
			p := append([]byte(nil), b[:k]...)
			c.flight += k
			c.ship(p, func() { c.peer.receive(p) })
			n, b = n+k, b[k:]
			continue
		}
		changed := c.sig.wait()
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
}

// ReadFrom implements io.ReaderFrom.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{c}, r) }

// Close ends waiting calls with net.ErrClosed. What was written arrives; when
// something received was not read, the peer gets a reset.
func (c *Conn) Close() error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.close()
	return nil
}

// CloseWrite lets the peer read io.EOF; reading goes on.
func (c *Conn) CloseWrite() error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if err := c.shutdown(); err != nil {
		return c.fail("close", err)
	}
	return nil
}

// CloseRead makes reads return io.EOF and throws away what comes.
func (c *Conn) CloseRead() error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.noRead = true
	c.sig.broadcast()
	return nil
}

// LocalAddr is a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr is a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetReadDeadline applies to reads that wait now, too.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.rd) }

// SetWriteDeadline applies to writes that wait now, too.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.wd) }

// SetDeadline sets both.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.rd, &c.wd) }

func (c *Conn) setDeadlines(t time.Time, which ...*deadline) error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, d := range which {
		d.set(c.h.s, t, &c.sig)
	}
	return nil
}

// SetLinger with 0 makes Close send a reset; other values change nothing.
func (c *Conn) SetLinger(sec int) error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	c.hard = sec == 0
	return nil
}

// SetKeepAlive does nothing: there are no keep-alive probes.
func (c *Conn) SetKeepAlive(bool) error { return nil }

// SetKeepAlivePeriod does nothing.
func (c *Conn) SetKeepAlivePeriod(time.Duration) error { return nil }

// SetNoDelay does nothing: nothing is delayed.
func (c *Conn) SetNoDelay(bool) error { return nil }

// SetReadBuffer does nothing.
func (c *Conn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing.
func (c *Conn) SetWriteBuffer(int) error { return nil }

func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
