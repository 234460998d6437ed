package ice

import (
	"context"
	"fmt"
	"slices"
)

// Renew makes fresh credentials on the same sockets, for an ICE restart: what
// it returns is offered to the peer and then given to Restart.
//
// The servers are asked again, for a NAT may have forgotten or changed our
// mapped addresses: that takes about three seconds at most when they do not
// answer, and what they said before stands then. ctx bounds it too. An allocation
// whose 5-tuple changed is replaced by a new one; one that lives is kept.
func (g *Gatherer) Renew(ctx context.Context) (Description, error) {
	if err := g.enter(); err != nil {
		return Description{}, err
	}
	defer g.wg.Done()
	if err := g.wait(ctx); err != nil {
		return Description{}, err
	}
	select {
	case g.asking <- struct{}{}:
	case <-ctx.Done():
		return Description{}, fmt.Errorf("ice: gather candidates again: %w", ctx.Err())
	case <-g.closing:
		return Description{}, ErrClosed
	}
	defer func() { <-g.asking }()
	g.bury()
	g.askAll(ctx)
	g.describeLocal()
	o := newOffer()
	d, err := g.describe(ctx, o)
	if err != nil {
		return Description{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.offers[o.ufrag] = o
	return d, nil
}

// bury ends the allocations that the Renew before replaced: until now the pair in
// use may have been on one. Nothing that was sent there arrived anywhere.
func (g *Gatherer) bury() {
	g.mu.Lock()
	dead := g.stale
	g.stale = nil
	g.mu.Unlock()
	for _, b := range dead {
		_ = b.close() // an allocation's never fails
		b.settle()
	}
}

// Moved says whether a later description of the same gatherer has other
// addresses: the network changed, and the peer has to be told.
func (d Description) Moved(later Description) bool {
	addrs := func(d Description) (as []string) {
		for _, c := range d.Candidates {
			as = append(as, c.Addr.String()+c.Type.String())
		}
		slices.Sort(as)
		return as
	}
	return !slices.Equal(addrs(d), addrs(later))
}
