package ice

import (
	"fmt"
	"net"
	"net/netip"
)

// packetWriter is all that a base needs to send: a socket or an allocation.
type packetWriter interface {
	WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error)
}

// socket is a datagram socket without allocation per packet. *net.UDPConn is
// one, and so are the simulated network's.
type socket interface {
	packetWriter
	ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error)
	LocalAddr() net.Addr
	Close() error
}

func asSocket(c net.PacketConn) socket {
	if s, ok := c.(socket); ok {
		return s
	}
	return plainSocket{c}
}

// plainSocket makes do with the methods of every PacketConn.
type plainSocket struct{ net.PacketConn }

func (s plainSocket) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	n, a, err := s.ReadFrom(p)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	from, err := addrPort(a)
	return n, from, err
}

func (s plainSocket) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return s.WriteTo(p, net.UDPAddrFromAddrPort(to))
}

func addrPort(a net.Addr) (netip.AddrPort, error) {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmap(u.AddrPort()), nil
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("ice: address %v: %w", a, err)
	}
	return unmap(ap), nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
