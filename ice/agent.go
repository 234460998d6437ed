package ice

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"

	"github.com/peercall/peercall/ice/internal/quiet"
)

// agent is one pion agent: one fork, one generation of ICE. It has a vconn per
// base and moves its path when it selects a pair.
type agent struct {
	g       *Gatherer
	off     *offer
	path    *Path
	remote  Description // Candidates: only those that can be used
	user    string      // the USERNAME of the peer's checks
	ice     *ice.Agent
	bases   []*base
	vconns  map[*base]*vconn
	byID    map[string]*vconn // by the local candidate's ID; fixed before Start
	ready   chan struct{}     // closed at the first selected pair
	failed  chan error        // the selected pair cannot be used
	once    sync.Once
	closing sync.Once

	sel            atomic.Pointer[leg]
	controlling    atomic.Bool
	retired        atomic.Bool  // a restart began: it may not move the path any more
	epoch          time.Time    // what follows counts from here: it must not follow a wall clock that is set
	consent        atomic.Int64 // nanoseconds to the last authenticated response; 0: none
	rtt            atomic.Int64
	sent, received atomic.Uint64
}

// leg is where a path points: immutable.
type leg struct {
	b      *base
	to     netip.AddrPort
	remote Candidate
}

// The waits before a pair may be nominated by its worse candidate (RFC 8445
// section 8.1.1 leaves it to us). A direct pair through two NATs takes a round
// trip longer than a relayed one, so that relays wait a moment; everything else
// is nominated when it works.
const (
	relayWait          = 500 * time.Millisecond
	maxBindingRequests = 60000 // ticks, not checks: Connect's end is the limit
)

// newAgent makes the agent of one answer; Start begins its checks.
func (g *Gatherer) newAgent(o *offer, role Role, remote Description, path *Path) (*agent, error) {
	a := &agent{
		g: g, off: o, path: path, remote: remote, user: o.ufrag + ":" + remote.Ufrag, bases: g.usable(),
		vconns: map[*base]*vconn{}, byID: map[string]*vconn{}, ready: make(chan struct{}), failed: make(chan error, 1), epoch: time.Now(),
	}
	if len(a.bases) == 0 {
		return nil, noCandidates(g.Errors())
	}
	a.controlling.Store(role == Controlling)
	wait := relayWait
	if g.cfg.RelayOnly || len(remote.Candidates) > 0 && !slices.ContainsFunc(remote.Candidates, func(c Candidate) bool { return c.Type != Relayed }) {
		wait = 0
	}
	var err error
	a.ice, err = ice.NewAgentWithOptions(
		ice.WithLocalCredentials(o.ufrag, o.pwd),
		ice.WithNet(numericNet{}), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithDisableActiveTCP(),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost, ice.CandidateTypeRelay}),
		// Its own liveness counts the peer's requests too and deletes all
		// candidates: ours is in Path.
		ice.WithDisconnectedTimeout(0), ice.WithFailedTimeout(0),
		ice.WithCheckInterval(checkInterval), ice.WithMaxBindingRequests(maxBindingRequests),
		ice.WithHostAcceptanceMinWait(0), ice.WithSrflxAcceptanceMinWait(0), ice.WithPrflxAcceptanceMinWait(0),
		ice.WithRelayAcceptanceMinWait(wait),
		ice.WithLoggerFactory(quiet.Factory{}),
	)
	if err != nil {
		return nil, fmt.Errorf("ice: make agent: %w", err)
	}
	if err := a.prepare(); err != nil {
		_ = a.ice.GracefulClose() // never fails
		return nil, err
	}
	return a, nil
}

func (a *agent) prepare() error {
	if err := a.ice.OnSelectedCandidatePairChange(a.onSelected); err != nil {
		return err
	}
	if err := a.ice.SetRemoteICELite(a.remote.Lite); err != nil {
		return err
	}
	for _, b := range a.bases {
		v := newVconn(b, a)
		c, err := b.pion()
		if err != nil {
			return fmt.Errorf("ice: local candidate %v: %w", b.addr, err)
		}
		a.vconns[b], a.byID[c.ID()] = v, v
		if err := a.ice.AddVirtualCandidate(c, v); err != nil {
			return fmt.Errorf("ice: local candidate %v: %w", b.addr, err)
		}
	}
	return nil
}

func (b *base) pion() (ice.Candidate, error) {
	c := b.candidate(foundations{})
	addr, port := b.addr.Addr().String(), int(b.addr.Port())
	if b.relay {
		return ice.NewCandidateRelay(&ice.CandidateRelayConfig{
			Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, RelAddr: "0.0.0.0",
		})
	}
	return ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority})
}

// start begins the checks and replays what was held for this fork.
func (a *agent) start() error {
	held, ok := a.off.claim(a.user)
	if !ok {
		return errors.New("ice: the peer's ufrag was connected before")
	}
	a.g.mu.Lock()
	a.g.users[a.user] = a
	a.g.mu.Unlock()
	for _, c := range a.remote.Candidates {
		r, err := c.pion()
		if err != nil {
			continue // usable vouches for the address
		}
		if err := a.ice.AddRemoteCandidate(r); err != nil {
			return fmt.Errorf("ice: remote candidate: %w", err)
		}
	}
	var err error
	if a.controlling.Load() {
		_, err = a.ice.StartDial(a.remote.Ufrag, a.remote.Pwd)
	} else {
		_, err = a.ice.StartAccept(a.remote.Ufrag, a.remote.Pwd)
	}
	if err != nil {
		return fmt.Errorf("ice: start checks: %w", err)
	}
	for k, p := range held {
		if v := a.vconns[k.b]; v != nil {
			v.check(p, k.from)
		}
	}
	return nil
}

func (c Candidate) pion() (ice.Candidate, error) {
	addr, port := c.Addr.Addr().String(), int(c.Addr.Port())
	switch c.Type {
	case ServerReflexive:
		return ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{
			Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation,
		})
	case Relayed:
		return ice.NewCandidateRelay(&ice.CandidateRelayConfig{
			Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation,
		})
	}
	return ice.NewCandidateHost(&ice.CandidateHostConfig{
		Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation,
	})
}

// onSelected runs on a goroutine of pion's agent.
func (a *agent) onSelected(l, r ice.Candidate) {
	v := a.byID[l.ID()]
	ip, err := netip.ParseAddr(r.Address())
	if v == nil || err != nil {
		return // not one of ours: cannot be
	}
	to := netip.AddrPortFrom(ip.Unmap(), uint16(r.Port()))
	if !v.b.route(to, a.path) {
		select {
		case a.failed <- fmt.Errorf("ice: %v belongs to another path", to):
		default:
		}
		return
	}
	a.consent.Store(a.since(time.Now()))
	n := &leg{b: v.b, to: to, remote: a.candidateAt(to, r.Priority())}
	a.sel.Store(n)
	a.path.point(a, n)
	a.once.Do(func() { close(a.ready) })
}

func (a *agent) candidateAt(at netip.AddrPort, priority uint32) Candidate {
	for _, c := range a.remote.Candidates {
		if c.Addr == at {
			return c
		}
	}
	return Candidate{Foundation: "prflx", Component: 1, Transport: "UDP", Priority: priority, Addr: at, Type: PeerReflexive}
}

// since is how consent keeps a time, never 0; consented gives it back.
func (a *agent) since(t time.Time) int64 { return max(int64(t.Sub(a.epoch)), 1) }

func (a *agent) consented() time.Time {
	ns := a.consent.Load()
	if ns == 0 {
		return time.Time{}
	}
	return a.epoch.Add(time.Duration(ns))
}

func (a *agent) setRole(controlling bool) { a.controlling.Store(controlling) }

func (a *agent) role() Role {
	if a.controlling.Load() {
		return Controlling
	}
	return Controlled
}

// contact makes a controlling agent look whether a pair may be nominated,
// without waiting for its next tick: the one public way is to repeat a setting.
func (a *agent) contact() {
	if a.controlling.Load() && a.sel.Load() == nil {
		_ = a.ice.SetRemoteICELite(a.remote.Lite) // fails only when it closes
	}
}

// valid says whether the agent has heard a check from an address on a base.
func (a *agent) valid(b *base, at netip.AddrPort) bool {
	if l := a.sel.Load(); l != nil && l.b == b && l.to == at {
		return true
	}
	v := a.vconns[b]
	return v != nil && v.isValid(at)
}

// close ends the agent and waits for its goroutines. Sockets, routes and the
// path stay. It must not be called with a lock held that onSelected takes.
func (a *agent) close() {
	a.closing.Do(func() {
		a.g.mu.Lock()
		if a.g.users[a.user] == a {
			delete(a.g.users, a.user)
		}
		a.g.mu.Unlock()
		_ = a.ice.GracefulClose() // never fails
		for _, v := range a.vconns {
			_ = v.Close() // never fails
		}
	})
}
