package ice

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Direct gives the path to a peer without ICE, from the advertised port. It
// receives from any source that no ICE path owns and writes to remote, see
// Path.Retarget. There is one at a time.
func (g *Gatherer) Direct(remote netip.AddrPort) (*Path, error) {
	for _, b := range g.usable() {
		if b.addr.Addr().Is4() == remote.Addr().Unmap().Is4() {
			return g.direct(b, remote)
		}
	}
	return nil, fmt.Errorf("%w: nothing bound reaches %v", ErrNoCandidates, remote)
}

// DirectRTCP is Direct for the socket of Config.RTCP.
func (g *Gatherer) DirectRTCP(remote netip.AddrPort) (*Path, error) {
	g.mu.Lock()
	b := g.rtcp
	g.mu.Unlock()
	if b == nil {
		return nil, errors.New("ice: no RTCP socket: not bound, or released")
	}
	return g.direct(b, remote)
}

func (g *Gatherer) direct(b *base, remote netip.AddrPort) (*Path, error) {
	if !remote.IsValid() {
		return nil, fmt.Errorf("ice: no address: %v", remote)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, ErrClosed
	}
	p := newPath(g)
	p.direct = true
	p.cur.Store(plainLeg(b, remote))
	if !b.static.CompareAndSwap(nil, p) {
		return nil, errors.New("ice: there is a direct path already")
	}
	g.paths[p] = struct{}{}
	return p, nil
}

func plainLeg(b *base, to netip.AddrPort) *leg {
	to = unmap(to)
	return &leg{b: b, to: to, remote: Candidate{Component: 1, Transport: "UDP", Addr: to}}
}

// Retarget makes a path of Direct write to another address. Paths of Connect
// ignore it: they never latch.
func (p *Path) Retarget(to netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.cur.Load()
	if p.direct && p.err == nil && l != nil && to.IsValid() && l.b.addr.Addr().Is4() == to.Addr().Unmap().Is4() {
		p.cur.Store(plainLeg(l.b, to))
	}
}

// undirect frees the sockets that a direct path received from.
func (g *Gatherer) undirect(p *Path) {
	g.mu.Lock()
	all := append(append([]*base(nil), g.bases...), g.relays...)
	if g.rtcp != nil {
		all = append(all, g.rtcp)
	}
	g.mu.Unlock()
	for _, b := range all {
		b.static.CompareAndSwap(p, nil)
	}
}

// ReleaseRTCP closes the socket of Config.RTCP: the peer multiplexes.
func (g *Gatherer) ReleaseRTCP() {
	g.mu.Lock()
	b := g.rtcp
	g.rtcp = nil
	if b != nil {
		g.reflexive = slices.DeleteFunc(slices.Clone(g.reflexive), func(r reflexive) bool { return r.b == b })
	}
	g.mu.Unlock()
	if b == nil {
		return
	}
	if p := b.static.Load(); p != nil {
		_ = p.Close() // never fails
	}
	_ = b.close() // the socket goes away whatever it says
}
