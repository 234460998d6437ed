package netsim

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// Host is one machine. It has the methods of the Network interfaces of sip and
// ice. All its fields are guarded by Sim.mu.
type Host struct {
	s    *Sim
	name string // the first address, for Open

	ifaces    []*iface
	crashed   bool
	nextPort  uint16
	udp       map[uint16][]*UDPConn
	listeners map[uint16][]*Listener
	conns     map[*Conn]struct{}
}

// iface is one address of a host and the link behind it.
type iface struct {
	h        *Host
	addr     netip.Addr
	nat      *NAT // nil: public
	up, down half
	removed  bool
}

// flow is a packet's addresses, or a stream's.
type flow struct {
	tcp      bool
	src, dst netip.AddrPort
}

func (f flow) reverse() flow { return flow{f.tcp, f.dst, f.src} }

const firstPort = 50000 // ephemeral ports count up from here

// NewHost makes a host with one address, public or behind a NAT, and perfect
// links. It panics if ip is not an address or is in use.
func (s *Sim) NewHost(ip string, nat *NAT) *Host {
	h := &Host{
		s: s, name: ip, nextPort: firstPort - 1,
		udp:       make(map[uint16][]*UDPConn),
		listeners: make(map[uint16][]*Listener),
		conns:     make(map[*Conn]struct{}),
	}
	h.AddAddress(ip, nat)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts = append(s.hosts, h)
	return h
}

// AddAddress gives the host one more address, IPv4 or IPv6, with a link of its
// own: a second interface. Sockets bound to the unspecified address receive
// there too. It panics like NewHost.
func (h *Host) AddAddress(ip string, nat *NAT) {
	addr := netip.MustParseAddr(ip)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	i := &iface{h: h, addr: addr, nat: nat, up: newHalf(h.s.seed, "up "+ip), down: newHalf(h.s.seed, "down "+ip)}
	table := h.s.public
	if nat != nil {
		table = nat.inside
	}
	if table[addr] != nil {
		panic("netsim: two hosts with the address " + ip)
	}
	table[addr] = i
	h.ifaces = append(h.ifaces, i)
}

// RemoveAddress takes an address away, as when a cable is pulled or a mobile
// phone leaves a Wi-Fi. Sockets bound to it stay open and reach nobody.
func (h *Host) RemoveAddress(ip string) {
	addr := netip.MustParseAddr(ip)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.ifaces = slices.DeleteFunc(h.ifaces, func(i *iface) bool {
		if i.addr != addr {
			return false
		}
		i.removed = true
		if i.nat != nil {
			delete(i.nat.inside, addr)
		} else {
			delete(h.s.public, addr)
		}
		return true
	})
}

// SetLink sets the links of all the host's addresses: up is what the host
// sends, down what it receives. Packets under way are not affected.
func (h *Host) SetLink(up, down Link) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	for _, i := range h.ifaces {
		i.up.Link, i.down.Link = up, down
	}
}

// SetAddressLink is SetLink for one address of several.
func (h *Host) SetAddressLink(ip string, up, down Link) {
	addr := netip.MustParseAddr(ip)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if i := h.iface(addr); i != nil {
		i.up.Link, i.down.Link = up, down
	}
}

// Crash with true takes the host down: its sockets are closed, peers of its
// streams get a reset, nothing reaches it and it can open no socket until
// Crash(false).
func (h *Host) Crash(down bool) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	h.crashed = down
	if down {
		h.closeSockets(true)
	}
}

// closeSockets closes all sockets, with resets for the peers or without.
func (h *Host) closeSockets(reset bool) {
	for _, at := range h.udp {
		for _, c := range slices.Clone(at) {
			c.close()
		}
	}
	for _, at := range h.listeners {
		for _, l := range slices.Clone(at) {
			l.close()
		}
	}
	for c := range h.conns {
		c.abort(reset)
	}
}

// InterfaceAddrs lists the host's addresses without loopback, IPv4 as /24 and
// IPv6 as /64.
func (h *Host) InterfaceAddrs() ([]netip.Prefix, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	all := make([]netip.Prefix, len(h.ifaces))
	for n, i := range h.ifaces {
		all[n] = netip.PrefixFrom(i.addr, prefixBits(i.addr))
	}
	return all, nil
}

func prefixBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

func (h *Host) iface(addr netip.Addr) *iface {
	for _, i := range h.ifaces {
		if i.addr == addr {
			return i
		}
	}
	return nil
}

func (h *Host) hasIPv6() bool {
	return slices.ContainsFunc(h.ifaces, func(i *iface) bool { return i.addr.Is6() })
}

// local tells whether the host delivers to the address by itself.
func (h *Host) local(a netip.Addr) bool { return a.IsLoopback() || h.iface(a) != nil }

// source chooses the address to send from, and the interface; no interface
// for what stays inside the host.
func (h *Host) source(bound, dst netip.Addr) (netip.Addr, *iface, error) {
	if h.local(dst) {
		if bound.IsUnspecified() {
			return dst, nil, nil
		}
		return bound, nil, nil
	}
	if bound.IsLoopback() {
		return bound, nil, syscall.EINVAL
	}
	if !bound.IsUnspecified() {
		if i := h.iface(bound); i != nil {
			return bound, i, nil
		}
		return bound, nil, syscall.ENETUNREACH
	}
	var best *iface
	for _, i := range h.ifaces {
		if i.addr.Is4() != dst.Is4() {
			continue
		}
		if i.nat != nil && i.nat.inside[dst] != nil {
			best = i // on the same network
			break
		}
		if best == nil {
			best = i
		}
	}
	if best == nil {
		return bound, nil, syscall.ENETUNREACH
	}
	return best.addr, best, nil
}

// translate passes an outgoing packet through the NAT of the interface it
// leaves by, unless it stays on the private network.
func (i *iface) translate(f *flow) *mapping {
	if i.nat == nil || i.nat.inside[f.dst.Addr()] != nil {
		return nil
	}
	m := i.nat.out(*f)
	f.src = m.outer
	return m
}

// route finds the interface that receives a packet sent by from, and passes
// the packet through the NAT before it.
func (s *Sim) route(from *iface, f *flow) (*iface, *mapping, What) {
	dst := f.dst.Addr()
	if from.nat != nil {
		if i := from.nat.inside[dst]; i != nil {
			return i, nil, Received
		}
	}
	if i := s.public[dst]; i != nil {
		return i, nil, Received
	}
	n := s.nats[dst]
	if n == nil {
		return nil, nil, Unreachable
	}
	if n == from.nat && !n.hairpin {
		return nil, nil, Refused
	}
	m := n.in(*f)
	if m == nil {
		return nil, nil, Refused
	}
	f.dst = m.inner
	i := n.inside[m.inner.Addr()]
	if i == nil {
		return nil, nil, Unreachable
	}
	return i, m, Received
}

// binding is the local side of a socket: an address, or all of the host's
// addresses of one family or of both.
type binding struct {
	addr netip.AddrPort
	v4   bool
	v6   bool
}

func (b binding) wildcard() bool { return b.addr.Addr().IsUnspecified() }

// dual sockets see IPv4 addresses mapped into IPv6, as real ones do.
func (b binding) dual() bool { return b.v4 && b.v6 }

func (b binding) accepts(dst netip.Addr) bool {
	if b.wildcard() {
		return dst.Is4() && b.v4 || dst.Is6() && b.v6
	}
	return b.addr.Addr() == dst
}

// conflicts is the kernel's rule for sockets without SO_REUSEADDR.
func (b binding) conflicts(o binding) bool {
	if b.addr.Port() != o.addr.Port() || !(b.v4 && o.v4 || b.v6 && o.v6) {
		return false
	}
	return b.wildcard() || o.wildcard() || b.addr.Addr() == o.addr.Addr()
}

// bind judges a local address for a socket and chooses the port if it is 0;
// inUse tells whether another socket has what it is given.
func (h *Host) bind(network string, local netip.AddrPort, inUse func(binding) bool) (binding, error) {
	if h.s.closed || h.crashed {
		return binding{}, syscall.ENETDOWN
	}
	addr := local.Addr()
	if !addr.IsValid() { // ":5060"
		switch family(network) {
		case '4':
			addr = netip.IPv4Unspecified()
		case '6':
			addr = netip.IPv6Unspecified()
		default:
			addr = netip.IPv4Unspecified()
			if h.hasIPv6() {
				addr = netip.IPv6Unspecified()
			}
		}
	}
	b := binding{v4: addr.Is4(), v6: addr.Is6()}
	if addr == netip.IPv6Unspecified() && family(network) == 0 {
		b.v4 = true
	}
	if !addr.IsUnspecified() && !h.local(addr) {
		return binding{}, syscall.EADDRNOTAVAIL
	}
	if local.Port() != 0 {
		b.addr = netip.AddrPortFrom(addr, local.Port())
		if inUse(b) {
			return binding{}, syscall.EADDRINUSE
		}
		return b, nil
	}
	for range 1 << 16 {
		h.nextPort = max(h.nextPort+1, firstPort)
		b.addr = netip.AddrPortFrom(addr, h.nextPort)
		if !inUse(b) {
			return b, nil
		}
	}
	return binding{}, syscall.EADDRINUSE
}

// family is '4', '6' or 0 for "udp4", "tcp6", "ip" and the like.
func family(network string) byte {
	switch {
	case strings.HasSuffix(network, "4"):
		return '4'
	case strings.HasSuffix(network, "6"):
		return '6'
	}
	return 0
}
