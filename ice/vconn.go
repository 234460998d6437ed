package ice

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/stun/v4"
)

// vconn is the net.PacketConn that one agent has on one base. Only STUN goes
// through it.
type vconn struct {
	b    *base
	a    *agent
	in   chan packet
	dead chan struct{}
	once sync.Once
	poke bool // the reader's: the last packet read may allow to nominate

	mu     sync.Mutex
	valid  map[netip.AddrPort]bool // sources whose request passed MESSAGE-INTEGRITY
	pace   map[netip.AddrPort]*pace
	mapped map[netip.AddrPort]netip.AddrPort // our address as the peer at the key sees it
	next   time.Time                         // of the next consent check on the selected pair
	sent   int64                             // when the last one went, as agent.since says
}

type packet struct {
	p    []byte
	from netip.AddrPort
}

// pace limits the checks to one address: pion's agent repeats every check at
// every tick.
type pace struct {
	sent  int
	last  time.Time
	heard bool // a check came from there since the last one we sent
}

const (
	vconnQueue = 32
	maxValid   = 64 // sources per agent and base: a peer has a handful

	checkInterval = 100 * time.Millisecond // the agent's tick while it checks
	checkFast     = 10                     // so many checks to an address at every tick,
	checkSlow     = 500 * time.Millisecond // then at RFC 8445 section 14.3's RTO
	agentTick     = 2 * time.Second        // pion's: a check of the selected pair
)

func newVconn(b *base, a *agent) *vconn {
	return &vconn{
		b: b, a: a, in: make(chan packet, vconnQueue), dead: make(chan struct{}),
		valid: map[netip.AddrPort]bool{}, pace: map[netip.AddrPort]*pace{}, mapped: map[netip.AddrPort]netip.AddrPort{},
	}
}

func (v *vconn) deliver(p []byte, from netip.AddrPort) {
	select {
	case v.in <- packet{append([]byte(nil), p...), from}: // STUN only: a few per second
	default: // full: checks are retransmitted
	}
}

// check takes a request for this agent. The first authentic one of a source
// opens the media route, before the agent sees it, so that the peer's early
// media finds its path.
func (v *vconn) check(p []byte, from netip.AddrPort) {
	v.mu.Lock()
	known, full := v.valid[from], len(v.valid) >= maxValid
	if q := v.pace[from]; q != nil {
		q.heard = true
	}
	v.mu.Unlock()
	if !known {
		if full || !authentic(p, v.a.off.pwd) || !v.b.route(from, v.a.path) {
			return
		}
		v.mu.Lock()
		v.valid[from] = true
		v.mu.Unlock()
	}
	v.a.received.Add(1)
	v.deliver(p, from)
}

// response takes a response to one of our checks. Only an authenticated one
// renews consent (RFC 7675 section 5.1); the peer's own requests do not.
func (v *vconn) response(p []byte, from netip.AddrPort, sent time.Time) {
	if !authentic(p, v.a.remote.Pwd) {
		return
	}
	v.a.received.Add(1)
	v.see(p, from)
	if l := v.a.sel.Load(); l != nil && l.b == v.b && l.to == from && !isErrorResponse(p) {
		now := time.Now()
		v.a.consent.Store(v.a.since(now))
		v.a.rtt.Store(int64(now.Sub(sent)))
	}
	v.deliver(p, from)
}

// see keeps where the peer saw our check come from.
func (v *vconn) see(p []byte, from netip.AddrPort) {
	m, err := mappedAddress(p)
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.mapped[from]; known || len(v.mapped) < maxValid {
		v.mapped[from] = m
	}
}

// seen is where the peer at an address last saw our checks come from.
func (v *vconn) seen(by netip.AddrPort) netip.AddrPort {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mapped[by]
}

// ReadFromAddrPort gives the agent its next message. The agent reads again when
// it has dealt with the one before.
func (v *vconn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	if v.poke {
		v.poke = false
		v.a.contact()
	}
	select {
	case k := <-v.in:
		v.poke = isResponse(k.p) && v.a.sel.Load() == nil
		return copy(b, k.p), k.from, nil
	case <-v.dead:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

// WriteToAddrPort sends what the agent wants sent, at a fitting pace.
func (v *vconn) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	select {
	case <-v.dead:
		return 0, net.ErrClosed
	default:
	}
	if isSTUN(p) && isRequest(p) {
		v.a.setRole(hasAttribute(p, attrICEControlling)) // the role after a conflict: the agent has no getter
		if !v.due(to, hasAttribute(p, attrUseCandidate)) {
			return len(p), nil
		}
		v.a.sent.Add(1)
		v.b.remember(p, transaction{v: v})
	}
	return v.b.out.WriteToUDPAddrPort(p, to)
}

// due says whether a check may go now.
func (v *vconn) due(to netip.AddrPort, nominates bool) bool {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if l := v.a.sel.Load(); l != nil && l.b == v.b && l.to == to && !nominates {
		// "each interval MUST be randomized from between 0.8 and 1.2 times the
		// basic period" of 5 s (RFC 7675 section 5.1). The agent ticks every 2 s:
		// that leaves 4 and 6, and 4 while checks go unanswered.
		if now.Before(v.next) {
			return false
		}
		v.next = now.Add(2*agentTick - agentTick/2)
		if v.a.consent.Load() > v.sent && rand.N(2) == 0 {
			v.next = v.next.Add(agentTick)
		}
		v.sent = v.a.since(now)
		return true
	}
	q := v.pace[to]
	if q == nil {
		q = &pace{}
		v.pace[to] = q
	}
	if !nominates && !q.heard && q.sent >= checkFast && now.Sub(q.last) < checkSlow {
		return false
	}
	q.sent, q.last, q.heard = q.sent+1, now, false
	return true
}

// isValid says whether this agent took a check from the address.
func (v *vconn) isValid(a netip.AddrPort) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.valid[a]
}

// Close ends the agent's reader; the base stays.
func (v *vconn) Close() error { v.once.Do(func() { close(v.dead) }); return nil }

// ReadFrom, WriteTo and the others make a net.PacketConn of it.
func (v *vconn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := v.ReadFromAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// WriteTo sends to a *net.UDPAddr.
func (v *vconn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, err := addrPort(to)
	if err != nil {
		return 0, err
	}
	return v.WriteToAddrPort(p, a)
}

// LocalAddr is the base's address.
func (v *vconn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(v.b.addr) }

// SetDeadline does nothing: the agent closes as well when it wants to stop.
func (v *vconn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing, see SetDeadline.
func (v *vconn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: writes do not block.
func (v *vconn) SetWriteDeadline(time.Time) error { return nil }

// bindingSuccess answers a check. The answer goes to where the check came from.
func bindingSuccess(p []byte, from netip.AddrPort, pwd string) ([]byte, error) {
	req := &stun.Message{Raw: append([]byte(nil), p...)}
	if err := req.Decode(); err != nil {
		return nil, err
	}
	res, err := stun.Build(req, stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())},
		stun.NewShortTermIntegrity(pwd), stun.Fingerprint)
	if err != nil {
		return nil, err
	}
	return res.Raw, nil
}
