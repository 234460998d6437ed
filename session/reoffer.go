package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// reinvited answers a re-INVITE: the peer holds, resumes, or changes its address.
func (c *Call) reinvited(ctx context.Context, inv *sip.IncomingInvite) {
	l := c.current.Load()
	body := sdpBody(inv.Request)
	if c.state != answered || l == nil {
		_ = inv.Respond(500, "", "", nil, sip.NewHeader("Retry-After", "2"))
		return
	}
	if body == nil {
		c.offerAgain(l, inv)
		return
	}
	c.reanswer(ctx, l, body, inv.Respond)
}

// offerAgain answers a re-INVITE without an offer by an offer of ours.
func (c *Call) offerAgain(l *leg, inv *sip.IncomingInvite) {
	body, err := l.machine.Offer(c.localText(c.local, c.held), l.line.Profile)
	if err != nil {
		_ = inv.Respond(500, "", "", nil)
		return
	}
	inv.Handle(func(ev sip.IncomingEvent) {
		if ev, ok := ev.(sip.Acked); ok {
			c.post(func(ctx context.Context) { c.answeredAgain(ctx, l, ev.Body) })
		}
	})
	_ = inv.Respond(200, "", sdpType, body)
}

func (c *Call) answeredAgain(ctx context.Context, l *leg, body []byte) {
	if c.state != answered {
		return
	}
	line, err := answerLine(l.machine, body)
	if err != nil {
		l.machine.Withdraw() // what was agreed stays
		c.log().Info("answer in an ACK not acceptable", "err", err)
		return
	}
	l.line = line
	c.apply(ctx, l)
}

// respond is how an INVITE or an UPDATE is answered.
type respond func(code int, reason, contentType string, body []byte, headers ...sip.Header) error

// reanswer agrees on a new offer of the peer and answers it; or refuses it, and
// all stays as it was.
func (c *Call) reanswer(ctx context.Context, l *leg, offer []byte, respond respond) {
	if c.answering { // UPDATE: the offer before it has no answer yet (RFC 3311 section 5.2)
		_ = respond(500, "", "", nil, sip.NewHeader("Retry-After", "2"))
		return
	}
	offered, err := l.machine.Receive(offer)
	if err == nil {
		if err = c.changeable(l, &offered); err != nil {
			l.machine.Reject()
		}
	}
	switch {
	case err != nil:
		refuse(err, respond)
	case offered.ICERestart && offered.ICE != nil:
		c.answering = true
		gatherer := c.gatherer
		c.pending.Go(func() {
			fresh, err := c.renew(gatherer)
			c.post(func(ctx context.Context) {
				c.answering = false
				c.accept(ctx, l, &fresh, err, respond)
			})
		})
	default:
		c.accept(ctx, l, nil, nil, respond)
	}
}

// accept answers the offer that was received; fresh is our side of an ICE restart,
// if the peer asked for one, or err why there is none.
func (c *Call) accept(ctx context.Context, l *leg, fresh *ice.Description, err error, respond respond) {
	if c.state != answered {
		return // the end of the dialog answers
	}
	was := l.line
	at := c.local
	if fresh != nil {
		at = *fresh
	}
	local := c.localText(at, c.held)
	var answer []byte
	var plan negotiate.Plan
	if err == nil {
		answer, plan, err = l.machine.Accept(local)
	}
	if err != nil {
		l.machine.Reject()
		refuse(err, respond)
		return
	}
	line, err := audioLine(plan)
	if err != nil {
		refuse(err, respond)
		return
	}
	l.line = line
	if err := respond(200, "", sdpType, answer); err != nil {
		c.log().Debug("answer not sent", "err", err)
	}
	if was.Receiving != l.line.Receiving || was.Sending != l.line.Sending {
		c.log().Info("direction changed by the peer", "sending", l.line.Sending, "receiving", l.line.Receiving)
	}
	if fresh != nil {
		c.restart(ctx, l, *fresh)
	}
	c.apply(ctx, l)
}

// changeable refuses what a running call cannot follow, before anything is agreed.
func (c *Call) changeable(l *leg, o *negotiate.Offered) error {
	var why string
	switch old := &l.line; {
	case o.ICERestart && (l.ready() == nil || c.restarting):
		return &negotiate.Refused{Code: 491, Reason: "the path is not ready for a restart"} // the peer tries again
	case o.Removed:
		why = "the audio cannot be removed from a voice call"
	case o.Profile != old.Profile:
		why = "the protection cannot change during a call"
	case (o.ICE == nil) != (old.ICE == nil):
		why = "ICE cannot begin or end during a call"
	case o.Mux != old.Mux:
		why = "rtcp-mux cannot change during a call"
	case o.Profile == negotiate.SDES && !slices.Contains(o.Suites, old.LocalCrypto.Suite):
		why = "the cipher suite cannot change during a call"
	case o.Profile == negotiate.DTLS && !slices.Equal(o.Fingerprints, old.Fingerprints):
		why = "another certificate needs a new call"
	default:
		return nil
	}
	return &negotiate.Refused{Code: 488, Warning: fmt.Sprintf("399 peercall %q", why), Reason: why}
}

func refuse(err error, respond respond) {
	code, headers := refusal(err)
	_ = respond(code, "", "", nil, headers...)
}

// refusal is the status that an offer is refused with, and its Warning.
func refusal(err error) (code int, headers []sip.Header) {
	r, ok := errors.AsType[*negotiate.Refused](err)
	if !ok {
		return 488, nil
	}
	if r.Warning != "" {
		headers = append(headers, sip.NewHeader("Warning", r.Warning))
	}
	return r.Code, headers
}

// apply makes the stream follow what was agreed anew.
func (c *Call) apply(ctx context.Context, l *leg) {
	k := l.ready()
	if k == nil {
		if !l.connecting {
			c.connect(ctx, l) // a peer that had named no address
		}
		return
	}
	if remote := l.line.Remote; k.remote.IsValid() && remote.IsValid() && !remote.Addr().IsUnspecified() && remote != k.remote {
		k.remote = remote
		k.path.Retarget(remote)
		k.transport.SetRemote(remote)
		if k.rtcp != nil {
			k.rtcp.Retarget(l.line.RemoteRTCP)
		}
	}
	if err := k.rekey(&l.line); err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
		return
	}
	if err := k.stream.Update(c.streamConfig(l)); err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
	}
}

// requested answers other requests in the dialog.
func (c *Call) requested(ctx context.Context, req *sip.ServerRequest) {
	switch string(req.Request.Method) {
	case "UPDATE":
		c.updated(ctx, req)
	case "OPTIONS", "INFO":
		if len(req.Request.Body()) > 0 && string(req.Request.Method) == "INFO" {
			_ = req.Respond(415, "", "", nil)
			return
		}
		_ = req.Respond(200, "", "", nil)
	default:
		_ = req.Respond(405, "", "", nil)
	}
}

// updated answers UPDATE (RFC 3311), with and without an offer.
func (c *Call) updated(ctx context.Context, req *sip.ServerRequest) {
	body, l := sdpBody(req.Request), c.current.Load()
	if body == nil {
		_ = req.Respond(200, "", "", nil)
		return
	}
	if l == nil || c.state != answered {
		_ = req.Respond(500, "", "", nil, sip.NewHeader("Retry-After", "2"))
		return
	}
	c.reanswer(ctx, l, body, req.Respond)
}
