package netsim

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// UDPConn is a datagram socket. It has the methods of *net.UDPConn that do not
// need an operating system.
type UDPConn struct {
	h      *Host
	local  binding
	remote netip.AddrPort // connected sockets only

	// Guarded by Sim.mu.
	queue  []datagram
	queued int // cost of the queue
	limit  int
	closed bool
	icmp   error // port unreachable, for connected sockets
	sig    signal
	rd     deadline
}

type datagram struct {
	p    []byte
	from netip.AddrPort
}

// Linux: net.core.rmem_default and rmem_max, and what each packet is charged
// above its length.
const (
	receiveBuffer = 212992
	packetCharge  = 576
	maxDatagram   = 65507
)

// ListenPacket binds a UDP socket: "udp", "udp4" or "udp6", and a local
// address such as ":5060", "10.0.0.1:0" or "127.0.0.1:0". The result is a
// *UDPConn. ctx bounds nothing but a name look-up.
func (h *Host) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	local, err := h.resolveOne(ctx, "listen", network, address)
	if err != nil {
		return nil, err
	}
	return plain[net.PacketConn](h.listenUDP(network, local, netip.AddrPort{}))
}

// plain keeps a nil pointer from becoming a non-nil interface.
func plain[I, C any](c *C, err error) (I, error) {
	if err != nil {
		var none I
		return none, err
	}
	return any(c).(I), nil
}

func (h *Host) listenUDP(network string, local, remote netip.AddrPort) (*UDPConn, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	op, addr := "listen", local
	if remote.IsValid() {
		op, addr = "dial", remote
	}
	b, err := h.bind(network, local, func(b binding) bool {
		return slices.ContainsFunc(h.udp[b.addr.Port()], func(c *UDPConn) bool { return c.local.conflicts(b) })
	})
	if err == nil && remote.IsValid() {
		var src netip.Addr
		src, _, err = h.source(b.addr.Addr(), remote.Addr())
		b = binding{addr: netip.AddrPortFrom(src, b.addr.Port()), v4: src.Is4(), v6: src.Is6()}
	}
	if err != nil {
		return nil, &net.OpError{Op: op, Net: network, Addr: net.UDPAddrFromAddrPort(addr), Err: os.NewSyscallError("bind", err)}
	}
	c := &UDPConn{h: h, local: b, remote: remote, limit: receiveBuffer}
	h.udp[b.addr.Port()] = append(h.udp[b.addr.Port()], c)
	return c, nil
}

// socket finds who receives a datagram: a connected socket before others, a
// bound address before all addresses.
func (h *Host) socket(f flow) *UDPConn {
	var best *UDPConn
	rank := 0
	for _, c := range h.udp[f.dst.Port()] {
		r := 1
		switch {
		case !c.local.accepts(f.dst.Addr()), c.remote.IsValid() && c.remote != f.src:
			continue
		case c.remote.IsValid():
			r = 3
		case !c.local.wildcard():
			r = 2
		}
		if r > rank {
			best, rank = c, r
		}
	}
	return best
}

// send is what a write does.
func (c *UDPConn) send(p []byte, to netip.AddrPort) error {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s, h := c.h.s, c.h
	s.mu.Lock()
	if c.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	if err := c.icmp; err != nil {
		c.icmp = nil
		s.mu.Unlock()
		return os.NewSyscallError("sendto", err)
	}
	from, err := c.sender(p, &to)
	var out *iface
	if err == nil {
		from, out, err = h.source(from, to.Addr())
	}
	if err != nil {
		s.mu.Unlock()
		return os.NewSyscallError("sendto", err)
	}
	s.packets++
	f := flow{src: netip.AddrPortFrom(from, c.local.addr.Port()), dst: to}
	p = append(make([]byte, 0, len(p)), p...)
	if out == nil {
		s.note(Sent, f, p)
		s.after(0, func() { s.arrive(c, h, f, f, p) })
		s.mu.Unlock()
		return nil
	}
	out.translate(&f)
	filter := s.hooks.filter
	if filter != nil {
		s.mu.Unlock()
		drop := s.filtered(filter, f, p)
		s.mu.Lock()
		if drop {
			s.note(Filtered, f, p)
			s.mu.Unlock()
			s.deliverTraces()
			return nil
		}
	}
	s.carry(c, out, f, p)
	s.mu.Unlock()
	s.deliverTraces()
	return nil
}

// sender checks what the socket itself can refuse and returns the address it
// is bound to, of the family of the destination.
func (c *UDPConn) sender(p []byte, to *netip.AddrPort) (netip.Addr, error) {
	if len(p) > maxDatagram {
		return netip.Addr{}, syscall.EMSGSIZE
	}
	if !to.IsValid() || to.Port() == 0 {
		return netip.Addr{}, syscall.EINVAL
	}
	if to.Addr().IsUnspecified() { // this host, as Linux has it
		loopback := netip.IPv6Loopback()
		if to.Addr().Is4() {
			loopback = loopback4
		}
		*to = netip.AddrPortFrom(loopback, to.Port())
	}
	if v4 := to.Addr().Is4(); v4 && !c.local.v4 || !v4 && !c.local.v6 {
		return netip.Addr{}, syscall.EAFNOSUPPORT
	}
	if c.local.wildcard() && to.Addr().Is4() {
		return netip.IPv4Unspecified(), nil
	}
	return c.local.addr.Addr(), nil
}

// carry takes a datagram over the sender's link, the public network and the
// receiver's NAT and link. mu must be held.
func (s *Sim) carry(c *UDPConn, out *iface, f flow, p []byte) {
	up := out.up.datagram(p)
	if up.lost || out.removed {
		s.note(Lost, f, p)
		return
	}
	s.note(Sent, f, p)
	cross := func() {
		g := f
		in, _, what := s.route(out, &g)
		if what != Received {
			s.note(what, g, p)
			return
		}
		down := in.down.datagram(p)
		if down.lost {
			s.note(Lost, g, p)
			return
		}
		land := func() {
			if in.removed {
				s.note(Unreachable, g, p)
				return
			}
			s.arrive(c, in.h, f, g, p)
		}
		s.after(down.delay, land)
		if down.dup {
			s.after(down.delay+time.Millisecond, land)
		}
	}
	s.after(up.delay, cross)
	if up.dup {
		s.after(up.delay+time.Millisecond, cross)
	}
}

// arrive puts a datagram into a socket's queue. sent is its flow as the public
// network saw it, f as the receiving host does. mu must be held.
func (s *Sim) arrive(from *UDPConn, h *Host, sent, f flow, p []byte) {
	if h.crashed {
		s.note(Unreachable, f, p)
		return
	}
	to := h.socket(f)
	switch {
	case to == nil:
		s.note(NoSocket, f, p)
		from.refused(h, sent.dst)
	case to.queued+len(p)+packetCharge > to.limit:
		s.note(Overflow, f, p)
	default:
		s.note(Received, f, p)
		to.queued += len(p) + packetCharge
		to.queue = append(to.queue, datagram{p, f.src})
		to.sig.broadcast()
	}
}

// refused reports an ICMP port unreachable to a connected socket, after a way
// back of the same length.
func (c *UDPConn) refused(by *Host, at netip.AddrPort) {
	if c.remote != at {
		return
	}
	var back time.Duration
	if by != c.h {
		back = by.ifaces[0].up.Delay + c.h.ifaces[0].down.Delay
	}
	c.h.s.after(back, func() {
		c.icmp = syscall.ECONNREFUSED
		c.sig.broadcast()
	})
}

// receive waits for a datagram and copies what fits of it to b.
func (c *UDPConn) receive(b []byte) (int, netip.AddrPort, error) {
	s := c.h.s
	s.mu.Lock()
	for {
		switch {
		case c.closed:
			s.mu.Unlock()
			return 0, netip.AddrPort{}, c.fail("read", net.ErrClosed)
		case c.rd.passed():
			s.mu.Unlock()
			return 0, netip.AddrPort{}, c.fail("read", os.ErrDeadlineExceeded)
		case len(c.queue) > 0:
			d := c.queue[0]
			c.queue[0] = datagram{}
			c.queue = c.queue[1:]
			c.queued -= len(d.p) + packetCharge
			s.mu.Unlock()
			if c.local.dual() && d.from.Addr().Is4() {
				d.from = netip.AddrPortFrom(netip.AddrFrom16(d.from.Addr().As16()), d.from.Port())
			}
			return copy(b, d.p), d.from, nil
		case c.icmp != nil:
			err := c.icmp
			c.icmp = nil
			s.mu.Unlock()
			return 0, netip.AddrPort{}, c.fail("read", os.NewSyscallError("read", err))
		}
		changed := c.sig.wait()
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
}

func (c *UDPConn) fail(op string, err error) error {
	e := &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
	if c.remote.IsValid() {
		e.Addr = net.UDPAddrFromAddrPort(c.remote)
	}
	return e
}

// close is Close with mu held; false when it was closed.
func (c *UDPConn) close() bool {
	if c.closed {
		return false
	}
	c.closed, c.queue = true, nil
	port := c.local.addr.Port()
	c.h.udp[port] = slices.DeleteFunc(c.h.udp[port], func(o *UDPConn) bool { return o == c })
	c.rd.stop()
	c.sig.broadcast()
	return true
}

func (c *UDPConn) describe() string {
	if c.remote.IsValid() {
		return c.h.name + " udp " + c.local.addr.String() + " to " + c.remote.String()
	}
	return c.h.name + " udp " + c.local.addr.String()
}
