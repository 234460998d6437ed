package transport

import (
	"context"
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
	byRemote map[netip.AddrPort]*tcpFlow
	all      map[*tcpFlow]struct{}
	dials    map[netip.AddrPort]*dial
	accepted int
	sources  map[netip.Prefix]int
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
	c.byRemote = make(map[netip.AddrPort]*tcpFlow)
	c.all = make(map[*tcpFlow]struct{})
	c.dials = make(map[netip.AddrPort]*dial)
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
	c.byRemote[f.remote] = f
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
	if c.byRemote[f.remote] == f {
		delete(c.byRemote, f.remote)
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

// tcpTo uses the connection to remote, waits for the one being made, or makes one.
func (t *Transport) tcpTo(ctx context.Context, remote netip.AddrPort) (Flow, error) {
	remote = unmap(remote)
	c := &t.conns
	c.mu.Lock()
	if f := c.byRemote[remote]; f != nil && f.open() {
		c.mu.Unlock()
		return f, nil
	}
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("sip: connect to %v: %w", remote, net.ErrClosed)
	}
	d := c.dials[remote]
	if d == nil {
		d = &dial{done: make(chan struct{})}
		bound := context.Background() // shut cancels it
		if limit := t.cfg.Limits.Connect; limit > 0 {
			bound, d.cancel = context.WithTimeout(bound, limit)
		} else {
			bound, d.cancel = context.WithCancel(bound)
		}
		c.dials[remote] = d
		t.running.Go(func() { t.dial(bound, d, remote) })
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
		if c.dials[remote] == d {
			delete(c.dials, remote) // who comes now starts afresh
		}
	}
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("sip: connect to %v over TCP: %w", remote, err)
	}
	return d.flow, nil
}

// dial makes a connection; tcpTo's waiters see the result.
func (t *Transport) dial(ctx context.Context, d *dial, remote netip.AddrPort) {
	defer close(d.done)
	conn, err := t.cfg.Network.Dial(ctx, "tcp", remote.String())
	if err == nil {
		f := newTCPFlow(t, conn, remote, false)
		if err = t.conns.add(f, &t.cfg.Limits); err == nil {
			d.flow = f
		} else {
			_ = conn.Close()
		}
	}
	d.err = err
	t.conns.mu.Lock()
	if t.conns.dials[remote] == d {
		delete(t.conns.dials, remote)
	}
	t.conns.mu.Unlock()
}

// tcpAcceptor is one listener and its accepting goroutine.
type tcpAcceptor struct {
	t     *Transport
	l     net.Listener
	local netip.AddrPort
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
			a.t.log("accept TCP", "local", a.local, "err", err)
			if !a.t.pause(min(time.Duration(failures)*5*time.Millisecond, time.Second)) {
				return
			}
			continue
		}
		failures = 0
		f := newTCPFlow(a.t, conn, addrPort(conn.RemoteAddr()), true)
		if err := a.t.conns.add(f, &a.t.cfg.Limits); err != nil {
			a.t.count.refused.Add(1)
			a.t.log("refuse TCP", "remote", f.remote, "err", err)
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
