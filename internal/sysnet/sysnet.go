// Package sysnet is the machine's own network: the default behind the Network
// interfaces of sip and ice. It is the only package of the library that opens
// real sockets, so that everything else also runs over a simulated network.
package sysnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Network opens sockets of the operating system. The zero value is ready to
// use; it holds nothing and is safe for concurrent use.
type Network struct{}

// ListenPacket binds a datagram socket.
func (Network) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	var c net.ListenConfig
	return c.ListenPacket(ctx, network, address)
}

// Listen binds a stream listener.
func (Network) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(ctx, network, address)
}

// Dial connects a stream or a datagram socket.
func (Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// LookupNetIP resolves a host name; network is "ip", "ip4" or "ip6".
func (Network) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// InterfaceAddrs lists the addresses of the interfaces that are up, with their
// prefixes, zones included for link-local IPv6.
func (Network) InterfaceAddrs() ([]netip.Prefix, error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("sysnet: list interfaces: %w", err)
	}
	var all []netip.Prefix
	for _, i := range ifaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // the interface went away between the two calls
		}
		for _, a := range addrs {
			if p, ok := prefix(a); ok {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

func prefix(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), ones), true
}
