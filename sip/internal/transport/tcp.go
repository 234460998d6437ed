package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// closeGrace is how long a closed connection may still send what was queued.
const closeGrace = 200 * time.Millisecond

var errQueueFull = errors.New("the peer does not read")

// tcpFlow is one connection, with or without TLS: a goroutine that reads, and one that writes while there is
// something to write.
type tcpFlow struct {
	t        *Transport
	conn     net.Conn
	local    netip.AddrPort
	remote   netip.AddrPort
	key      connKey
	accepted bool
	held     atomic.Int32
	active   atomic.Int64 // when a message last passed, Unix ns
	pongs    atomic.Int32 // asked for by ping
	half     bool         // of a ping was read; the reading goroutine's

	mu      sync.Mutex
	queue   []byte // not yet taken by the writing goroutine
	spare   []byte
	writing bool
	closed  bool
	err     error // why it ended
}

func newTCPFlow(t *Transport, conn net.Conn, key connKey, accepted bool) *tcpFlow {
	f := &tcpFlow{t: t, conn: conn, local: addrPort(conn.LocalAddr()), remote: key.remote, key: key, accepted: accepted}
	f.active.Store(time.Now().UnixNano())
	return f
}

func (f *tcpFlow) Transport() string      { return f.key.name() }
func (f *tcpFlow) Reliable() bool         { return true }
func (f *tcpFlow) Local() netip.AddrPort  { return f.local }
func (f *tcpFlow) Remote() netip.AddrPort { return f.remote }

func (f *tcpFlow) Write(p []byte) error {
	f.t.trace(f, p, true)
	if err := f.send(p); err != nil {
		return fmt.Errorf("sip: send to %v over %s: %w", f.remote, f.key.name(), err)
	}
	f.t.count.sent.Add(1)
	return nil
}

// send queues p. It never waits for the network.
func (f *tcpFlow) send(p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return f.err
	}
	if limit := f.t.cfg.Limits.Queue; limit > 0 && len(f.queue)+len(p) > limit {
		f.shutLocked(errQueueFull, false)
		return errQueueFull
	}
	f.queue = append(f.queue, p...)
	f.active.Store(time.Now().UnixNano())
	if !f.writing {
		f.writing = true
		f.t.running.Go(f.write) // the reading goroutine still counts: not closed
	}
	return nil
}

// write sends the queue until it is empty.
func (f *tcpFlow) write() {
	for {
		f.mu.Lock()
		if len(f.queue) == 0 {
			f.writing = false
			closed := f.closed
			f.mu.Unlock()
			if closed {
				hangUp(f.conn)
			}
			return
		}
		p := f.queue
		f.queue, f.spare = f.spare[:0], nil
		grace := f.t.cfg.Limits.Write
		if f.closed {
			grace = closeGrace
		}
		f.mu.Unlock()
		if grace > 0 {
			_ = f.conn.SetWriteDeadline(time.Now().Add(grace))
		}
		_, err := f.conn.Write(p)
		f.mu.Lock()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !f.closed {
				f.t.count.timedOut.Add(1)
			}
			f.writing, f.queue = false, nil
			f.shutLocked(err, false)
			f.mu.Unlock()
			cut(f.conn)
			return
		}
		if cap(p) <= 16<<10 {
			f.spare = p
		}
		f.mu.Unlock()
	}
}

// Close ends the connection after what is queued was sent, or a moment later.
func (f *tcpFlow) Close() error {
	f.shut(net.ErrClosed, true)
	return nil
}

// shut ends the flow for a reason; the first one counts. flush: send what is queued.
func (f *tcpFlow) shut(err error, flush bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shutLocked(err, flush)
}

func (f *tcpFlow) shutLocked(err error, flush bool) {
	if f.closed {
		return
	}
	f.closed, f.err = true, err
	if f.writing && flush {
		_ = f.conn.SetWriteDeadline(time.Now().Add(closeGrace)) // write closes the connection
		return
	}
	f.queue = nil
	if ending, ok := f.conn.(*tls.Conn); ok {
		f.t.running.Go(func() { hangUp(ending) }) // it says so to the peer, which may take closeGrace
		return
	}
	_ = f.conn.Close()
}

// read takes messages until the connection ends.
func (f *tcpFlow) read() {
	if err := f.greet(); err != nil {
		f.shut(err, false)
		f.t.conns.remove(f) // nobody heard of it
		return
	}
	err := f.messages()
	f.mu.Lock()
	f.shutLocked(err, true) // a refusal may be on its way
	err = f.err
	f.mu.Unlock()
	f.t.conns.remove(f)
	if f.t.cfg.Broken != nil {
		f.t.cfg.Broken(f, err)
	}
}

func (f *tcpFlow) messages() error {
	limits := &f.t.cfg.Limits
	p := newParser(limits.Headers)
	fr := framer{limit: limits.MessageSize}
	greeted := !f.accepted
	begun := time.Now() // of the message being read, or the connection's first
	for {
		n, err := f.readSome(&fr, greeted, begun)
		if err != nil {
			return err
		}
		fresh := !fr.partial()
		fr.grew(n)
		for {
			raw, blanks, err := fr.next()
			f.blank(blanks)
			if err != nil {
				return f.lost(p, raw, err)
			}
			if raw == nil {
				break
			}
			greeted, fresh, f.half = true, true, false
			f.active.Store(time.Now().UnixNano())
			f.t.take(p, raw, f, f.remote, true, func(res []byte, _ netip.AddrPort) {
				_ = f.Write(res) // the next read tells
			})
		}
		if fresh && greeted {
			begun = time.Now()
		}
	}
}

// ping asks for a sign of life.
func (f *tcpFlow) ping() error {
	f.pongs.Add(1)
	if err := f.send([]byte("\r\n\r\n")); err != nil {
		return fmt.Errorf("sip: send to %v over %s: %w", f.remote, f.key.name(), err)
	}
	return nil
}

// blank takes n CRLFs between messages: "the client sends a double-CRLF (the "ping")
// then waits to receive a single CRLF (the "pong")" (RFC 5626 section 3.5.1). The two of
// a ping may come apart; one alone is a pong when one is due.
func (f *tcpFlow) blank(n int) {
	if f.half {
		n++
	}
	for ; n >= 2; n -= 2 {
		f.t.count.keepalives.Add(1)
		_ = f.send([]byte("\r\n")) // the next read tells
	}
	f.half = n == 1
	if f.half && f.pongs.Load() > 0 {
		f.half = false
		f.pongs.Add(-1)
	}
}

// readSome reads once, with the deadline that applies now.
func (f *tcpFlow) readSome(fr *framer, greeted bool, begun time.Time) (int, error) {
	limits := &f.t.cfg.Limits
	for {
		var deadline time.Time
		waiting := false // for a message to begin
		switch {
		case !greeted:
			if limits.Greeting > 0 {
				deadline = begun.Add(limits.Greeting)
			}
		case fr.partial():
			if limits.Partial > 0 {
				deadline = begun.Add(limits.Partial)
			}
		case limits.Idle > 0:
			waiting = true
			deadline = time.Unix(0, f.active.Load()).Add(limits.Idle)
			if f.held.Load() > 0 {
				deadline = time.Now().Add(limits.Idle)
			}
		}
		_ = f.conn.SetReadDeadline(deadline)
		n, err := f.conn.Read(fr.space())
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			idle := time.Since(time.Unix(0, f.active.Load())) >= limits.Idle
			if waiting && (f.held.Load() > 0 || !idle) {
				continue
			}
			f.t.count.timedOut.Add(1)
			return 0, err
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("closed by the peer: %w", err)
		default:
			return 0, explain(err)
		}
	}
}

// lost ends a stream in which messages can no longer be told apart, with a word to the
// peer when it can be given.
func (f *tcpFlow) lost(p *parser, raw []byte, err error) error {
	d := &defect{0, "not SIP"}
	switch {
	case errors.Is(err, errTooLarge):
		f.t.count.tooLarge.Add(1)
		d = &defect{513, "Message Too Large"}
	case errors.Is(err, errNoLength):
		d = bad("Missing Content-Length")
	}
	if raw == nil {
		if !errors.Is(err, errTooLarge) {
			f.t.count.garbage.Add(1)
		}
		return err
	}
	f.t.trace(f, raw, false)
	if found := p.head.scan(raw, f.t.cfg.Limits.Headers); found != nil && errors.Is(err, errNoLength) {
		d = found
	}
	f.t.refuse(&p.head, raw, d, f.remote, func(res []byte, _ netip.AddrPort) {
		_ = f.Write(res) // it ends anyway
	})
	return err
}
