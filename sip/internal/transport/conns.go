package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// connTable holds the connections of a transport, and counts the accepted ones.
type connTable struct {
	mu       sync.Mutex
	closed   bool
	byRemote map[connKey]*tcpFlow
	all      map[*tcpFlow]struct{}
	dials    map[connKey]*dial
	accepted int
	sources  map[netip.Prefix]int
}

// connKey is which connection may be used again for a target. One by TLS serves the
// domain only that its certificate was verified for.
type connKey struct {
	remote netip.AddrPort
	secure bool
	domain string // of a secure one
}

// name is the transport as in a Via.
func (k connKey) name() string {
	if k.secure {
		return "TLS"
	}
	return "TCP"
}

// dial is a connect under way that several may wait for.
type dial struct {
	done    chan struct{}
	flow    *tcpFlow // after done
	err     error
	waiters int // guarded by connTable.mu; the last to leave cancels
	cancel  context.CancelFunc
}

func (c *connTable) init() {
	c.byRemote = make(map[connKey]*tcpFlow)
	c.all = make(map[*tcpFlow]struct{})
	c.dials = make(map[connKey]*dial)
	c.sources = make(map[netip.Prefix]int)
}

func (c *connTable) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// sourceOf is what ConnsPerSource counts by.
func sourceOf(a netip.Addr) netip.Prefix {
	bits := 32
	if !a.Is4() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// add takes a flow in unless a limit or Close forbids it.
func (c *connTable) add(f *tcpFlow, limits *Limits) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if f.accepted {
		source := sourceOf(f.remote.Addr())
		if limits.Conns > 0 && c.accepted >= limits.Conns {
			return errors.New("too many connections")
		}
		if limits.ConnsPerSource > 0 && c.sources[source] >= limits.ConnsPerSource && !f.remote.Addr().IsLoopback() {
			return errors.New("too many connections of one source")
		}
		c.accepted++
		c.sources[source]++
	}
	c.all[f] = struct{}{}
	if !f.accepted || !f.key.secure { // nobody vouched for who is at the other end of an accepted TLS connection
		c.byRemote[f.key] = f
	}
	f.t.running.Go(f.read)
	return nil
}

func (c *connTable) remove(f *tcpFlow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.all[f]; !ok {
		return
	}
	delete(c.all, f)
	if c.byRemote[f.key] == f {
		delete(c.byRemote, f.key)
	}
	if f.accepted {
		c.accepted--
		source := sourceOf(f.remote.Addr())
		if c.sources[source]--; c.sources[source] == 0 {
			delete(c.sources, source)
		}
	}
}

// shut lets nothing in any more, ends what connects, and lists what is there.
func (c *connTable) shut() []*tcpFlow {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, d := range c.dials {
		d.cancel()
	}
	all := make([]*tcpFlow, 0, len(c.all))
	for f := range c.all {
		all = append(all, f)
	}
	return all
}

func (f *tcpFlow) open() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed
}

// tcpTo is connTo without TLS.
func (t *Transport) tcpTo(ctx context.Context, remote netip.AddrPort) (Flow, error) {
	return t.connTo(ctx, connKey{remote: unmap(remote)})
}

// connTo uses the connection to a target, waits for the one being made, or makes one.
func (t *Transport) connTo(ctx context.Context, key connKey) (Flow, error) {
	remote := key.remote
	c := &t.conns
	c.mu.Lock()
	if f := c.byRemote[key]; f != nil && f.open() {
		c.mu.Unlock()
		return f, nil
	}
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("sip: connect to %v: %w", remote, net.ErrClosed)
	}
	d := c.dials[key]
	if d == nil {
		d = &dial{done: make(chan struct{})}
		bound := context.Background() // shut cancels it
		if limit := t.cfg.Limits.Connect; limit > 0 {
			bound, d.cancel = context.WithTimeout(bound, limit)
		} else {
			bound, d.cancel = context.WithCancel(bound)
		}
		c.dials[key] = d
		t.running.Go(func() { t.dial(bound, d, key) })
	}
	d.waiters++
	c.mu.Unlock()

	var err error
	select {
	case <-d.done:
		err = d.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	if d.waiters--; d.waiters == 0 {
		d.cancel()
		if c.dials[key] == d {
			delete(c.dials, key) // who comes now starts afresh
		}
	}
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("sip: connect to %v over %s: %w", remote, key.name(), err)
	}
	return d.flow, nil
}

// dial makes a connection; tcpTo's waiters see the result.
func (t *Transport) dial(ctx context.Context, d *dial, key connKey) {
	defer close(d.done)
	conn, err := t.cfg.Network.Dial(ctx, "tcp", key.remote.String())
	if err == nil && key.secure {
		conn, err = t.shakeHands(ctx, conn, key.domain)
	}
	if err == nil {
		f := newTCPFlow(t, conn, key, false)
		if err = t.conns.add(f, &t.cfg.Limits); err == nil {
			d.flow = f
		} else {
			_ = conn.Close()
		}
	}
	d.err = err
	t.conns.mu.Lock()
	if t.conns.dials[key] == d {
		delete(t.conns.dials, key)
	}
	t.conns.mu.Unlock()
}

// tcpAcceptor is one listener and its accepting goroutine.
type tcpAcceptor struct {
	t     *Transport
	l     net.Listener
	local netip.AddrPort
	tls   *tls.Config // nil: plain TCP
}

// accept takes connections until Close.
func (a *tcpAcceptor) accept() {
	failures := 0
	for {
		conn, err := a.l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || a.t.closed() {
				return
			}
			failures++ // out of descriptors, most likely
			a.t.log("accept a connection", "local", a.local, "err", err)
			if !a.t.pause(min(time.Duration(failures)*5*time.Millisecond, time.Second)) {
				return
			}
			continue
		}
		failures = 0
		key := connKey{remote: addrPort(conn.RemoteAddr()), secure: a.tls != nil}
		if key.secure {
			conn = tls.Server(&endingConn{Conn: conn}, a.tls) // the flow's own goroutine shakes hands
		}
		f := newTCPFlow(a.t, conn, key, true)
		if err := a.t.conns.add(f, &a.t.cfg.Limits); err != nil {
			a.t.count.refused.Add(1)
			a.t.log("refuse a connection", "remote", f.remote, "err", err)
			_ = conn.Close()
		}
	}
}

// Open says that f takes messages: a datagram socket, or a connection that has not
// ended.
func (t *Transport) Open(f Flow) bool {
	c, ok := f.(*tcpFlow)
	return !ok || c.open()
}

// Ping sends the keep-alive of RFC 5626 section 3.5.1, which is no message and in no
// trace. Its answer is taken, not waited for: that needs the peer's word that it
// answers.
func (t *Transport) Ping(f Flow) error {
	switch f := f.(type) {
	case *tcpFlow:
		return f.ping()
	case udpFlow:
		return f.write([]byte("\r\n\r\n"))
	default:
		return f.Write([]byte("\r\n\r\n"))
	}
}

// Hold keeps the idle time-out away from f until release is called. Transactions
// hold their flow by themselves; registrations and dialogs may. release may be called
// more than once.
func (t *Transport) Hold(f Flow) (release func()) {
	c, ok := f.(*tcpFlow)
	if !ok {
		return func() {}
	}
	c.held.Add(1)
	return sync.OnceFunc(func() {
		c.active.Store(time.Now().UnixNano())
		c.held.Add(-1)
	})
}
