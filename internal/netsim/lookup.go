package netsim

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// names is the name service of the network. Guarded by Sim.mu.
type names struct {
	addrs map[string][]netip.Addr
	delay time.Duration
	fail  error
}

// AddName gives a name one more address. It panics if ip is not an address.
func (s *Sim) AddName(name, ip string) {
	addr := netip.MustParseAddr(ip)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := canonical(name)
	s.names.addrs[key] = append(s.names.addrs[key], addr)
}

// RemoveName makes a name unknown.
func (s *Sim) RemoveName(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names.addrs, canonical(name))
}

// SetLookup sets how long every look-up takes and, when fail is not nil, the
// error it ends with, wrapped into a temporary *net.DNSError.
func (s *Sim) SetLookup(delay time.Duration, fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names.delay, s.names.fail = delay, fail
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// LookupNetIP resolves a name given to AddName, "localhost" or a numeric
// address; network is "ip", "ip4" or "ip6". An unknown name is a *net.DNSError
// with IsNotFound. ctx bounds the wait that SetLookup asked for.
func (h *Host) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	switch network {
	case "ip", "ip4", "ip6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return ofFamily(network, host, []netip.Addr{addr.Unmap()})
	}
	h.s.mu.Lock()
	names, addrs := h.s.names, h.s.names.addrs[canonical(host)]
	h.s.mu.Unlock()
	if canonical(host) == "localhost" {
		return ofFamily(network, host, []netip.Addr{loopback4, netip.IPv6Loopback()})
	}
	if err := wait(ctx, names.delay); err != nil {
		return nil, &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: host, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	if names.fail != nil {
		return nil, &net.DNSError{UnwrapErr: names.fail, Err: names.fail.Error(), Name: host, IsTemporary: true}
	}
	return ofFamily(network, host, addrs)
}

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ofFamily(network, name string, addrs []netip.Addr) ([]netip.Addr, error) {
	var fit []netip.Addr
	for _, a := range addrs {
		if f := family(network); f == 0 || a.Is4() == (f == '4') {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return fit, nil
}

// resolve turns "host:port" into addresses; an empty host is one invalid
// address.
func (h *Host) resolve(ctx context.Context, op, network, address string) ([]netip.AddrPort, error) {
	addrs, err := h.resolveParts(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: op, Net: network, Err: err}
	}
	return addrs, nil
}

func (h *Host) resolveParts(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	ip := "ip"
	switch network {
	case "udp", "tcp":
	case "udp4", "tcp4":
		ip = "ip4"
	case "udp6", "tcp6":
		ip = "ip6"
	default:
		return nil, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil && service != "" {
		return nil, &net.AddrError{Err: "unknown port", Addr: address}
	}
	if host == "" {
		return []netip.AddrPort{netip.AddrPortFrom(netip.Addr{}, uint16(port))}, nil
	}
	found, err := h.LookupNetIP(ctx, ip, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(found))
	for i, a := range found {
		addrs[i] = netip.AddrPortFrom(a.WithZone(""), uint16(port))
	}
	return addrs, nil
}

// resolveOne is resolve for those who can use one address only.
func (h *Host) resolveOne(ctx context.Context, op, network, address string) (netip.AddrPort, error) {
	if err := ctx.Err(); err != nil {
		return netip.AddrPort{}, &net.OpError{Op: op, Net: network, Err: err}
	}
	all, err := h.resolve(ctx, op, network, address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return all[0], nil
}
