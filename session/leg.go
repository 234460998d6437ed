package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// connectTimeout is how long an answered call may take to find a path and to
// agree on keys. Before the answer there is no limit: a callee's ICE may begin
// with it.
const connectTimeout = 30 * time.Second

var errConnectTimeout = fmt.Errorf("session: no media within %v of the answer: %w", connectTimeout, os.ErrDeadlineExceeded)

// leg is the media of one dialog: what was agreed, and what carries it. The
// call's goroutine owns it, but for link, which mu guards.
type leg struct {
	dialog     *sip.Dialog
	machine    *negotiate.Machine
	line       negotiate.Line
	connecting bool
	late       bool // the callee made the first offer

	mu       sync.Mutex
	link     *link
	closed   bool
	last     CallStats // of the link, kept when it is closed
	security Security
	stop     context.CancelCauseFunc // ends connecting
	clock    *time.Timer             // of connectTimeout
}

// link is connected media.
type link struct {
	path, rtcp *ice.Path        // rtcp nil: multiplexed
	remote     netip.AddrPort   // of a peer without ICE
	crypto     negotiate.Crypto // the peer's, of SDES; the call's goroutine owns it
	transport  *media.Transport
	stream     *media.Stream
	since      time.Time // silence counts from here; the call's goroutine owns it
	told       ice.Pair  // the path that PathReady named; the call's goroutine owns it
}

func (k *link) close() {
	if k.stream != nil {
		_ = k.stream.Close()
	}
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
		stop(context.Canceled)
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

// hurry gives connecting connectTimeout from now.
func (l *leg) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	stop := l.stop
	l.clock = time.AfterFunc(connectTimeout, func() { stop(errConnectTimeout) })
}

// connect finds the path and the keys of a leg, beside the call's goroutine. A
// peer that named no address yet ("0.0.0.0", on hold from the start) is connected
// when it does.
func (c *Call) connect(ctx context.Context, l *leg) {
	if l.line.ICE == nil && l.line.Host == "" && (!l.line.Remote.IsValid() || l.line.Remote.Addr().IsUnspecified()) {
		return
	}
	ctx, stop := context.WithCancelCause(ctx)
	l.mu.Lock()
	l.stop = stop
	closed := l.closed
	l.mu.Unlock()
	if closed {
		stop(nil)
		return
	}
	l.connecting = true
	if c.state == answered {
		l.hurry()
	}
	role := ice.Controlled
	if c.outgoing != l.late || l.line.ICE != nil && l.line.ICE.Lite {
		role = ice.Controlling // the first offerer's (RFC 8445 section 6.1.1)
	}
	line, gatherer, signalling := l.line, c.gatherer, c.signalling()
	c.pending.Go(func() {
		defer stop(nil)
		k, err := c.ep.connect(ctx, gatherer, role, line, signalling)
		if err != nil && errors.Is(context.Cause(ctx), errConnectTimeout) {
			err = errors.Join(errConnectTimeout, err)
		}
		c.post(func(ctx context.Context) { c.connected(ctx, l, k, err) })
	})
}

// signalling is the host that SIP messages of the call come from.
func (c *Call) signalling() netip.Addr {
	if c.in != nil {
		return c.in.inv.Remote.Addr()
	}
	return netip.Addr{}
}

// connect makes a link without its stream: path and transport. ctx bounds both.
func (ep *Endpoint) connect(ctx context.Context, g *ice.Gatherer, role ice.Role, line negotiate.Line, signalling netip.Addr) (*link, error) {
	keys, err := ep.keys(&line)
	if err != nil {
		return nil, err
	}
	k, err := ep.path(ctx, g, role, &line)
	if err != nil {
		return nil, err
	}
	k.crypto = line.RemoteCrypto
	tc := &media.TransportConfig{RTP: k.path, Keys: keys, Clock: ep.clock, Log: ep.cfg.Log, Signalling: signalling}
	if k.rtcp != nil {
		tc.RTCP = k.rtcp
	}
	tc.Remote = k.remote
	if k.transport, err = media.NewTransport(ctx, tc); err != nil { // the paths are closed
		return nil, fmt.Errorf("session: agree on keys: %w", err)
	}
	return k, nil
}

// path finds the way to the peer: by ICE, or straight to the address it named.
func (ep *Endpoint) path(ctx context.Context, g *ice.Gatherer, role ice.Role, line *negotiate.Line) (*link, error) {
	if line.ICE != nil {
		p, err := g.Connect(ctx, role, remoteICE(line))
		if err != nil {
			return nil, fmt.Errorf("session: find a path: %w", err)
		}
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
	k := &link{path: p, remote: remote}
	if line.Mux {
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
func (c *Call) connected(ctx context.Context, l *leg, k *link, err error) {
	l.connecting = false
	if l.clock != nil {
		l.clock.Stop()
	}
	if err == nil {
		err = c.stream(l, k)
	}
	if c.state == ended {
		return
	}
	inUse := l == c.current.Load()
	switch {
	case err == nil && inUse:
		c.inUse(l, k)
		c.apply(ctx, l) // an address that a re-INVITE changed meanwhile
	case err == nil:
		c.publishPath(l, k) // early media
	case inUse && errors.Is(err, context.Canceled):
		c.log().Debug("connecting ended", "err", err)
	case inUse:
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
	default:
		c.log().Debug("early leg not connected", "err", err) // it is tried again if it answers
	}
}

// stream starts the stream of a link, as the line is agreed by now, and gives the
// link to its leg.
func (c *Call) stream(l *leg, k *link) (err error) {
	if c.state == ended {
		k.close()
		return c.err
	}
	if k.stream, err = k.transport.NewStream(c.streamConfig(l)); err != nil {
		k.close()
		return fmt.Errorf("session: start the stream: %w", err)
	}
	if !l.set(k, c.securityOf(l, k)) {
		k.close() // the leg lost meanwhile
		return context.Canceled
	}
	return nil
}

// inUse begins to watch the media of the leg in use.
func (c *Call) inUse(l *leg, k *link) {
	if k.rtcp == nil {
		c.gatherer.ReleaseRTCP() // no other leg will want the port
	}
	c.publishPath(l, k)
	c.watch(k)
	select {
	case <-c.flowing:
	default:
		close(c.flowing)
	}
}

// publishPath tells of a path once, and again when a restart moved it.
func (c *Call) publishPath(l *leg, k *link) {
	pair := k.path.Selected()
	if pair == k.told {
		return
	}
	k.told = pair
	k.since = time.Now()
	c.events.publish(PathReady{Local: pair.Local, Remote: pair.Remote, Relayed: k.path.Relayed(), Security: c.securityOf(l, k)})
	c.log().Info("media connected", "local", pair.Local.String(), "remote", pair.Remote.String(), "relayed", k.path.Relayed(), "suite", k.transport.Suite())
}
