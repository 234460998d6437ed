package relay

import (
	"net"
	"net/netip"
	"slices"
)

// refused are the ranges that are no public unicast addresses (RFC 6890 and its
// successors). Embedded IPv4 addresses are taken out first.
func refused(a netip.Addr) bool {
	for _, p := range [...]netip.Prefix{
		v4(0, 0, 8), v4(10, 0, 8), v4(127, 0, 8), v4(100, 64, 10), v4(169, 254, 16), v4(172, 16, 12), v4(192, 168, 16), v4(192, 0, 24),
		v4(198, 18, 15), v4(240, 0, 4), // benchmarking; reserved and broadcast
		v6(0, 0, 8),        // unspecified, loopback, IPv4-compatible, unassigned
		v6(0xfc, 0, 7),     // unique-local
		v6(0xfe, 0x80, 9),  // link-local and the old site-local
		v6(0xff, 0, 8),     // multicast
		v6(0x20, 0x01, 32), // Teredo: 2001::/32
	} {
		if p.Contains(a) {
			return true
		}
	}
	return a.IsMulticast() || !a.IsValid()
}

func v4(a, b byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b}), bits)
}

func v6(a, b byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{a, b}), bits)
}

// embedded are the IPv4 addresses that a packet to an IPv6 address may end up
// at: NAT64 (RFC 6052's 64:ff9b::/96, RFC 8215's 64:ff9b:1::/48), 6to4 (RFC
// 3056).
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return a, false
	}
	b := a.As16()
	switch {
	case b[0] == 0 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b:
		return netip.AddrFrom4([4]byte(b[12:])), true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:])), true
	}
	return a, false
}

func (s *Server) opened(a netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.AllowPeers, func(p netip.Prefix) bool { return p.Contains(a) })
}

// verdict is what an address alone says.
type verdict uint8

const (
	no verdict = iota
	yes
	ifLive // the machine's own: only where a live allocation is
)

func (s *Server) judge(a netip.Addr) verdict {
	a = a.Unmap().WithZone("")
	in, translated := embedded(a)
	switch {
	case !a.IsValid():
		return no
	case s.opened(a):
		return yes
	case translated && (s.opened(in) || !refused(in) && !slices.Contains(s.own, in)):
		return yes
	case translated:
		return no
	case slices.Contains(s.own, a):
		return ifLive
	case refused(a):
		return no
	}
	return yes
}

// permit is asked for CreatePermission and ChannelBind, by the address alone: a
// permission has no port (RFC 8656 section 9).
func (s *Server) permit(_ net.Addr, ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	if ok {
		switch s.judge(a) {
		case yes:
			return true
		case ifLive:
			s.mu.Lock()
			defer s.mu.Unlock()
			for l := range s.live {
				if l.Addr() == a.Unmap() {
					return true
				}
			}
		}
	}
	s.peersRefused.Add(1)
	return false
}

// passes judges one datagram's peer, with its port: what permit cannot see. Our
// own listening sockets are never a peer, or the relay would talk to itself.
func (s *Server) passes(peer netip.AddrPort) bool {
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	for _, l := range s.addrs {
		if peer == l || l.Addr().IsUnspecified() && peer.Port() == l.Port() && slices.Contains(s.own, peer.Addr()) ||
			peer == netip.AddrPortFrom(s.cfg.Public.Unmap(), l.Port()) {
			return false
		}
	}
	switch s.judge(peer.Addr()) {
	case yes:
		return true
	case ifLive:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.live[peer] > 0
	}
	return false
}
