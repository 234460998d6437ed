package netsim

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Dial connects a stream ("tcp", "tcp4", "tcp6") or a datagram socket ("udp"
// ...). The result is a *Conn or a *UDPConn. ctx bounds the name look-up and
// the connecting; without a deadline a stream gives up after 127 s as Linux
// does. The addresses of a name are tried in order.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	remotes, err := h.resolve(ctx, "dial", network, address)
	if err != nil {
		return nil, err
	}
	for _, remote := range remotes {
		var c net.Conn
		if network[:3] == "udp" {
			c, err = plain[net.Conn](h.dialUDP(network, netip.AddrPort{}, remote))
		} else {
			c, err = plain[net.Conn](h.dialTCP(ctx, network, netip.AddrPort{}, remote))
		}
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func (h *Host) dialUDP(network string, local, remote netip.AddrPort) (*UDPConn, error) {
	remote = thisHost(remote)
	if !local.IsValid() && remote.Addr().Is4() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	} else if !local.IsValid() {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	return h.listenUDP(network, local, remote)
}

// thisHost replaces no address and the unspecified one, which stand for the
// local system in a dial.
func thisHost(remote netip.AddrPort) netip.AddrPort {
	switch addr := remote.Addr(); {
	case !addr.IsValid(), addr == netip.IPv4Unspecified():
		return netip.AddrPortFrom(loopback4, remote.Port())
	case addr == netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), remote.Port())
	}
	return remote
}

// handshake is a stream that is being connected. Guarded by Sim.mu.
//
//	dialer                      listener
//	  | SYN (sent again after 1, 2, 4 .. s) |
//	  |------------------------------------>| answer: server is made, or a reset
//	  |                            SYN-ACK  |
//	  |<------------------------------------| established: client is made
//	  | ACK                                 |
//	  |------------------------------------>| accepted
type handshake struct {
	s      *Sim
	client *Conn
	server *Conn
	flow   flow // as the public network sees it
	result chan error
	over   bool // result was given
}

// maxSYN is Linux's net.ipv4.tcp_syn_retries and the first one.
const maxSYN = 7

func (h *Host) dialTCP(ctx context.Context, network string, local, remote netip.AddrPort) (*Conn, error) {
	remote = thisHost(remote)
	fail := func(err error) error {
		return &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(remote), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	hs, err := h.connect(network, local, remote)
	if err != nil {
		return nil, fail(os.NewSyscallError("connect", err))
	}
	select {
	case err = <-hs.result:
	case <-ctx.Done():
		err = ctx.Err()
	case <-h.s.done:
		err = net.ErrClosed
	}
	if err == nil {
		return hs.client, nil
	}
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	hs.over = true
	if hs.client.peer != nil { // both happened at once
		hs.client.abort(true)
	}
	return nil, fail(err)
}

// connect chooses the local address and sends the first SYN.
func (h *Host) connect(network string, local, remote netip.AddrPort) (*handshake, error) {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	bound := local.Addr()
	if !bound.IsValid() {
		bound = netip.IPv6Unspecified()
		if remote.Addr().Is4() {
			bound = netip.IPv4Unspecified()
		}
	}
	src, out, err := h.source(bound, remote.Addr())
	if err != nil {
		return nil, err
	}
	b, err := h.bind(network, netip.AddrPortFrom(src, local.Port()), func(b binding) bool {
		for c := range h.conns {
			if c.local == b.addr && (c.remote == remote || local.Port() == 0) {
				return true
			}
		}
		return local.Port() == 0 && h.listener(b.addr) != nil
	})
	if err != nil {
		return nil, err
	}
	hs := &handshake{
		s: h.s, client: &Conn{h: h, out: out, local: b.addr, remote: remote, writing: make(chan struct{}, 1)},
		flow: flow{true, b.addr, remote}, result: make(chan error, 1),
	}
	if out != nil {
		hs.client.own = out.translate(&hs.flow)
	}
	hs.syn(0)
	return hs, nil
}

func (hs *handshake) finish(err error) {
	if !hs.over {
		hs.over = true
		hs.result <- err
	}
}

// syn sends the SYN for the n-th time and asks for the next one.
func (hs *handshake) syn(n int) {
	switch {
	case hs.over:
		return
	case hs.client.h.crashed:
		hs.finish(os.NewSyscallError("connect", syscall.ENETDOWN))
		return
	case n == maxSYN:
		hs.finish(os.NewSyscallError("connect", syscall.ETIMEDOUT))
		return
	}
	hs.s.after(time.Second<<n, func() { hs.syn(n + 1) })
	out := hs.client.out
	if out == nil {
		hs.s.after(0, func() { hs.answer(hs.client.h, nil, nil, hs.flow) })
		return
	}
	hs.s.note(Sent, hs.flow, nil)
	hs.s.over(&out.up, func() {
		f := hs.flow
		in, far, what := hs.s.route(out, &f)
		if what != Received {
			hs.s.note(what, f, nil)
			return
		}
		hs.s.over(&in.down, func() { hs.answer(in.h, in, far, f) })
	})
}

// over carries a packet of the handshake across half a link, or loses it.
func (s *Sim) over(h *half, then func()) {
	roll, d := h.stream.roll(), h.Delay+time.Duration(h.stream.roll()*float64(h.Jitter))
	if !h.Down && roll >= h.Loss {
		s.after(d, then)
	}
}

// answer is the receiving host's: SYN-ACK or reset.
func (hs *handshake) answer(h *Host, in *iface, far *mapping, f flow) {
	if h.crashed || in != nil && in.removed {
		return
	}
	if hs.server == nil {
		ln := h.listener(f.dst)
		if ln == nil {
			hs.back(in, func() { hs.finish(os.NewSyscallError("connect", syscall.ECONNREFUSED)) })
			return
		}
		hs.server = &Conn{h: h, out: in, own: far, local: f.dst, remote: f.src, peer: hs.client, writing: make(chan struct{}, 1)}
		hs.server.listener = ln
	}
	hs.back(in, hs.established)
}

// back carries the answer to the dialer.
func (hs *handshake) back(in *iface, then func()) {
	if in == nil {
		hs.s.after(0, then)
		return
	}
	hs.s.note(Sent, hs.flow.reverse(), nil)
	hs.s.over(&in.up, func() { hs.s.over(&hs.client.out.down, then) })
}

// established runs when the SYN-ACK reaches the dialer.
func (hs *handshake) established() {
	c, server := hs.client, hs.server
	if hs.over || c.h.crashed || hs.s.closed { // gave up before, or a SYN-ACK sent again
		return
	}
	c.peer = server
	c.h.conns[c] = struct{}{}
	c.ship(nil, func() { server.listener.enqueue(server) })
	hs.finish(nil)
}
