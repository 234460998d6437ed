package netsim

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// Conn is one side of a stream. All fields but the first group are guarded by
// Sim.mu.
type Conn struct {
	h             *Host
	out           *iface         // nil: inside the host
	own           *mapping       // of the NAT before this side; nil: none
	local, remote netip.AddrPort // as this side sees them
	listener      *Listener      // accepting side
	writing       chan struct{}  // held by a Write, so that Writes do not mix

	peer    *Conn
	in      []byte // received, not read
	flight  int    // sent, not read by the peer
	eof     bool   // the peer sends no more
	noRead  bool   // CloseRead
	noWrite bool   // CloseWrite
	hard    bool   // SetLinger(0): Close resets
	closed  bool
	err     error // what ended the stream from outside
	sig     signal
	rd, wd  deadline

	segments []segment // on the way, in order
	pumping  bool      // an event for the first segment is queued
	stalled  time.Time // since when the first one does not get through
	due      time.Time // arrival of the newest
}

// segment is something that happens at the peer.
type segment struct {
	at      time.Time
	deliver func()
}

const (
	window     = 256 << 10 // bytes sent and not read
	maxSegment = 16 << 10
	retransmit = time.Second      // how often a stalled stream tries again
	giveUp     = 15 * time.Minute // Linux: net.ipv4.tcp_retries2
)

// errReset is what a stream's user sees when the other side is gone.
var errReset = os.NewSyscallError("read", syscall.ECONNRESET)

// ship has deliver run at the peer after the way there, behind what was
// shipped before. p is what a trace is told. mu must be held.
func (c *Conn) ship(p []byte, deliver func()) {
	s := c.h.s
	var way time.Duration
	if c.out != nil {
		s.note(Sent, c.wire(), p)
		way = c.out.up.segment(len(p)) + c.peer.out.down.segment(len(p))
	}
	at := time.Now().Add(way)
	if at.Before(c.due) {
		at = c.due
	}
	c.due = at
	c.segments = append(c.segments, segment{at, deliver})
	if !c.pumping {
		c.pumping = true
		s.at(c.segments[0].at, c.pump)
	}
}

// wire is the flow as the public network sees it.
func (c *Conn) wire() flow {
	f := flow{true, c.local, c.peer.local}
	if c.own != nil {
		f.src = c.own.outer
	}
	if c.peer.own != nil {
		f.dst = c.peer.own.outer
	}
	return f
}

// pump delivers the segments that are due, as long as the way is open.
func (c *Conn) pump() {
	now := time.Now()
	for len(c.segments) > 0 {
		first := c.segments[0]
		if first.at.After(now) {
			c.h.s.at(first.at, c.pump)
			return
		}
		switch {
		case c.own != nil && c.own.gone: // the NAT knows no such stream
			c.drop()
			c.end(errReset)
			return
		case c.blocked():
			if c.stalled.IsZero() {
				c.stalled = now
			}
			if now.Sub(c.stalled) >= giveUp {
				c.drop()
				c.end(os.NewSyscallError("write", syscall.ETIMEDOUT))
				return
			}
			c.h.s.after(retransmit, c.pump)
			return
		}
		c.stalled = time.Time{}
		c.segments[0] = segment{}
		c.segments = c.segments[1:]
		first.deliver()
	}
	c.pumping = false
}

func (c *Conn) drop() { c.segments, c.pumping = nil, false }

// blocked tells whether the way to the peer is closed for now.
func (c *Conn) blocked() bool {
	if c.out == nil {
		return false
	}
	from, to := c.out, c.peer.out
	return from.up.Down || to.down.Down || from.removed || to.removed || c.peer.own != nil && c.peer.own.gone
}

// receive takes what the peer sent.
func (c *Conn) receive(p []byte) {
	switch {
	case c.err != nil || c.h.crashed:
	case c.closed:
		c.sendReset()
	case c.noRead:
		c.peer.flight -= len(p)
		c.peer.sig.broadcast()
	default:
		c.in = append(c.in, p...)
		c.sig.broadcast()
	}
}

// receiveEOF takes the peer's FIN.
func (c *Conn) receiveEOF() {
	c.eof = true
	c.sig.broadcast()
}

// sendReset ends the peer's side. What was sent before still arrives first.
func (c *Conn) sendReset() {
	peer := c.peer
	c.ship(nil, func() { peer.end(errReset) })
}

// end ends this side because of something that happened outside. What was
// received before can still be read.
func (c *Conn) end(err error) {
	if c.err != nil || c.closed {
		return
	}
	c.err = err
	c.sig.broadcast()
}

// abort closes this side at once, with a reset for the peer or without.
func (c *Conn) abort(reset bool) {
	if c.closed {
		return
	}
	c.release()
	if reset && c.err == nil {
		c.sendReset()
	}
}

// release does what all ways to close have in common.
func (c *Conn) release() {
	c.closed, c.in = true, nil
	delete(c.h.conns, c)
	if c.listener != nil {
		c.listener.queue = slices.DeleteFunc(c.listener.queue, func(o *Conn) bool { return o == c })
	}
	c.rd.stop()
	c.wd.stop()
	c.sig.broadcast()
}

// close is Close with mu held. "If such a host issues a CLOSE call while
// received data is still pending in TCP, or if new data is received after CLOSE
// is called, its TCP SHOULD send a RST" (RFC 1122 section 4.2.2.13).
func (c *Conn) close() {
	unread := len(c.in) > 0
	c.release()
	switch {
	case c.err != nil:
	case unread || c.hard:
		c.segments = nil // pump finds the reset only
		c.sendReset()
	case !c.noWrite:
		c.ship(nil, c.peer.receiveEOF)
	}
}

// shutdown is CloseWrite with mu held.
func (c *Conn) shutdown() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.err != nil:
		return c.err
	case !c.noWrite:
		c.noWrite = true
		c.ship(nil, c.peer.receiveEOF)
		c.sig.broadcast()
	}
	return nil
}
