package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v5"
)

// generator binds the sockets of allocations, within the limits.
type generator struct {
	s          *Server
	bind, told netip.Addr
}

var (
	errOver = errors.New("relay: too many allocations")
	errTCP  = errors.New("relay: TCP allocations are not supported")
)

const bindTimeout = 2 * time.Second

// Validate is part of pion's interface.
func (g *generator) Validate() error { return nil }

// AllocatePacketConn binds a relayed socket.
func (g *generator) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	if (c.Network == "udp4") != g.told.Is4() {
		return nil, nil, fmt.Errorf("relay: %s: wrong address family", c.Network)
	}
	if err := g.s.reserve(c.UserID); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), bindTimeout)
	defer cancel()
	pc, err := g.s.net.ListenPacket(ctx, "udp", netip.AddrPortFrom(g.bind, uint16(c.RequestedPort)).String())
	if err != nil {
		g.s.release(c.UserID)
		return nil, nil, err
	}
	bound, ok := addrPort(pc.LocalAddr())
	if !ok {
		_ = pc.Close()
		g.s.release(c.UserID)
		return nil, nil, fmt.Errorf("relay: address %v", pc.LocalAddr())
	}
	told := netip.AddrPortFrom(g.told, bound.Port())
	r := &relayed{PacketConn: pc, s: g.s}
	g.s.lives(told, bound, 1)
	r.done = sync.OnceFunc(func() {
		g.s.lives(told, bound, -1)
		g.s.release(c.UserID)
	})
	return r, net.UDPAddrFromAddrPort(told), nil
}

// AllocateListener is part of pion's interface.
func (g *generator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errTCP
}

// AllocateConn is part of pion's interface.
func (g *generator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errTCP }

func (s *Server) reserve(user string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.over(user):
		s.quotaRefused.Add(1)
		return errOver
	}
	s.total++
	s.perUser[user]++
	s.wg.Add(1)
	return nil
}

func (s *Server) release(user string) {
	s.mu.Lock()
	s.total--
	if s.perUser[user]--; s.perUser[user] == 0 {
		delete(s.perUser, user)
	}
	s.mu.Unlock()
	s.wg.Done()
}

func (s *Server) lives(told, bound netip.AddrPort, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range [...]netip.AddrPort{told, bound} {
		if s.live[a] += n; s.live[a] == 0 {
			delete(s.live, a)
		}
		if told == bound {
			return
		}
	}
}

// relayed is the socket of an allocation. It passes only what the policy lets
// pass: permissions know addresses, this knows ports.
type relayed struct {
	net.PacketConn
	s    *Server
	done func()
}

func (r *relayed) Close() error { defer r.done(); return r.PacketConn.Close() }

func (r *relayed) WriteTo(p []byte, to net.Addr) (int, error) {
	if a, ok := addrPort(to); !ok || !r.s.passes(a) {
		r.s.packetsRefused.Add(1)
		return len(p), nil
	}
	return r.PacketConn.WriteTo(p, to)
}

func (r *relayed) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := r.PacketConn.ReadFrom(p)
		if err != nil {
			return n, from, err
		}
		if a, ok := addrPort(from); ok && r.s.passes(a) {
			return n, from, nil
		}
		r.s.packetsRefused.Add(1)
	}
}
