package ice

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

const (
	maxAddrs = 16 // interface addresses to bind
	rtcpRuns = 16 // attempts at two neighbouring free ports
)

// bind opens the sockets, the default one first.
func (g *Gatherer) bind(ctx context.Context) error {
	addrs, err := g.addresses(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i, a := range addrs {
		err := g.bindOne(ctx, a, len(g.bases) == 0 && g.cfg.RTCP, uint16(65535-i))
		if err != nil {
			errs = append(errs, err)
			if g.cfg.Addrs != nil {
				break // asked for by name
			}
		}
	}
	if len(g.bases) > 0 && (len(errs) == 0 || g.cfg.Addrs == nil) {
		return nil
	}
	for _, b := range g.bases {
		_ = b.close()
	}
	if g.rtcp != nil {
		_ = g.rtcp.close()
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return fmt.Errorf("%w: no interface has a usable address", ErrNoCandidates)
}

func (g *Gatherer) bindOne(ctx context.Context, a netip.Addr, rtcp bool, pref uint16) error {
	if !rtcp {
		s, at, err := g.listen(ctx, netip.AddrPortFrom(a, 0))
		if err == nil {
			g.bases = append(g.bases, g.start(s, at, pref))
		}
		return err
	}
	// "RTP SHOULD use an even destination port number and the corresponding
	// RTCP stream SHOULD use the next higher (odd) destination port number"
	// (RFC 3550 section 11).
	var last error
	for range rtcpRuns {
		s, at, err := g.listen(ctx, netip.AddrPortFrom(a, 0))
		if err != nil {
			return err
		}
		if at.Port()%2 != 0 || at.Port() == 65535 {
			_ = s.Close()
			last = fmt.Errorf("ice: bind %v: no even port", a)
			continue
		}
		s2, at2, err := g.listen(ctx, netip.AddrPortFrom(a, at.Port()+1))
		if err != nil {
			_ = s.Close()
			last = err
			continue
		}
		g.bases = append(g.bases, g.start(s, at, pref))
		g.rtcp = g.start(s2, at2, pref)
		return nil
	}
	return last
}

func (g *Gatherer) listen(ctx context.Context, at netip.AddrPort) (socket, netip.AddrPort, error) {
	c, err := g.net.ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("ice: bind %v: %w", at, err)
	}
	bound, err := addrPort(c.LocalAddr())
	if err != nil {
		_ = c.Close()
		return nil, netip.AddrPort{}, err
	}
	return asSocket(c), bound, nil
}

func (g *Gatherer) start(s socket, at netip.AddrPort, pref uint16) *base {
	b := newBase(g, at, s, s.Close)
	b.pref = pref
	go b.read(s.ReadFromUDPAddrPort) // ends in b.close, which waits
	return b
}

// addresses are what to bind, the default route's first.
//
// "Addresses from a loopback interface MUST NOT be included in the candidate
// addresses" (RFC 8445 section 5.1.1.1), unless asked for, or a machine without
// a network could not even call itself.
func (g *Gatherer) addresses(ctx context.Context) ([]netip.Addr, error) {
	if g.cfg.Addrs != nil {
		return g.cfg.Addrs, nil
	}
	prefixes, err := g.net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("ice: list addresses: %w", err)
	}
	var found, loopback []netip.Addr
	for _, p := range prefixes {
		a := p.Addr().Unmap()
		switch {
		case slices.Contains(found, a) || slices.Contains(loopback, a):
		case a.IsLoopback():
			loopback = append(loopback, a)
		case global(a):
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return loopback, nil
	}
	for _, probe := range []string{"[2001:db8::1]:9", "192.0.2.1:9"} { // the IPv4 default ends up in front
		a, ok := g.preferred(ctx, probe)
		if i := slices.Index(found, a); ok && i > 0 {
			found = slices.Insert(slices.Delete(found, i, i+1), 0, a)
		}
	}
	// What a peer without ICE reads from the c= line must be what it most
	// probably can use: IPv4.
	if i := slices.IndexFunc(found, netip.Addr.Is4); i > 0 {
		a := found[i]
		found = slices.Insert(slices.Delete(found, i, i+1), 0, a)
	}
	return found[:min(len(found), maxAddrs)], nil
}

// preferred asks the routing table which source address it would use. No packet
// is sent: the addresses are those for documentation (RFC 5737, RFC 3849).
func (g *Gatherer) preferred(ctx context.Context, to string) (netip.Addr, bool) {
	c, err := g.net.Dial(ctx, "udp", to)
	if err != nil {
		return netip.Addr{}, false
	}
	defer c.Close() //nolint:errcheck // nothing was written
	u, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return u.AddrPort().Addr().Unmap(), true
}

// global says whether an address is worth telling a peer without being asked.
func global(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() &&
		!a.IsLinkLocalUnicast() && a.Zone() == ""
}
