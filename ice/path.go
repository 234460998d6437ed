package ice

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pair is the pair of candidates that a path uses.
type Pair struct{ Local, Remote Candidate }

// PathStats counts what crossed a path. STUN is not counted.
type PathStats struct {
	PacketsSent, BytesSent         uint64
	PacketsReceived, BytesReceived uint64
	Dropped                        uint64        // packets that came before Handle and found no room
	RTT                            time.Duration // of the last check that the peer answered; 0 if unknown
	Consent                        time.Time     // when the peer last answered a check; zero without ICE

	// Mapped is where the peer last saw our checks come from. When it changes
	// while the pair stays, a NAT has forgotten us: what the peer sends to the old
	// address is lost, and a restart mends it.
	Mapped netip.AddrPort
}

// Path carries datagrams to one peer. It lives through ICE restarts.
type Path struct {
	cur     atomic.Pointer[leg]
	handler atomic.Pointer[handler]
	direct  bool // made by Direct: no agent
	done    chan struct{}
	wg      sync.WaitGroup // the consent timer, retiring agents

	packetsSent, bytesSent         atomic.Uint64
	packetsReceived, bytesReceived atomic.Uint64
	dropped                        atomic.Uint64

	rx    sync.Mutex // held while the handler runs: several readers may have packets for us
	early []packet   // under rx: what came before the first Handle
	over  bool       // under rx: Close has begun

	mu         sync.Mutex // the lifecycle
	g          *Gatherer
	agent      *agent // the current one, then
	old        *agent // the one that a restart replaces
	restarting bool
	starved    error // consent was lost while restarting
	err        error
	timer      *time.Timer
}

type handler struct {
	f func(p []byte, from netip.AddrPort)
}

const maxEarly = 32 // packets kept before Handle

func newPath(g *Gatherer) *Path { return &Path{g: g, done: make(chan struct{})} }

// Write sends one datagram to wherever the path points now. It allocates
// nothing and does not keep p.
func (p *Path) Write(b []byte) (int, error) {
	l := p.cur.Load()
	if l == nil {
		return 0, p.silent()
	}
	n, err := l.b.out.WriteToUDPAddrPort(b, l.to)
	if err == nil {
		p.packetsSent.Add(1)
		p.bytesSent.Add(uint64(n))
	}
	return n, err
}

// silent is why nothing may be sent.
func (p *Path) silent() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.starved != nil:
		return p.starved
	}
	return ErrClosed
}

// Handle sets the function that receives the peer's datagrams. It is called by
// one goroutine at a time; p is reused after it returns. The first packets that
// came before Handle are kept, 32 at most, and delivered now, on the caller's
// goroutine. A nil function discards what arrives.
func (p *Path) Handle(f func(p []byte, from netip.AddrPort)) {
	if f == nil {
		f = func([]byte, netip.AddrPort) {}
	}
	if p.handler.Swap(&handler{f}) != nil {
		return // this may be a handler that replaces itself: rx is taken
	}
	p.rx.Lock()
	defer p.rx.Unlock()
	early := p.early
	p.early = nil
	for _, k := range early {
		if !p.over {
			f(k.p, k.from)
		}
	}
}

// deliver runs on a reader goroutine.
func (p *Path) deliver(b []byte, from netip.AddrPort) {
	p.rx.Lock()
	defer p.rx.Unlock()
	if p.over {
		return
	}
	p.packetsReceived.Add(1)
	p.bytesReceived.Add(uint64(len(b)))
	h := p.handler.Load()
	switch {
	case h != nil && len(p.early) == 0:
		h.f(b, from)
	case len(p.early) < maxEarly:
		// Also while the first Handle waits for rx: order is kept.
		p.early = append(p.early, packet{slices.Clone(b), from})
	default:
		p.dropped.Add(1)
	}
}

// point moves the path to the pair that an agent selected.
func (p *Path) point(a *agent, l *leg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil && p.agent == a && !a.retired.Load() {
		p.starved = nil
		p.cur.Store(l)
		p.arm(consentTimeout)
	}
}

// Close ends the path. After it returns the handler is not called any more, which
// is why the handler must not call it: it would wait for itself.
func (p *Path) Close() error {
	p.end(ErrClosed)
	p.wait()
	return nil
}

// end ends the path with its reason, once: nothing is sent or delivered after
// it, agents and routes are gone. wait waits for what end cannot.
func (p *Path) end(reason error) {
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	p.err = reason
	p.cur.Store(nil)
	p.disarm()
	g, agents := p.g, []*agent{p.agent, p.old}
	p.mu.Unlock()
	close(p.done)
	g.mu.Lock()
	delete(g.paths, p)
	g.mu.Unlock()
	for _, a := range agents {
		if a != nil {
			a.close()
			a.unroute(nil)
		}
	}
	if p.direct {
		g.undirect(p)
	}
}

func (p *Path) wait() {
	p.wg.Wait()
	p.rx.Lock() // the handler may be running
	p.over, p.early = true, nil
	p.rx.Unlock()
}

// unroute drops the routes of the agent's path, but for those that keep wants.
func (a *agent) unroute(keep func(*base, netip.AddrPort) bool) {
	for _, b := range a.bases {
		if keep == nil {
			b.unroute(a.path, nil)
		} else {
			b.unroute(a.path, func(at netip.AddrPort) bool { return keep(b, at) })
		}
	}
}

// Done is closed when the path has ended.
func (p *Path) Done() <-chan struct{} { return p.done }

// Err says why the path ended: nil while it lives, a *ConsentError, or
// ErrClosed.
func (p *Path) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Selected is the pair in use. The local candidate of a path through a NAT is
// the host's: that is the base.
func (p *Path) Selected() Pair {
	l := p.cur.Load()
	if l == nil {
		return Pair{}
	}
	return Pair{Local: l.b.candidate(foundations{}), Remote: l.remote}
}

// Relayed says whether the path goes through a relay of ours or, as far as its
// candidate tells, the peer's.
func (p *Path) Relayed() bool {
	l := p.cur.Load()
	return l != nil && (l.b.relay || l.remote.Type == Relayed)
}

// Role is the role of the path's agent now, after any conflict was resolved.
// It is zero for paths of Direct.
func (p *Path) Role() Role {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.agent == nil {
		return 0
	}
	return p.agent.role()
}

// Stats returns the counters so far.
func (p *Path) Stats() PathStats {
	s := PathStats{
		PacketsSent: p.packetsSent.Load(), BytesSent: p.bytesSent.Load(),
		PacketsReceived: p.packetsReceived.Load(), BytesReceived: p.bytesReceived.Load(), Dropped: p.dropped.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.agent; a != nil {
		s.RTT = time.Duration(a.rtt.Load())
		s.Consent = a.consented()
		if l := a.sel.Load(); l != nil {
			s.Mapped = a.vconns[l.b].seen(l.to)
		}
	}
	return s
}
