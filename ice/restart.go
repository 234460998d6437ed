package ice

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// graceTime is how long the agent that a restart replaced goes on answering: the
// peer may select the new pair a little later than we do.
const graceTime = 5 * time.Second

// Restart runs new checks for a living path and moves it when the new pair is
// selected; until then, and if it fails, the path stays as it is. local is what
// Renew returned, or Local of a new Gatherer on new sockets, which then owns
// the path. A zero role keeps the path's; one made by Direct needs a role. ctx
// bounds the checks.
//
// While the new checks run, data goes on over the pair selected before (RFC 8445
// section 9). The new pair is found by a second agent.
func (g *Gatherer) Restart(ctx context.Context, p *Path, role Role, local, remote Description) error {
	if err := g.enter(); err != nil {
		return err
	}
	defer g.wg.Done()
	if err := g.wait(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	o := g.offers[local.Ufrag]
	g.mu.Unlock()
	if o == nil {
		return fmt.Errorf("ice: restart: %q is not a ufrag of this gatherer", local.Ufrag)
	}
	if role == 0 {
		role = p.Role() // a restart keeps the roles (RFC 8445 section 6.1.1)
	}
	if err := p.beginRestart(); err != nil {
		return err
	}
	if _, err := g.checks(ctx, o, role, remote, p); err != nil {
		p.mu.Lock()
		p.restarting = false
		p.mu.Unlock()
		return err
	}
	p.finishRestart(g)
	return nil
}

func (p *Path) beginRestart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.restarting:
		return errors.New("ice: a restart is under way")
	}
	p.restarting = true
	return nil
}

// adopt makes a the agent of the path. One that was there may not move the path
// any more, and goes on answering.
func (p *Path) adopt(a *agent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if p.agent != nil {
		p.agent.retired.Store(true)
	}
	if before := p.old; before != nil { // of the last restart, in its grace time
		p.wg.Go(before.close)
	}
	p.old, p.agent = p.agent, a
	return nil
}

// abandon undoes adopt: the checks failed.
func (p *Path) abandon(a *agent) {
	a.close()
	p.mu.Lock()
	p.agent, p.old, p.restarting = p.old, nil, false
	ended, before, starved := p.err != nil, p.agent, p.starved
	if before != nil {
		before.retired.Store(false)
	}
	p.mu.Unlock()
	if ended || before == nil {
		a.unroute(nil)
	} else {
		a.unroute(before.valid)
	}
	if starved != nil {
		p.end(starved)
	}
}

// finishRestart hands the path over to the new agent and its gatherer.
func (p *Path) finishRestart(g *Gatherer) {
	p.mu.Lock()
	before, wasDirect := p.g, p.direct
	p.g, p.restarting, p.direct = g, false, false
	ended, old := p.err != nil, p.old
	if !ended && old != nil {
		p.wg.Go(func() { p.retire(old) })
	}
	p.mu.Unlock()
	if wasDirect {
		before.undirect(p)
	}
	before.mu.Lock()
	delete(before.paths, p)
	before.mu.Unlock()
	if ended {
		return
	}
	g.mu.Lock()
	g.paths[p] = struct{}{}
	g.connected = true
	g.mu.Unlock()
}

// retire ends the replaced agent after its grace time, or when the path or its
// gatherer ends, and with it the routes that only it had.
func (p *Path) retire(old *agent) {
	t := time.NewTimer(graceTime)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.done:
	case <-old.g.closing:
	}
	old.close()
	p.mu.Lock()
	if p.old == old {
		p.old = nil
	}
	ended, now, next := p.err != nil, p.agent, p.old
	p.mu.Unlock()
	old.unroute(func(b *base, at netip.AddrPort) bool {
		return !ended && (now != nil && now.valid(b, at) || next != nil && next.valid(b, at))
	})
}
