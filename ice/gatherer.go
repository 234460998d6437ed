package ice

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/peercall/peercall/internal/sysnet"
)

// Gatherer is one side of an offer/answer exchange: sockets, allocations and
// local credentials, shared by all forks.
type Gatherer struct {
	cfg      Config
	net      Network
	log      *slog.Logger
	bases    []*base       // sockets of component 1, the default one first; fixed
	gathered chan struct{} // closed when gathering has ended
	closing  chan struct{} // closed by Close
	wg       sync.WaitGroup

	asking chan struct{} // holds a token while Renew asks the servers

	mu        sync.Mutex
	rtcp      *base
	relays    []*base
	stale     []*base // relays that Renew replaced: their allocations are dead
	reflexive []reflexive
	errs      []error
	local     Description // complete when gathered is closed, but for the credentials
	first     *offer
	offers    map[string]*offer // by local ufrag
	users     map[string]*agent // by USERNAME, "ours:theirs"
	paths     map[*Path]struct{}
	connected bool // a path was found: keep-alives are the path's own from here on
	closed    bool
}

// NewGatherer binds the sockets at once, so that the ports are known, and
// gathers in the background. ctx bounds gathering only. cfg is copied.
func NewGatherer(ctx context.Context, cfg *Config) (*Gatherer, error) {
	g := &Gatherer{
		gathered: make(chan struct{}), closing: make(chan struct{}), asking: make(chan struct{}, 1), first: newOffer(),
		offers: map[string]*offer{}, users: map[string]*agent{}, paths: map[*Path]struct{}{},
	}
	if cfg != nil {
		g.cfg = *cfg
	}
	g.cfg.Addrs, g.cfg.Servers = slices.Clone(g.cfg.Addrs), slices.Clone(g.cfg.Servers)
	if g.net = g.cfg.Network; g.net == nil {
		g.net = sysnet.Network{}
	}
	if g.log = g.cfg.Log; g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.offers[g.first.ufrag] = g.first
	if err := g.bind(ctx); err != nil {
		return nil, err
	}
	g.wg.Go(func() { g.gather(ctx) })
	return g, nil
}

// Local waits until gathering has ended, at most about three seconds, and
// returns what to tell the peer. A server that failed is not an error, see
// Errors; having no candidate at all is ErrNoCandidates, which then comes with
// the servers' errors.
func (g *Gatherer) Local(ctx context.Context) (Description, error) {
	return g.describe(ctx, g.first)
}

func (g *Gatherer) describe(ctx context.Context, o *offer) (Description, error) {
	if err := g.wait(ctx); err != nil {
		return Description{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.local.Candidates) == 0 {
		return Description{}, noCandidates(slices.Clone(g.errs))
	}
	d := g.local
	d.Candidates = slices.Clone(d.Candidates)
	d.Ufrag, d.Pwd = o.ufrag, o.pwd
	return d, nil
}

func (g *Gatherer) wait(ctx context.Context) error {
	select {
	case <-g.closing:
		return ErrClosed
	default:
	}
	select {
	case <-g.gathered:
		return nil
	case <-g.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("ice: gather candidates: %w", ctx.Err())
	}
}

// Errors are the servers' failures so far, each a *ServerError.
func (g *Gatherer) Errors() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.errs)
}

func (g *Gatherer) fail(err *ServerError) {
	select {
	case <-g.gathered: // Renew asked again, and keeps what there was
		g.log.Debug("ICE server gives nothing new", "server", err.URL, "code", err.Code, "err", err)
		return
	default:
	}
	g.mu.Lock()
	g.errs = append(g.errs, err)
	g.mu.Unlock()
	g.log.Warn("ICE server failed", "server", err.URL, "code", err.Code, "err", err)
}

// check gives a Binding request to the agent that its USERNAME names, or keeps
// it for the agent to come. It runs on a reader goroutine.
func (g *Gatherer) check(b *base, user, p []byte, from netip.AddrPort) {
	g.mu.Lock()
	a := g.users[string(user)]
	var o *offer
	if a == nil {
		if i := slices.Index(user, ':'); i > 0 {
			o = g.offers[string(user[:i])]
		}
	}
	g.mu.Unlock()
	switch {
	case a != nil:
		if v := a.vconns[b]; v != nil {
			v.check(p, from)
		}
	case o != nil:
		o.early(b, string(user), p, from)
	}
}

// usable are the bases that pairs are formed of.
func (g *Gatherer) usable() []*base {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.RelayOnly {
		return slices.Clone(g.relays)
	}
	return append(slices.Clone(g.bases), g.relays...)
}

// enter counts a call that uses the sockets; Close waits for it.
func (g *Gatherer) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.wg.Add(1)
	return nil
}

// pause waits; it says false when the gatherer closes.
func (g *Gatherer) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.closing:
		return false
	}
}

// Close ends all paths, allocations and sockets and waits for their goroutines.
func (g *Gatherer) Close() error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	paths := make([]*Path, 0, len(g.paths))
	for p := range g.paths {
		paths = append(paths, p)
	}
	g.mu.Unlock()
	if first {
		close(g.closing)
	}
	for _, p := range paths {
		_ = p.Close() // never fails
	}
	g.wg.Wait() // gathering, keep-alives, Connect and Restart calls
	if !first {
		return nil
	}
	g.mu.Lock()
	all := append(append(slices.Clone(g.relays), g.stale...), g.bases...)
	if g.rtcp != nil {
		all = append(all, g.rtcp)
	}
	g.mu.Unlock()
	for _, b := range all {
		_ = b.close() // the socket goes away whatever it says
	}
	for _, b := range all {
		if b.settle != nil {
			b.settle()
		}
	}
	return nil
}
