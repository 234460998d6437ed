package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// entry is one parsed address of Config.Listen.
type entry struct {
	network string // "udp", "tcp" or "tls"
	host    string
	port    uint16
}

func parseEntry(s string) (entry, error) {
	network, address, ok := strings.Cut(s, "://")
	if network = strings.ToLower(network); !ok || network != "udp" && network != "tcp" && network != "tls" {
		return entry{}, fmt.Errorf("sip: listen address %q: want udp://, tcp:// or tls:// and host:port", s)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return entry{}, fmt.Errorf("sip: listen address %q: %w", s, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return entry{}, fmt.Errorf("sip: listen address %q: port: %w", s, err)
	}
	return entry{network, host, uint16(n)}, nil
}

// bindTries is how many times a free UDP port is looked for that is free for TCP, too.
const bindTries = 32

// bind opens all sockets, or none.
func (t *Transport) bind(ctx context.Context) error {
	listen := t.cfg.Listen
	if listen == nil {
		listen = []string{"udp://:0", "tcp://:0"}
	}
	var entries []entry
	for _, s := range listen {
		e, err := parseEntry(s)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	var err error
	for range bindTries {
		if err = t.bindAll(ctx, entries); err == nil {
			return nil
		}
		t.unbind()
		if !errors.Is(err, syscall.EADDRINUSE) || !shared(entries) {
			break
		}
	}
	return err
}

// shared tells whether some host has a UDP and a TCP entry with port 0.
func shared(entries []entry) bool {
	seen := map[string]string{}
	for _, e := range entries {
		if e.network == "tls" {
			continue
		}
		if e.port == 0 && seen[e.host] != "" && seen[e.host] != e.network {
			return true
		} else if e.port == 0 {
			seen[e.host] = e.network
		}
	}
	return false
}

// bindAll binds UDP first: TCP entries with port 0 take the port of their host's UDP.
func (t *Transport) bindAll(ctx context.Context, entries []entry) error {
	free := map[string]uint16{}
	for _, e := range entries {
		if e.network != "udp" {
			continue
		}
		pc, err := t.cfg.Network.ListenPacket(ctx, "udp", net.JoinHostPort(e.host, strconv.Itoa(int(e.port))))
		if err != nil {
			return fmt.Errorf("sip: listen: %w", err)
		}
		s := newUDPSocket(t, pc)
		t.udp = append(t.udp, s)
		if _, ok := free[e.host]; !ok && e.port == 0 {
			free[e.host] = s.local.Port()
		}
	}
	for _, e := range entries {
		if e.network == "udp" {
			continue
		}
		a := &tcpAcceptor{t: t}
		if e.network == "tls" {
			if a.tls = t.cfg.TLS; !hasCertificate(a.tls) {
				return fmt.Errorf("sip: listen address tls://%s needs a certificate: set Certificates (or GetCertificate) of Config.TLS", net.JoinHostPort(e.host, strconv.Itoa(int(e.port))))
			}
		} else if e.port == 0 {
			e.port = free[e.host]
			delete(free, e.host)
		}
		l, err := t.cfg.Network.Listen(ctx, "tcp", net.JoinHostPort(e.host, strconv.Itoa(int(e.port))))
		if err != nil {
			return fmt.Errorf("sip: listen: %w", err)
		}
		a.l, a.local = l, addrPort(l.Addr())
		t.listeners = append(t.listeners, a)
	}
	return nil
}

func (t *Transport) unbind() {
	for _, s := range t.udp {
		_ = s.pc.Close()
	}
	for _, a := range t.listeners {
		_ = a.l.Close()
	}
	t.udp, t.listeners = nil, nil
}

// addrPort reads any net.Addr of UDP or TCP; mapped IPv4 is unmapped.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	case nil:
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return unmap(ap)
}

func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }

// Addrs lists the bound addresses, UDP first.
func (t *Transport) Addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, s := range t.udp {
		all = append(all, s.local)
	}
	for _, a := range t.listeners {
		all = append(all, a.local)
	}
	return all
}

// Addr is the first bound address of a transport ("UDP", "TCP", "TLS").
func (t *Transport) Addr(transport string) (netip.AddrPort, bool) {
	if strings.EqualFold(transport, "UDP") && len(t.udp) > 0 {
		return t.udp[0].local, true
	}
	for _, l := range t.listeners {
		if strings.EqualFold(transport, l.name()) {
			return l.local, true
		}
	}
	return netip.AddrPort{}, false
}
