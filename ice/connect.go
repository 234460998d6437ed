package ice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	checksTimeout = 30 * time.Second
	maxPairs      = 100 // RFC 8445 section 6.1.2.5
	maxCredential = 256 // RFC 8839 section 5.4
)

// Connect runs connectivity checks with the peer that sent remote and returns
// the path once a pair is selected. It is called once per fork. ctx bounds the
// checks; without a deadline they end after 30 seconds. A full agent controls a
// lite one, whatever role says.
//
// Errors: ErrNoCandidates, *ChecksError (which also unwraps to the servers'
// errors), ErrClosed.
func (g *Gatherer) Connect(ctx context.Context, role Role, remote Description) (*Path, error) {
	if err := g.enter(); err != nil {
		return nil, err
	}
	defer g.wg.Done()
	if err := g.wait(ctx); err != nil {
		return nil, err
	}
	p := newPath(g)
	a, err := g.checks(ctx, g.first, role, remote, p)
	if err != nil {
		p.end(err)
		p.wait()
		return nil, err
	}
	g.mu.Lock()
	closed := g.closed
	if !closed {
		g.paths[p] = struct{}{}
		g.connected = true
	}
	g.mu.Unlock()
	if closed {
		_ = p.Close()
		return nil, ErrClosed
	}
	l := a.sel.Load()
	g.log.Info("ICE connected", "local", l.b.addr, "remote", l.to, "relayed", p.Relayed(), "role", a.role())
	return p, nil
}

// checks makes an agent for the path and waits until it selects a pair. If it
// fails, the agent and what it changed are gone.
func (g *Gatherer) checks(ctx context.Context, o *offer, role Role, remote Description, p *Path) (*agent, error) {
	remote, err := g.judge(o, remote)
	if err != nil {
		return nil, err
	}
	if remote.Lite {
		// "The full agent MUST take the controlling role, and the lite agent
		// MUST take the controlled role" (RFC 8445 section 6.1.1).
		role = Controlling
	}
	if role != Controlling && role != Controlled {
		return nil, fmt.Errorf("ice: role %d", role)
	}
	a, err := g.newAgent(o, role, remote, p)
	if err != nil {
		return nil, err
	}
	if err := p.adopt(a); err != nil {
		a.close()
		return nil, err
	}
	if err := a.start(); err != nil {
		p.abandon(a)
		return nil, err
	}
	if err := g.await(ctx, a); err != nil {
		p.abandon(a)
		o.release(a.user) // a callee's checks may begin with its answer, long after its first description
		return nil, err
	}
	return a, nil
}

func (g *Gatherer) await(ctx context.Context, a *agent) error {
	timeout := time.NewTimer(checksTimeout)
	defer timeout.Stop()
	var cause error
	select {
	case <-a.ready:
		return nil
	case err := <-a.failed:
		return err
	case <-g.closing:
		return ErrClosed
	case <-a.path.done:
		return a.path.Err()
	case <-ctx.Done():
		cause = ctx.Err()
	case <-timeout.C:
		cause = os.ErrDeadlineExceeded
	}
	e := &ChecksError{Pairs: a.pairs(), Sent: a.sent.Load(), Received: a.received.Load(), Servers: g.Errors(), Cause: cause}
	if len(e.Pairs) == 0 {
		e.Cause = fmt.Errorf("%w: %w", ErrNoCandidates, cause)
	}
	return e
}

// judge checks what the peer sent and leaves the candidates that can be used.
func (g *Gatherer) judge(o *offer, d Description) (Description, error) {
	if d.Ufrag == "" || d.Pwd == "" || len(d.Ufrag) > maxCredential || len(d.Pwd) > maxCredential {
		return d, errors.New("ice: the peer's ufrag or pwd is missing or too long")
	}
	bases := g.usable()
	if len(bases) == 0 {
		return d, noCandidates(g.Errors())
	}
	named := len(d.Candidates) == 0 // it may be found by its checks
	var ok []Candidate
	for _, c := range d.Candidates {
		named = named || c.Host != ""
		if !slices.ContainsFunc(ok, func(o Candidate) bool { return o.Addr == c.Addr }) &&
			slices.ContainsFunc(bases, func(b *base) bool { return b.reaches(c) }) {
			ok = append(ok, c)
		}
	}
	if len(ok) == 0 && !named && !o.heard(o.ufrag+":"+d.Ufrag) {
		return d, fmt.Errorf("%w: none of the peer's %d candidates suits ours", ErrNoCandidates, len(d.Candidates))
	}
	slices.SortStableFunc(ok, func(a, b Candidate) int { return cmp.Compare(b.Priority, a.Priority) })
	d.Candidates = ok[:min(len(ok), max(1, maxPairs/len(bases)))]
	return d, nil
}

// reaches says whether a check from this base to the candidate makes sense. A
// description is a stranger's: it does not make us knock at our own loopback.
func (b *base) reaches(c Candidate) bool {
	a, here := c.Addr.Addr(), b.addr.Addr()
	if c.Component != 1 || c.Transport != "UDP" || c.Host != "" || c.Type == Other || c.Addr.Port() == 0 || a.Is4() != here.Is4() {
		return false
	}
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast():
		return false
	case a.IsLoopback():
		return here.IsLoopback()
	case a.IsLinkLocalUnicast():
		return here.IsLinkLocalUnicast() && here.Zone() == ""
	}
	return true
}

// pairs are what the agent tried.
func (a *agent) pairs() []Pair {
	f := foundations{}
	var ps []Pair
	for _, b := range a.bases {
		for _, c := range a.remote.Candidates {
			if b.reaches(c) {
				ps = append(ps, Pair{Local: b.candidate(f), Remote: c})
			}
		}
		v := a.vconns[b]
		v.mu.Lock()
		for at := range v.valid {
			if c := a.candidateAt(at, 0); c.Type == PeerReflexive {
				ps = append(ps, Pair{Local: b.candidate(f), Remote: c})
			}
		}
		v.mu.Unlock()
	}
	return ps
}
