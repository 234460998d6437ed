package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// udpSocket is one bound socket and its reading goroutine. It keeps nothing about the
// peers.
type udpSocket struct {
	t     *Transport
	pc    net.PacketConn
	fast  addrPortConn // pc, when it can
	local netip.AddrPort
}

// addrPortConn is what *net.UDPConn has: no allocation per datagram.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

func newUDPSocket(t *Transport, pc net.PacketConn) *udpSocket {
	s := &udpSocket{t: t, pc: pc, local: addrPort(pc.LocalAddr())}
	s.fast, _ = pc.(addrPortConn)
	return s
}

// read takes datagrams until Close.
func (s *udpSocket) read() {
	buf := make([]byte, 65536)
	p := newParser(s.t.cfg.Limits.Headers)
	failures := 0
	for {
		n, source, err := s.readFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.t.closed() {
				return
			}
			// An ICMP answer to something we sent, or a passing shortage: go on, but
			// never in a tight loop.
			failures++
			s.t.log("read UDP", "local", s.local, "err", err)
			if failures > 3 && !s.t.pause(min(time.Duration(failures)*5*time.Millisecond, time.Second)) {
				return
			}
			continue
		}
		failures = 0
		s.datagram(p, buf[:n], source)
	}
}

func (s *udpSocket) readFrom(buf []byte) (int, netip.AddrPort, error) {
	if s.fast != nil {
		n, source, err := s.fast.ReadFromUDPAddrPort(buf)
		return n, unmap(source), err
	}
	n, source, err := s.pc.ReadFrom(buf)
	return n, addrPort(source), err
}

func (s *udpSocket) datagram(p *parser, raw []byte, source netip.AddrPort) {
	// CRLF before a message is ignored here as on a stream; alone it is a keep-alive.
	blank := true
	for len(raw) > 0 && blank {
		if blank = raw[0] == '\r' || raw[0] == '\n' || raw[0] == 0; blank {
			raw = raw[1:]
		}
	}
	if len(raw) == 0 {
		s.t.count.keepalives.Add(1)
		return
	}
	s.t.take(p, raw, udpFlow{s, source}, source, false, func(res []byte, to netip.AddrPort) {
		s.t.Reply(udpFlow{s, to}, res)
	})
}

// udpFlow is a socket with a destination; a small comparable value.
type udpFlow struct {
	s      *udpSocket
	remote netip.AddrPort
}

func (f udpFlow) Write(p []byte) error {
	f.s.t.trace(f, p, true)
	err := f.write(p)
	if err == nil {
		f.s.t.count.sent.Add(1)
	}
	return err
}

func (f udpFlow) write(p []byte) error {
	var err error
	if f.s.fast != nil {
		_, err = f.s.fast.WriteToUDPAddrPort(p, f.remote)
	} else {
		_, err = f.s.pc.WriteTo(p, net.UDPAddrFromAddrPort(f.remote))
	}
	if err != nil {
		return fmt.Errorf("sip: send to %v over UDP: %w", f.remote, err)
	}
	return nil
}

func (f udpFlow) Transport() string      { return "UDP" }
func (f udpFlow) Reliable() bool         { return false }
func (f udpFlow) Remote() netip.AddrPort { return f.remote }
func (f udpFlow) Close() error           { return nil }

func (f udpFlow) Local() netip.AddrPort {
	if !f.s.local.Addr().IsUnspecified() {
		return f.s.local
	}
	if a := f.s.t.locals.find(f.s.t, f.remote); a.IsValid() {
		return netip.AddrPortFrom(a, f.s.local.Port())
	}
	return f.s.local
}

// serves tells how well a socket bound to local fits a remote address: 0 not at all.
func serves(local, remote netip.Addr) int {
	switch {
	case local.IsUnspecified():
		if local.Is4() && !remote.Is4() {
			return 0
		}
		return 2 // a wildcard IPv6 socket takes both families
	case local.Is4() != remote.Is4():
		return 0
	case local.IsLoopback() != remote.IsLoopback():
		return 1 // does not route, unless the two are one machine
	default:
		return 3
	}
}

// udpTo picks the socket for a destination.
func (t *Transport) udpTo(remote netip.AddrPort) (Flow, error) {
	remote = unmap(remote)
	var best *udpSocket
	score := 0
	for _, s := range t.udp {
		if n := serves(s.local.Addr(), remote.Addr()); n > score {
			best, score = s, n
		}
	}
	if best == nil {
		return nil, fmt.Errorf("sip: no UDP socket that reaches %v", remote)
	}
	return udpFlow{best, remote}, nil
}

func hasParam(params sipmsg.HeaderParams, name string) bool {
	for i := range params {
		if strings.EqualFold(params[i].K, name) {
			return true
		}
	}
	return false
}
