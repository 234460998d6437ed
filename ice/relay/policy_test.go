package relay

import (
	"net"
	"net/netip"
	"testing"
)

func server(own []string, allow ...string) *Server {
	s := &Server{live: map[netip.AddrPort]int{}, addrs: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:3478")}}
	for _, a := range own {
		s.own = append(s.own, netip.MustParseAddr(a))
	}
	for _, p := range allow {
		s.cfg.AllowPeers = append(s.cfg.AllowPeers, netip.MustParsePrefix(p))
	}
	return s
}

func TestHostilePeers(t *testing.T) {
	s := server([]string{"203.0.113.1", "10.0.0.5", "2001:db8:1::1"})
	s.lives(netip.MustParseAddrPort("203.0.113.1:50000"), netip.MustParseAddrPort("10.0.0.5:50000"), 1)
	for addr, want := range map[string]bool{
		"198.51.100.7": true, "192.0.2.1": true, "2001:db8::7": true, "100.63.255.255": true, "172.32.0.1": true, "9.255.255.255": true,

		"127.0.0.1": false, "127.255.0.1": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false, "100.127.255.255": false,
		"169.254.169.254": false, "fe80::1": false, "fec0::1": false, "fc00::1": false, "fd12::1": false,
		"224.0.0.1": false, "239.255.255.250": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false, "192.0.0.8": false,
		// Mapped, translated and tunnelled forms of refused ones.
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a00:1": false, "64:ff9b:1::a00:1": false, "2002:7f00:1::": false, "2002:a00:1::1": false, "2002:c0a8:101::1": false,
		"::127.0.0.1": false, "::10.0.0.1": false, "2001::1": false,
		// And of harmless ones.
		"::ffff:198.51.100.7": true, "64:ff9b::c633:6407": true, "2002:c633:6407::1": true,
		// Its own: only through a live allocation, and never in disguise.
		"203.0.113.1": true, "10.0.0.5": true, "2001:db8:1::1": false, "64:ff9b::cb00:7101": false, "2002:cb00:7101::": false,
	} {
		if got := s.permit(nil, net.IP(netip.MustParseAddr(addr).AsSlice())); got != want {
			t.Errorf("permission for %s: %v, want %v", addr, got, want)
		}
	}
	if s.permit(nil, nil) || s.permit(nil, net.IP{1, 2, 3}) {
		t.Error("permission for no address")
	}
	for at, want := range map[string]bool{
		"198.51.100.7:3478": true, "203.0.113.1:50000": true, "10.0.0.5:50000": true, "[::ffff:203.0.113.1]:50000": true,
		"203.0.113.1:3478": false, "203.0.113.1:22": false, "203.0.113.1:50001": false, "[::ffff:203.0.113.1]:22": false, "10.0.0.5:22": false,
		"127.0.0.1:22": false, "[64:ff9b::cb00:7101]:22": false,
	} {
		if got := s.passes(netip.MustParseAddrPort(at)); got != want {
			t.Errorf("packet to %s passes: %v, want %v", at, got, want)
		}
	}
}

func TestAllowPeersOpensRanges(t *testing.T) {
	s := server([]string{"127.0.0.1", "203.0.113.1", "::1"}, "127.0.0.0/8", "::1/128", "10.1.0.0/16")
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true,
		"10.2.0.1": false, "203.0.113.1": false, "192.168.0.1": false,
	} {
		if got := s.permit(nil, net.IP(netip.MustParseAddr(addr).AsSlice())); got != want {
			t.Errorf("permission for %s: %v, want %v", addr, got, want)
		}
	}
	s.addrs = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3478")}
	if s.passes(s.addrs[0]) || !s.passes(netip.MustParseAddrPort("127.0.0.1:5000")) {
		t.Error("the relay's own listener must stay closed, the rest of the range is open")
	}
}

func FuzzPolicy(f *testing.F) {
	for _, a := range []string{"127.0.0.1", "::1", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		f.Add(netip.MustParseAddr(a).AsSlice(), uint16(22))
	}
	s := server([]string{"203.0.113.1"})
	f.Fuzz(func(t *testing.T, ip []byte, port uint16) {
		ok := s.permit(nil, net.IP(ip))
		a, valid := netip.AddrFromSlice(ip)
		if ok && (!valid || !a.Unmap().IsGlobalUnicast() || a.Unmap().IsPrivate() || a.Unmap().IsLoopback()) {
			t.Fatalf("permission for %v", a)
		}
		if valid {
			s.passes(netip.AddrPortFrom(a, port))
		}
	})
}
