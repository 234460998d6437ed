package netsim

import (
	"context"
	"net"
	"net/netip"

	"github.com/pion/transport/v5"
)

// Transport is the host as pion's modules want it.
func (h *Host) Transport() transport.Net { return pion{h} }

// pion adapts a host to transport.Net.
type pion struct{ h *Host }

var (
	_ transport.Net         = pion{}
	_ transport.UDPConn     = (*UDPConn)(nil)
	_ transport.TCPConn     = (*Conn)(nil)
	_ transport.TCPListener = pionListener{}
)

func (p pion) ListenPacket(network, address string) (net.PacketConn, error) {
	return p.h.ListenPacket(context.Background(), network, address)
}

func (p pion) ListenUDP(network string, local *net.UDPAddr) (transport.UDPConn, error) {
	return plain[transport.UDPConn](p.h.listenUDP(network, udpAddrPort(local), netip.AddrPort{}))
}

func (p pion) ListenTCP(network string, local *net.TCPAddr) (transport.TCPListener, error) {
	l, err := p.h.listenTCP(network, tcpAddrPort(local))
	if err != nil {
		return nil, err
	}
	return pionListener{l}, nil
}

func (p pion) Dial(network, address string) (net.Conn, error) {
	return p.h.Dial(context.Background(), network, address)
}

func (p pion) DialUDP(network string, local, remote *net.UDPAddr) (transport.UDPConn, error) {
	return plain[transport.UDPConn](p.h.dialUDP(network, udpAddrPort(local), udpAddrPort(remote)))
}

func (p pion) DialTCP(network string, local, remote *net.TCPAddr) (transport.TCPConn, error) {
	return plain[transport.TCPConn](p.h.dialTCP(context.Background(), network, tcpAddrPort(local), tcpAddrPort(remote)))
}

func (p pion) ResolveIPAddr(network, address string) (*net.IPAddr, error) {
	if address == "" {
		return &net.IPAddr{IP: net.IPv4zero}, nil
	}
	addrs, err := p.h.LookupNetIP(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return &net.IPAddr{IP: addrs[0].AsSlice()}, nil
}

func (p pion) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	a, err := p.h.resolveOne(context.Background(), "resolve", network, address)
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(a), nil
}

func (p pion) ResolveTCPAddr(network, address string) (*net.TCPAddr, error) {
	a, err := p.h.resolveOne(context.Background(), "resolve", network, address)
	if err != nil {
		return nil, err
	}
	return net.TCPAddrFromAddrPort(a), nil
}

// Interfaces has one interface per address, and no loopback.
func (p pion) Interfaces() ([]*transport.Interface, error) {
	addrs, err := p.h.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	all := make([]*transport.Interface, len(addrs))
	for n, a := range addrs {
		all[n] = transport.NewInterface(net.Interface{
			Index: n + 2, MTU: 1500, Name: "eth" + string(rune('0'+n)),
			Flags: net.FlagUp | net.FlagRunning | net.FlagBroadcast | net.FlagMulticast,
		})
		all[n].AddAddress(&net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())})
	}
	return all, nil
}

func (p pion) InterfaceByIndex(index int) (*transport.Interface, error) {
	return p.find(func(i *transport.Interface) bool { return i.Index == index })
}

func (p pion) InterfaceByName(name string) (*transport.Interface, error) {
	return p.find(func(i *transport.Interface) bool { return i.Name == name })
}

func (p pion) find(is func(*transport.Interface) bool) (*transport.Interface, error) {
	all, err := p.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if is(i) {
			return i, nil
		}
	}
	return nil, transport.ErrInterfaceNotFound
}

// CreateDialer ignores the settings.
func (p pion) CreateDialer(*net.Dialer) transport.Dialer { return p }

// CreateListenConfig ignores the settings.
func (p pion) CreateListenConfig(*net.ListenConfig) transport.ListenConfig { return p.h }

type pionListener struct{ *Listener }

func (l pionListener) AcceptTCP() (transport.TCPConn, error) {
	return plain[transport.TCPConn](l.accept())
}

func udpAddrPort(a *net.UDPAddr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	return unmapped(a.AddrPort())
}

func tcpAddrPort(a *net.TCPAddr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	return unmapped(a.AddrPort())
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
