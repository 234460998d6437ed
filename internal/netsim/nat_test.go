package netsim

import (
	"fmt"
	"testing"
	"time"
)

// Who can reach the mapping that a host behind a NAT made by sending to
// 192.0.2.1:1000, and with which address the host is then seen by others.
func TestNATKinds(t *testing.T) {
	for _, tc := range []struct {
		kind                           NATKind
		peer, samePeerPort, other, own bool // reach: the peer, its other port, another host; own: one mapping for all
	}{
		{FullCone, true, true, true, true},
		{RestrictedCone, true, true, false, true},
		{PortRestricted, true, false, false, true},
		{Symmetric, true, false, false, false},
	} {
		t.Run(tc.kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				nat := s.NewNAT(tc.kind, "198.51.100.1")
				in, peer, other := s.NewHost("10.0.0.2", nat), s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
				c, p, p2, o := udp(t, in, ":5000"), udp(t, peer, ":1000"), udp(t, peer, ":1001"), udp(t, other, ":1000")
				for _, x := range []*UDPConn{c, p, p2, o} {
					defer x.Close()
				}
				p.put(t, "too early", "198.51.100.1:20000")
				c.wantNone(t, "no mapping yet")

				const mapped = "198.51.100.1:20000"
				c.put(t, "hello", "192.0.2.1:1000")
				p.wantOne(t, "hello", mapped)
				reach := func(from *UDPConn, want bool) {
					t.Helper()
					from.put(t, "in", mapped)
					whats, _ := c.got(t)
					if got := len(whats) == 1; got != want {
						t.Errorf("%v through the mapping: %v, want %v", from.LocalAddr(), got, want)
					}
					c.put(t, "keep", "192.0.2.1:1000") // each wait is 10 s
					p.got(t)
				}
				reach(p, tc.peer)
				reach(p2, tc.samePeerPort)
				reach(o, tc.other)

				c.put(t, "hello", "192.0.2.2:1000")
				_, from := o.got(t)
				if same := from.String() == mapped; same != tc.own {
					t.Errorf("the other host sees %v, the peer %v", from, mapped)
				}
				o.put(t, "answer", from.String())
				c.wantOne(t, "answer", "192.0.2.2:1000")
			})
		})
	}
}

// Both behind NATs, each knows the other's mapping towards a STUN server: the
// table that ICE lives with.
func TestHolePunching(t *testing.T) {
	direct := map[[2]NATKind]bool{}
	for a := FullCone; a <= Symmetric; a++ {
		for b := FullCone; b <= Symmetric; b++ {
			direct[[2]NATKind{a, b}] = true
		}
	}
	for _, k := range [][2]NATKind{{Symmetric, Symmetric}, {Symmetric, PortRestricted}, {PortRestricted, Symmetric}} {
		direct[k] = false
	}
	for kinds, want := range direct {
		t.Run(fmt.Sprint(kinds[0], " and ", kinds[1]), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				stun := udp(t, s.NewHost("192.0.2.1", nil), ":3478")
				defer stun.Close()
				var c [2]*UDPConn
				var mapped [2]string
				for i, kind := range kinds {
					h := s.NewHost("10.0.0.2", s.NewNAT(kind, fmt.Sprintf("198.51.100.%d", i+1)))
					c[i] = udp(t, h, ":5000")
					defer c[i].Close()
					c[i].put(t, "?", "192.0.2.1:3478")
					_, from := stun.got(t)
					mapped[i] = from.String()
				}
				// As ICE: everyone tries what it was told, then answers what came.
				met := false
				for range 3 {
					for i := range c {
						c[i].put(t, "check", mapped[1-i])
					}
					for i := range c {
						c[i].SetReadDeadline(time.Now().Add(time.Second))
						buf := make([]byte, 100)
						if _, from, err := c[i].ReadFromUDPAddrPort(buf); err == nil {
							met = true
							mapped[1-i] = from.String()
						}
					}
				}
				if met != want {
					t.Errorf("met: %v, want %v", met, want)
				}
			})
		})
	}
}

func TestNATLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		nat := s.NewNAT(FullCone, "198.51.100.1")
		in, peer := s.NewHost("10.0.0.2", nat), s.NewHost("192.0.2.1", nil)
		c, p := udp(t, in, ":5000"), udp(t, peer, ":1000")
		defer c.Close()
		defer p.Close()
		c.put(t, "a", "192.0.2.1:1000")
		p.wantOne(t, "a", "198.51.100.1:20000")
		time.Sleep(19 * time.Second) // 10 s passed in wantOne
		c.put(t, "b", "192.0.2.1:1000")
		p.wantOne(t, "b", "198.51.100.1:20000") // alive: the same mapping
		time.Sleep(15 * time.Second)
		p.put(t, "incoming", "198.51.100.1:20000")
		c.wantOne(t, "incoming", "192.0.2.1:1000")
		p.put(t, "late", "198.51.100.1:20000")
		c.wantNone(t, "incoming packets keep no mapping alive")
		c.put(t, "c", "192.0.2.1:1000")
		p.wantOne(t, "c", "198.51.100.1:20001")
		nat.SetLifetime(time.Hour)
		time.Sleep(50 * time.Minute)
		p.put(t, "in an hour", "198.51.100.1:20001")
		c.wantOne(t, "in an hour", "192.0.2.1:1000")
	})
}

func TestRebind(t *testing.T) {
	for _, public := range []string{"", "198.51.100.9"} {
		t.Run("to "+public, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				nat := s.NewNAT(PortRestricted, "198.51.100.1")
				in, peer := s.NewHost("10.0.0.2", nat), s.NewHost("192.0.2.1", nil)
				c, p := udp(t, in, ":5000"), udp(t, peer, ":1000")
				defer c.Close()
				defer p.Close()
				c.put(t, "a", "192.0.2.1:1000")
				p.wantOne(t, "a", "198.51.100.1:20000")
				s.Rebind(nat, public)
				p.put(t, "to the old one", "198.51.100.1:20000")
				c.wantNone(t, "the mapping is forgotten")
				c.put(t, "b", "192.0.2.1:1000")
				want := nat.Public().String() + ":21001"
				p.wantOne(t, "b", want)
				p.put(t, "c", want)
				c.wantOne(t, "c", "192.0.2.1:1000")
			})
		})
	}
}

func TestSamePrivateNetwork(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		nat := s.NewNAT(FullCone, "198.51.100.1")
		a, b := s.NewHost("10.0.0.2", nat), s.NewHost("10.0.0.3", nat)
		elsewhere := s.NewHost("10.0.0.3", s.NewNAT(FullCone, "198.51.100.2"))
		ca, cb, ce, p := udp(t, a, ":1"), udp(t, b, ":1"), udp(t, elsewhere, ":1"), udp(t, s.NewHost("192.0.2.1", nil), ":1")
		for _, c := range []*UDPConn{ca, cb, ce, p} {
			defer c.Close()
		}
		ca.put(t, "direct", "10.0.0.3:1")
		cb.wantOne(t, "direct", "10.0.0.2:1")
		ce.wantNone(t, "another network with the same addresses")

		cb.put(t, "out", "192.0.2.1:1")
		_, mapped := p.got(t)
		ca.put(t, "hairpin", mapped.String())
		cb.wantNone(t, "no hairpinning unless asked for")
		nat.SetHairpin(true)
		ca.put(t, "hairpin", mapped.String())
		cb.wantOne(t, "hairpin", "198.51.100.1:20001")
	})
}
