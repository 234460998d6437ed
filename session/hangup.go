package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peercall/peercall/sip"
)

// byeTimeout bounds the wait for the answer to a BYE: 64*T1 (RFC 3261 section 17.1.2.2).
const byeTimeout = 32 * time.Second

// closeGrace is how long Endpoint.Close lets a BYE find its way out and back.
const closeGrace = 200 * time.Millisecond

// attach takes the events of a confirmed dialog.
func (c *Call) attach(d *sip.Dialog) {
	c.dialog = d
	d.Handle(func(ev sip.DialogEvent) {
		take := c.box.offer
		if _, last := ev.(sip.DialogEnded); last {
			take = c.box.post
		}
		if !take(func(ctx context.Context) { c.dialogEvent(ctx, ev) }) {
			refuseLate(ev)
		}
	})
}

// refuseLate answers what comes when the call is over or its queue is full.
func refuseLate(ev sip.DialogEvent) {
	switch ev := ev.(type) {
	case sip.DialogRequest:
		_ = ev.Respond(500, "", "", nil, sip.NewHeader("Retry-After", "2")) // the peer asks again
	case sip.DialogInvite:
		_ = ev.Respond(500, "", "", nil, sip.NewHeader("Retry-After", "2"))
	}
}

func (c *Call) dialogEvent(ctx context.Context, ev sip.DialogEvent) {
	if c.state == ended {
		refuseLate(ev)
		return
	}
	switch ev := ev.(type) {
	case sip.DialogEnded:
		c.dialogEnded(ev)
	case sip.DialogInvite:
		c.reinvited(ctx, ev.IncomingInvite)
	case sip.DialogRequest:
		c.requested(ctx, ev.ServerRequest)
	}
}

func (c *Call) dialogEnded(ev sip.DialogEnded) {
	e := &EndError{Cause: SignallingLost, Reason: ev.Reason, Err: ev.Err}
	if ev.ByRemote {
		e = &EndError{Cause: RemoteHungUp, ByRemote: true, Reason: ev.Reason}
	}
	c.end(e)
}

// hangUp says goodbye in the way that fits the state, and ends the call. It runs
// on the call's goroutine.
func (c *Call) hangUp(e *EndError) {
	if c.state == ended {
		return
	}
	switch {
	case c.dialog != nil && c.state == answered:
		c.bye(e)
	case c.dial != nil && c.dial.sent != nil:
		c.dial.sent.Cancel(e.reason())
		c.awaitFinal(c.dial.over)
	case c.in != nil:
		_ = c.in.inv.Respond(c.in.unanswered(e), "", "", nil) // nobody is there to hear that it failed
	}
	c.end(e)
}

// awaitFinal keeps the call in the endpoint's count until its INVITE has a final
// answer: a CANCEL may have to wait for a provisional, and a 2xx that crosses it
// for its BYE (RFC 3261 section 9.1).
func (c *Call) awaitFinal(over <-chan struct{}) {
	c.pending.Go(func() {
		late := time.NewTimer(byeTimeout)
		defer late.Stop()
		select {
		case <-over:
		case <-late.C:
		case <-c.ep.life.Done():
		}
	})
}

// bye sends BYE and waits for its answer in the background.
func (c *Call) bye(e *EndError) {
	dialog := c.dialog
	c.saidBye = true
	var headers []sip.Header
	if r := e.reason(); r != "" {
		headers = append(headers, sip.NewHeader("Reason", r))
	}
	c.pending.Go(func() {
		defer close(c.byeDone)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ep.life), byeTimeout)
		defer cancel()
		defer context.AfterFunc(c.ep.life, func() { time.AfterFunc(closeGrace, cancel) })()
		if err := dialog.Bye(ctx, headers...); err != nil && !errors.Is(err, sip.ErrClosed) {
			c.log().Debug("BYE", "err", err)
		}
	})
}

// reason is the Reason header field (RFC 3326) of our BYE or CANCEL; empty when
// the call ended as calls do.
func (e *EndError) reason() string {
	var code int
	var text string
	switch e.Cause {
	case NoMedia:
		code, text = 488, "no media path"
		if e.Reason != "" {
			text = e.Reason
		}
	case MediaTimeout:
		code, text = 408, "media timeout"
	case PathLost:
		code, text = 408, "media path lost"
	case ShutDown:
		code, text = 503, "shutting down"
	case HandlerPanic:
		code, text = 500, "internal error"
	default:
		return ""
	}
	return fmt.Sprintf("SIP;cause=%d;text=%q", code, text)
}

// end is the one way a call ends, on the call's goroutine. Whoever calls it has
// told the peer already or has heard it from there.
func (c *Call) end(e *EndError) {
	if c.state == ended {
		return
	}
	c.state = ended
	c.err = e
	if c.unbind != nil {
		c.unbind()
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	close(c.done) // first: whoever sees the context or the audio end can ask why
	c.cancel(e)
	_ = c.audio.Close()
	if !c.saidBye {
		close(c.byeDone)
	}
	c.log().Info("call ended", "cause", e.Cause.String(), "remote", c.remote(), "err", e.Err)
	c.pending.Go(c.closeMedia)
	c.events.publish(Ended{Err: e})
	go func() { // ends when the call's goroutines have; the mailbox's end is awaited by released
		c.pending.Wait()
		c.box.close()
	}()
}

// closeMedia runs after the end, beside the call's goroutine: closing waits for
// readers that may just be posting to it.
func (c *Call) closeMedia() {
	if l := c.current.Load(); l != nil {
		l.close()
	}
	if c.dial != nil {
		c.dial.closeLegs()
	}
	if c.gatherer != nil {
		_ = c.gatherer.Close()
	}
}

// abandon ends a call whose set-up failed before its INVITE was sent.
func (c *Call) abandon(e *EndError) { c.post(func(context.Context) { c.end(e) }) }

// shutdown ends the call because the endpoint closes.
func (c *Call) shutdown() {
	c.post(func(context.Context) { c.hangUp(&EndError{Cause: ShutDown}) })
}
