package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// Hold puts the peer on hold: it is asked to send nothing, and what is written to
// Audio is not sent until Resume. The path is kept alive meanwhile. ctx bounds the
// wait for the peer's consent; when it refuses, nothing has changed and the error
// is a *sip.StatusError.
func (c *Call) Hold(ctx context.Context) error { return c.change(ctx, &reoffer{held: true}) }

// Resume ends Hold.
func (c *Call) Resume(ctx context.Context) error { return c.change(ctx, &reoffer{}) }

// errChanging is returned when a change of the call is asked for while another is
// on its way.
var errChanging = errors.New("session: another change of the call is on its way; try again when it is done")

// reoffer is a change that we ask the peer for by re-INVITE: to hold, to resume,
// or, with fresh, to look for a new path. The call's goroutine owns it.
type reoffer struct {
	held  bool
	fresh *ice.Description // what Renew returned: an ICE restart
	tries int
	since int // the call's restarts before it
	line  *leg
	sent  *sip.OutgoingInvite
	timer *time.Timer // until the next try
	done  chan error  // gets the outcome once
}

// maxGlare bounds how often a re-INVITE that crossed one of the peer's is tried again.
const maxGlare = 5

// change asks the peer for a change and waits for its word.
func (c *Call) change(ctx context.Context, r *reoffer) error {
	r.done = make(chan error, 1)
	if err := c.ask(func(context.Context) error { return c.beginChange(r) }); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-c.done:
		return c.err
	case <-ctx.Done():
		c.post(func(context.Context) { c.abandonChange(r) })
		return context.Cause(ctx)
	}
}

func (c *Call) beginChange(r *reoffer) error {
	l := c.current.Load()
	switch {
	case c.state == ended:
		return c.err
	case c.state != answered || l == nil || l.ready() == nil:
		return errors.New("session: the call is not connected yet")
	case c.changing != nil:
		return errChanging
	}
	r.line, r.since = l, c.revival.changes
	c.changing = r
	if err := c.offerChange(r); err != nil {
		c.changing = nil
		return err
	}
	return nil
}

// offerChange sends the re-INVITE.
func (c *Call) offerChange(r *reoffer) error {
	if c.answering {
		return &sip.StatusError{Code: 491, Reason: "Request Pending", From: "this side"}
	}
	at := c.local
	if r.fresh != nil {
		at = *r.fresh
	}
	local := c.localText(at, r.held)
	body, err := r.line.machine.Offer(local, r.line.line.Profile)
	if err != nil {
		return fmt.Errorf("session: make the offer: %w", err)
	}
	r.sent, err = c.dialog.Reinvite(sdpType, body, func(ev sip.InviteEvent) {
		c.post(func(ctx context.Context) { c.changeEvent(ctx, r, ev) })
	})
	if err != nil {
		r.line.machine.Withdraw()
		return err
	}
	return nil
}

func (c *Call) changeEvent(ctx context.Context, r *reoffer, ev sip.InviteEvent) {
	if c.state == ended || c.changing != r {
		return
	}
	switch ev := ev.(type) {
	case sip.Answered:
		if err := ev.Dialog.Ack("", nil); err != nil {
			c.log().Warn("ACK not sent", "err", err)
		}
		c.changed(ctx, r, sdpBody(ev.Response))
	case sip.Failed:
		c.unchanged(r, ev.Err)
	}
}

// changed takes the answer to our re-INVITE.
func (c *Call) changed(ctx context.Context, r *reoffer, body []byte) {
	c.changing = nil
	plan, err := r.line.machine.Answer(body)
	var line negotiate.Line
	if err == nil {
		line, err = audioLine(plan)
	}
	if err != nil {
		r.done <- err
		c.hangUp(&EndError{Cause: NoMedia, Reason: "answer not acceptable", Err: err})
		return
	}
	c.held, r.line.line = r.held, line
	if r.fresh != nil && line.ICE != nil {
		c.restart(ctx, r.line, *r.fresh)
	}
	c.apply(ctx, r.line)
	r.done <- nil
}

// unchanged takes a refusal: what was agreed before stays (RFC 3261 section 14.1,
// RFC 6141).
func (c *Call) unchanged(r *reoffer, err error) {
	r.line.machine.Withdraw()
	se, refused := errors.AsType[*sip.StatusError](err)
	switch {
	case refused && se.Code == 491 && r.tries < maxGlare:
		r.tries++
		r.timer = time.AfterFunc(c.glare(rand.Float64()), func() {
			c.post(func(context.Context) { c.tryAgain(r) })
		})
		return
	case refused && se.Code == 481:
		// "If the response for a request within a dialog is a 481 ... the UAC
		// SHOULD terminate the dialog" (RFC 3261 section 12.2.1.2)
		c.changing = nil
		r.done <- err
		c.hangUp(&EndError{Cause: SignallingLost, Err: err})
		return
	}
	c.log().Info("the peer did not agree to a change", "restart", r.fresh != nil, "err", err)
	// A time-out or a dead server does not end a call whose media is alive: silence would.
	c.changing = nil
	r.done <- err
}

// glare is how long to wait after a 491: "If the UAC is the owner of the Call-ID
// of the dialog ID, T has a randomly chosen value between 2.1 and 4 seconds in
// units of 10 ms. If the UAC is not the owner ... between 0 and 2 seconds" (RFC
// 3261 section 14.1). dice is from 0 to 1.
func (c *Call) glare(dice float64) time.Duration {
	const unit = 10 * time.Millisecond
	if c.outgoing {
		return 2100*time.Millisecond + time.Duration(dice*190)*unit
	}
	return time.Duration(dice*200) * unit
}

func (c *Call) tryAgain(r *reoffer) {
	if c.state == ended || c.changing != r {
		return
	}
	if r.fresh != nil && (c.restarting || c.revival.changes != r.since) {
		c.changing = nil // the peer's restart came first and does as well
		r.done <- nil
		return
	}
	if err := c.offerChange(r); err != nil {
		c.unchanged(r, err)
	}
}

// abandonChange is for a caller that does not wait any longer.
func (c *Call) abandonChange(r *reoffer) {
	if c.changing != r {
		return
	}
	if r.timer != nil && r.timer.Stop() {
		c.changing = nil
		return
	}
	r.sent.Cancel("")
}

// localText is our side of a call that goes on: at its old or a new address, with the
// keys that it has.
func (c *Call) localText(at ice.Description, held bool) negotiate.Local {
	l := localText(at, c.ep.fingerprint())
	l.Direction = direction(held)
	if line := &c.current.Load().line; line.Profile == negotiate.SDES {
		l.Crypto = []negotiate.Crypto{line.LocalCrypto}
	}
	return l
}

// direction is what we want: a held peer hears silence (RFC 3264 section 8.4).
func direction(held bool) negotiate.Direction {
	if held {
		return negotiate.SendOnly
	}
	return negotiate.SendRecv
}

// restart moves the path by a second agent, beside the call's goroutine. While it
// looks for a new pair, and if it finds none, media stays on the old one.
func (c *Call) restart(ctx context.Context, l *leg, fresh ice.Description) {
	k := l.ready()
	if k == nil || c.restarting {
		return
	}
	remote := remoteICE(&l.line)
	c.restarting, c.local = true, fresh
	c.revival.changes++
	path, gatherer := k.path, c.gatherer
	c.pending.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, restartTimeout)
		defer cancel()
		err := gatherer.Restart(ctx, path, 0, fresh, remote)
		c.post(func(context.Context) {
			c.restarting = false
			if c.state == ended {
				return
			}
			if err != nil {
				c.log().Warn("no new path found", "err", err)
				return
			}
			k.told = ice.Pair{} // the new path may look like the old one
			c.publishPath(l, k)
		})
	})
}
