package session

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/peercall/peercall/ice"
)

// A NAT that restarts, or a new network, takes the path away without a word. Who
// moved finds out by asking the STUN servers again, and is the one who can say so:
// the peer's own signalling may not reach it any more. Who did not move waits
// longer, lest its re-INVITE, lost, holds up the one that would help.
const (
	askAfterSound   = 3 * time.Second  // without a packet of a peer that sends: ask the servers
	askAfterConsent = 8 * time.Second  // without an answer to a check; they come every 4 to 6 s (RFC 7675)
	askEvery        = 4 * time.Second  // doubled each time that nothing has changed
	restartAfter    = 16 * time.Second // without an answer: restart, although we have not moved,
	restartLater    = 20 * time.Second // later on the controlled side, so that the two do not collide
	restartEvery    = 10 * time.Second
	restartTimeout  = 12 * time.Second // for the checks of a restart

	renewTimeout    = 3500 * time.Millisecond // ice.Gatherer.Renew asks for 3 s
	registerTimeout = 3 * time.Second
	settleTime      = 1500 * time.Millisecond // for a peer that moved too to register
)

// revival is what a call does about a silent path. The call's goroutine owns it.
type revival struct {
	asking  bool           // the servers are asked
	asked   time.Time      // when they were last
	idle    int            // how often in a row they had nothing new
	began   time.Time      // the last restart of ours
	pair    ice.Pair       // in use
	base    netip.AddrPort // where the peer saw us on it at first
	changes int            // restarts so far, by either side
}

// revive looks for a new path when there are signs that the one in use is dead.
// heard is when the last packet came. The call goes on meanwhile, and if nothing
// is found.
func (c *Call) revive(l *leg, k *link, heard time.Time) {
	v, stats := &c.revival, k.path.Stats()
	timed := l.line.Receiving && l.line.Sending // on hold a peer may be silent
	consent := stats.Consent
	if k.since.After(consent) && timed || consent.IsZero() {
		consent = k.since
	}
	unanswered, missing := time.Since(consent), time.Duration(0)
	if timed {
		missing = time.Since(heard)
	}
	// The peer answers our checks where they come from: it is first to see that
	// this has changed.
	moved := false
	if pair := k.path.Selected(); pair != v.pair || !v.base.IsValid() {
		v.pair, v.base = pair, stats.Mapped
	} else {
		moved = stats.Mapped.IsValid() && stats.Mapped != v.base
	}
	// A peer that does not send silence may be missed for a while: half.
	after := restartAfter
	if k.path.Role() == ice.Controlled {
		after = restartLater
	}
	due := max(unanswered, missing/2) >= after
	signs := moved || due || unanswered >= askAfterConsent || missing >= askAfterSound
	if !signs {
		v.idle = 0
		return
	}
	wait := askEvery << min(v.idle, 6)
	if due || moved {
		wait = askEvery
	}
	if v.asking || c.changing != nil || c.restarting || c.answering ||
		time.Since(v.asked) < wait || time.Since(v.began) < restartEvery {
		return
	}
	v.asking, v.asked = true, time.Now()
	local, gatherer := c.local, c.gatherer
	c.pending.Go(func() {
		fresh, err := c.renew(gatherer)
		moved := moved || err == nil && local.Moved(fresh)
		if err == nil && (moved || due) {
			c.ep.registerAgain()
			if moved {
				c.ep.pause(settleTime)
			}
		}
		c.post(func(context.Context) {
			v.asking = false
			switch {
			case c.state == ended:
			case err != nil:
				c.log().Warn("addresses not learned again", "err", err)
			case moved || due:
				v.base = netip.AddrPort{}
				c.beginRestart(fresh, moved)
			default:
				v.idle++
			}
		})
	})
}

// beginRestart offers the peer an ICE restart.
func (c *Call) beginRestart(fresh ice.Description, moved bool) {
	err := c.beginChange(&reoffer{held: c.held, fresh: &fresh, done: make(chan error, 1)})
	if err == nil {
		c.revival.began = time.Now()
	}
	c.log().Info("the path is silent; looking for a new one", "moved", moved, "err", err)
}

// renew asks for our addresses again and makes fresh credentials.
func (c *Call) renew(g *ice.Gatherer) (ice.Description, error) {
	ctx, cancel := context.WithTimeout(c.ep.life, renewTimeout)
	defer cancel()
	return g.Renew(ctx)
}

// registerAgain lets the registrars know where we are now and waits for them, but
// not for long.
func (ep *Endpoint) registerAgain() {
	ctx, cancel := context.WithTimeout(ep.life, registerTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, r := range ep.registrations() {
		wg.Go(func() {
			if err := r.Refresh(ctx); err != nil && !errors.Is(err, context.Canceled) {
				ep.cfg.Log.Debug("not registered again", "err", err)
			}
		})
	}
	wg.Wait()
}

// pause waits, unless the endpoint closes.
func (ep *Endpoint) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ep.life.Done():
	}
}
