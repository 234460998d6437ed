package session

import (
	"context"
	"fmt"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/internal/sysnet"
)

// gather opens the call's sockets and learns our candidates. ctx bounds it.
func (c *Call) gather(ctx context.Context) error {
	g, err := ice.NewGatherer(ctx, c.ep.iceConfig())
	if err != nil {
		return fmt.Errorf("session: open media sockets: %w", err)
	}
	// The call's goroutine owns the gatherer. It takes it even when gathering
	// fails, so that the end of the call closes it.
	if err := c.ask(func(context.Context) error {
		if c.state == ended {
			return c.err
		}
		c.gatherer = g
		return nil
	}); err != nil {
		_ = g.Close()
		return err
	}
	local, err := g.Local(ctx)
	if err != nil {
		return fmt.Errorf("session: gather candidates: %w", err)
	}
	for _, err := range g.Errors() {
		c.log().Warn("gathering", "err", err)
	}
	return c.ask(func(context.Context) error {
		c.local = local
		return nil
	})
}

func (ep *Endpoint) network() Network {
	if ep.cfg.Network != nil {
		return ep.cfg.Network
	}
	return sysnet.Network{}
}
