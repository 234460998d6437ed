package ice

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

// reflexive is a mapped address. It is only told to the peer: pairs are formed
// of its base (RFC 8445 section 6.1.2.4), so that the agents never see it.
type reflexive struct {
	b      *base
	server netip.AddrPort
	mapped netip.AddrPort
	url    string
}

const (
	stunRTO       = 250 * time.Millisecond // half of RFC 8489's: gathering is set-up latency
	keepAliveTime = 15 * time.Second       // RFC 8445 section 11: Tr
)

// bindingRequest asks a STUN server for the mapped address of this socket.
func (b *base) bindingRequest(ctx context.Context, server netip.AddrPort) (netip.AddrPort, error) {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	if err != nil {
		return netip.AddrPort{}, err
	}
	type answer struct {
		a   netip.AddrPort
		err error
	}
	got := make(chan answer, 1)
	b.remember(m.Raw, transaction{f: func(p []byte, from netip.AddrPort) {
		if from != server {
			return
		}
		a, err := mappedAddress(p)
		select {
		case got <- answer{a, err}:
		default: // a duplicate
		}
	}})
	ctx, cancel := context.WithTimeout(ctx, stunTimeout)
	defer cancel()
	for rto := stunRTO; ; rto *= 2 {
		if _, err := b.out.WriteToUDPAddrPort(m.Raw, server); err != nil {
			return netip.AddrPort{}, err
		}
		again := time.NewTimer(rto)
		select {
		case a := <-got:
			again.Stop()
			return a.a, a.err
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return netip.AddrPort{}, errNoAnswer{ctx.Err()}
		}
	}
}

type errNoAnswer struct{ error }

func (e errNoAnswer) Error() string { return "no answer" }
func (e errNoAnswer) Unwrap() error { return e.error }

func mappedAddress(p []byte) (netip.AddrPort, error) {
	if code, reason := errorCode(p); isErrorResponse(p) {
		return netip.AddrPort{}, &ServerError{Code: code, Reason: reason}
	}
	r := &stun.Message{Raw: append([]byte(nil), p...)}
	if err := r.Decode(); err != nil {
		return netip.AddrPort{}, err
	}
	var x stun.XORMappedAddress
	if err := x.GetFrom(r); err != nil {
		return netip.AddrPort{}, err
	}
	a, ok := netip.AddrFromSlice(x.IP)
	if !ok || x.Port <= 0 || x.Port > 0xffff {
		return netip.AddrPort{}, errors.New("bad XOR-MAPPED-ADDRESS")
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(x.Port)), nil
}

// keepAlive keeps the bindings in NATs, of mapped addresses and of allocations,
// while it rings: until a path is found, which has traffic of its own. It ends
// then or when the gatherer closes.
func (g *Gatherer) keepAlive() {
	g.mu.Lock()
	all := slices.Clone(g.reflexive)
	for _, r := range g.relays {
		all = append(all, reflexive{b: r.host, server: r.turnServer})
	}
	g.mu.Unlock()
	for len(all) > 0 && g.pause(keepAliveTime) {
		g.mu.Lock()
		done := g.connected
		g.mu.Unlock()
		if done {
			return
		}
		for _, r := range all {
			m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
			if err != nil {
				continue
			}
			// The answer is not waited for: the address was told already.
			r.b.remember(m.Raw, transaction{f: func([]byte, netip.AddrPort) {}})
			_, _ = r.b.out.WriteToUDPAddrPort(m.Raw, r.server)
		}
	}
}
