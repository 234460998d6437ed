package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// How long an answered call may take to find a path and to agree on keys.
const (
	pathTimeout = 20 * time.Second
	keysTimeout = 15 * time.Second
)

// leg is the media of one dialog: what was agreed, and what carries it. The
// call's goroutine owns it, but for link, which mu guards.
type leg struct {
	dialog     *sip.Dialog
	machine    *negotiate.Machine
	line       negotiate.Line
	text       string // the peer's session description
	connecting bool
	late       bool // the callee made the first offer

	mu       sync.Mutex
	link     *link
	closed   bool
	last     CallStats // of the link, kept when it is closed
	security Security
	stop     context.CancelFunc // ends connecting
}

// link is connected media.
type link struct {
	path, rtcp *ice.Path // rtcp nil: multiplexed
	transport  *media.Transport
	stream     *media.Stream
	since      time.Time
}

func (k *link) close() {
	_ = k.stream.Close()
	_ = k.transport.Close() // sends RTCP BYE
	if k.rtcp != nil {
		_ = k.rtcp.Close()
	}
	_ = k.path.Close()
}

// ready is the connected media, or nil.
func (l *leg) ready() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

// close ends the leg, connecting or connected. It may wait for the reader.
func (l *leg) close() {
	l.mu.Lock()
	k, stop := l.link, l.stop
	if k != nil {
		l.last = k.stats()
	}
	l.closed, l.link = true, nil
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
	if k != nil {
		k.close()
	}
}

// set hands over the connected media; false when the leg was closed meanwhile.
func (l *leg) set(k *link, s Security) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.link, l.security = k, s
	return true
}

// connect finds the path and the keys of a leg, beside the call's goroutine.
func (c *Call) connect(ctx context.Context, l *leg) {
	ctx, stop := context.WithCancel(ctx)
	l.connecting = true
	l.mu.Lock()
	l.stop = stop
	closed := l.closed
	l.mu.Unlock()
	if closed {
		stop()
		return
	}
	role := ice.Controlled
	if c.outgoing != l.late || l.line.ICE != nil && l.line.ICE.Lite {
		role = ice.Controlling // the first offerer's (RFC 8445 section 6.1.1)
	}
	line, stream, gatherer := l.line, c.streamConfig(l), c.gatherer
	signalling := c.signalling()
	c.pending.Go(func() {
		defer stop()
		k, err := c.ep.connect(ctx, gatherer, role, line, stream, signalling)
		if err == nil && !l.set(k, c.securityOf(l, k)) {
			k.close()
			err = context.Canceled
		}
		c.post(func(context.Context) { c.connected(l, k, err) })
	})
}

// signalling is the host that SIP messages of the call come from.
func (c *Call) signalling() netip.Addr {
	if c.in != nil {
		return c.in.inv.Remote.Addr()
	}
	return netip.Addr{}
}

// connect makes the link: path, transport, stream. ctx bounds all of it.
func (ep *Endpoint) connect(ctx context.Context, g *ice.Gatherer, role ice.Role, line negotiate.Line, sc *media.StreamConfig, signalling netip.Addr) (*link, error) {
	keys, err := ep.keys(&line)
	if err != nil {
		return nil, err
	}
	k, err := ep.path(ctx, g, role, &line)
	if err != nil {
		return nil, err
	}
	undo := func() {
		if k.rtcp != nil {
			_ = k.rtcp.Close()
		}
		_ = k.path.Close()
	}
	tc := &media.TransportConfig{RTP: k.path, Keys: keys, Clock: ep.clock, Log: ep.cfg.Log, Signalling: signalling}
	if k.rtcp != nil {
		tc.RTCP = k.rtcp
	}
	if line.ICE == nil {
		tc.Remote = line.Remote
	}
	bounded, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	if k.transport, err = media.NewTransport(bounded, tc); err != nil {
		undo()
		return nil, fmt.Errorf("session: agree on keys: %w", err)
	}
	if k.stream, err = k.transport.NewStream(sc); err != nil {
		_ = k.transport.Close()
		undo()
		return nil, fmt.Errorf("session: start the stream: %w", err)
	}
	k.since = time.Now()
	return k, nil
}

// path finds the way to the peer: by ICE, or straight to the address it named.
func (ep *Endpoint) path(ctx context.Context, g *ice.Gatherer, role ice.Role, line *negotiate.Line) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, pathTimeout)
	defer cancel()
	if line.ICE != nil {
		remote, err := remoteICE(line)
		if err != nil {
			return nil, err
		}
		p, err := g.Connect(ctx, role, remote)
		if err != nil {
			return nil, fmt.Errorf("session: find a path: %w", err)
		}
		g.ReleaseRTCP()
		return &link{path: p}, nil
	}
	remote, err := ep.defaultRemote(ctx, line)
	if err != nil {
		return nil, err
	}
	p, err := g.Direct(remote)
	if err != nil {
		return nil, fmt.Errorf("session: direct path: %w", err)
	}
	k := &link{path: p}
	if line.Mux {
		g.ReleaseRTCP()
		return k, nil
	}
	rtcp := line.RemoteRTCP
	if !rtcp.IsValid() {
		rtcp = netip.AddrPortFrom(remote.Addr(), remote.Port()+1)
	}
	if k.rtcp, err = g.DirectRTCP(rtcp); err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("session: direct path for RTCP: %w", err)
	}
	return k, nil
}

// connected takes the outcome of connect, on the call's goroutine.
func (c *Call) connected(l *leg, k *link, err error) {
	l.connecting = false
	if c.state == ended {
		return // closeMedia sees to the link
	}
	if err != nil {
		if l == c.current.Load() && !errors.Is(err, context.Canceled) {
			c.hangUp(&EndError{Cause: NoMedia, Err: err})
			return
		}
		c.log().Debug("leg not connected", "err", err)
		return
	}
	if l == c.current.Load() {
		c.inUse(l, k)
		return
	}
	if c.current.Load() == nil && c.state == ringing {
		c.publishPath(l, k) // early media
	}
}

// inUse begins to watch the media of the leg in use.
func (c *Call) inUse(l *leg, k *link) {
	c.publishPath(l, k)
	c.watch(k)
}

func (c *Call) publishPath(l *leg, k *link) {
	pair := k.path.Selected()
	c.events.publish(PathReady{Local: pair.Local, Remote: pair.Remote, Relayed: k.path.Relayed(), Security: c.securityOf(l, k)})
	c.log().Info("media connected", "local", pair.Local.String(), "remote", pair.Remote.String(), "relayed", k.path.Relayed(), "suite", k.transport.Suite())
}
