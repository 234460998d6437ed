package netsim

import (
	"net/netip"
	"time"
)

// NATKind is how a NAT maps and filters; the names are those of RFC 3489
// section 5.
type NATKind uint8

const (
	FullCone       NATKind = iota // one mapping per inner address and port; anyone may use it
	RestrictedCone                // one mapping; only hosts that were sent to
	PortRestricted                // one mapping; only addresses and ports that were sent to
	Symmetric                     // one mapping per destination, for that destination only
)

func (k NATKind) String() string {
	return [...]string{"full cone", "restricted cone", "port restricted", "symmetric"}[k]
}

// NAT joins a private network to the public one. Hosts behind the same NAT
// reach each other directly.
type NAT struct {
	s    *Sim
	kind NATKind

	// Guarded by Sim.mu.
	public   netip.Addr
	lifetime time.Duration
	hairpin  bool
	next     uint16
	inside   map[netip.Addr]*iface
	byOuter  map[natKey]*mapping
	byInner  map[flow]*mapping
}

type natKey struct {
	tcp   bool
	outer netip.AddrPort
}

// mapping is one public address and port that stands for an inner one.
type mapping struct {
	inner, outer netip.AddrPort
	peers        map[netip.AddrPort]bool // who was sent to; port 0: the host
	last         time.Time               // last outgoing packet
	gone         bool                    // dropped by Rebind
}

// defaultLifetime is short as in many home routers; RFC 4787 section 4.3 asks
// for two minutes at least.
const defaultLifetime = 30 * time.Second

// NewNAT makes a NAT with the public address given, 30 s of life for unused
// UDP mappings and no hairpinning. It panics if the address is not one.
func (s *Sim) NewNAT(kind NATKind, public string) *NAT {
	n := &NAT{
		s: s, kind: kind, public: netip.MustParseAddr(public), lifetime: defaultLifetime,
		inside: make(map[netip.Addr]*iface),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.clear()
	s.nats[n.public] = n
	return n
}

// SetLifetime sets how long a UDP mapping lives without an outgoing packet.
// Mappings of streams live until Rebind.
func (n *NAT) SetLifetime(d time.Duration) {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	n.lifetime = d
}

// SetHairpin lets hosts inside reach each other by the public address.
func (n *NAT) SetHairpin(on bool) {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	n.hairpin = on
}

// Public is the public address.
func (n *NAT) Public() netip.Addr {
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	return n.public
}

// Rebind makes the NAT forget all mappings, as a router that restarts does; a
// public address other than "" is the new one. A stream through it gets a
// reset when the inner side next sends; what the outer side sends is lost.
func (s *Sim) Rebind(n *NAT, public string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range n.byInner {
		m.gone = true
	}
	n.clear()
	if public != "" {
		delete(s.nats, n.public)
		n.public = netip.MustParseAddr(public)
		s.nats[n.public] = n
	}
}

func (n *NAT) clear() {
	n.byOuter, n.byInner = make(map[natKey]*mapping), make(map[flow]*mapping)
	n.next += 1000 // ports from before do not come again soon
}

// out is the mapping for an outgoing packet, made or kept alive by it.
func (n *NAT) out(f flow) *mapping {
	key := flow{tcp: f.tcp, src: f.src}
	if n.kind == Symmetric {
		key.dst = f.dst
	}
	m := n.byInner[key]
	if m != nil && !f.tcp && n.expired(m) {
		if outer := (natKey{f.tcp, m.outer}); n.byOuter[outer] == m { // not given to another since
			delete(n.byOuter, outer)
		}
		m = nil
	}
	if m == nil {
		m = &mapping{inner: f.src, outer: n.freePort(f.tcp), peers: make(map[netip.AddrPort]bool)}
		n.byInner[key], n.byOuter[natKey{f.tcp, m.outer}] = m, m
	}
	m.last = time.Now()
	m.peers[f.dst] = true
	m.peers[netip.AddrPortFrom(f.dst.Addr(), 0)] = true
	return m
}

// in is the mapping that lets an incoming packet through, nil when none does.
// "the NAT UDP mapping Refresh Direction MUST have a "NAT Outbound refresh
// behavior" of "True"" (RFC 4787 section 4.3); incoming packets do not refresh
// ours, which is the harder case.
func (n *NAT) in(f flow) *mapping {
	m := n.byOuter[natKey{f.tcp, f.dst}]
	if m == nil || !f.tcp && n.expired(m) {
		return nil
	}
	allowed := true
	switch n.kind {
	case FullCone:
	case RestrictedCone:
		allowed = m.peers[netip.AddrPortFrom(f.src.Addr(), 0)]
	case PortRestricted, Symmetric:
		allowed = m.peers[f.src]
	}
	if !allowed {
		return nil
	}
	return m
}

func (n *NAT) expired(m *mapping) bool { return time.Since(m.last) > n.lifetime }

// freePort counts up rather than draw, so that runs are alike.
func (n *NAT) freePort(tcp bool) netip.AddrPort {
	const lowest = 20000
	for {
		n.next = max(n.next+1, lowest)
		outer := netip.AddrPortFrom(n.public, n.next)
		m := n.byOuter[natKey{tcp, outer}]
		if m == nil || !tcp && n.expired(m) {
			return outer
		}
	}
}
