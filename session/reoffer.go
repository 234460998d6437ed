package session

import (
	"context"
	"errors"

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
		c.offerAgain(ctx, l, inv)
		return
	}
	answer, code, warning := c.reanswer(l, body)
	if code != 200 {
		var headers []sip.Header
		if warning != "" {
			headers = append(headers, sip.NewHeader("Warning", warning))
		}
		_ = inv.Respond(code, "", "", nil, headers...)
		return
	}
	_ = inv.Respond(200, "", sdpType, answer)
	c.apply(l)
}

// offerAgain answers a re-INVITE without an offer by an offer of ours.
func (c *Call) offerAgain(_ context.Context, l *leg, inv *sip.IncomingInvite) {
	body, err := l.machine.Offer(localText(c.local, c.ep.fingerprint()), l.line.Profile)
	if err != nil {
		_ = inv.Respond(500, "", "", nil)
		return
	}
	inv.Handle(func(ev sip.IncomingEvent) {
		if ev, ok := ev.(sip.Acked); ok {
			c.post(func(context.Context) { c.answeredAgain(l, ev.Body) })
		}
	})
	_ = inv.Respond(200, "", sdpType, body)
}

func (c *Call) answeredAgain(l *leg, body []byte) {
	if c.state != answered {
		return
	}
	plan, err := l.machine.Answer(body)
	if err != nil {
		l.machine.Withdraw() // what was agreed stays
		c.log().Info("answer in an ACK not acceptable", "err", err)
		return
	}
	line, err := audioLine(plan)
	if err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
		return
	}
	l.line = line
	c.apply(l)
}

// reanswer agrees on a new offer of the peer: our answer and 200, or the status
// that refuses it, in which case all stays as it was.
func (c *Call) reanswer(l *leg, offer []byte) (answer []byte, code int, warning string) {
	offered, err := l.machine.Receive(offer)
	if err != nil {
		if r, ok := errors.AsType[*negotiate.Refused](err); ok {
			return nil, r.Code, r.Warning
		}
		return nil, 488, ""
	}
	if offered.ICERestart {
		l.machine.Reject()
		return nil, 488, `399 peercall "ICE restart is not supported yet"`
	}
	answer, plan, err := l.machine.Accept(localText(c.local, c.ep.fingerprint()))
	if err != nil {
		l.machine.Reject()
		return nil, 488, ""
	}
	line, err := audioLine(plan)
	if err != nil {
		return nil, 488, ""
	}
	l.line = line
	return answer, 200, ""
}

// apply makes the stream follow what was agreed anew.
func (c *Call) apply(l *leg) {
	k := l.ready()
	if k == nil {
		return // still connecting
	}
	if l.line.ICE == nil && l.line.Remote.IsValid() && l.line.Remote.Port() != 0 {
		k.path.Retarget(l.line.Remote)
	}
	if err := k.stream.Update(c.streamConfig(l)); err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
	}
}

// requested answers other requests in the dialog.
func (c *Call) requested(_ context.Context, req *sip.ServerRequest) {
	switch string(req.Request.Method) {
	case "UPDATE":
		c.updated(req)
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
func (c *Call) updated(req *sip.ServerRequest) {
	body, l := sdpBody(req.Request), c.current.Load()
	if body == nil {
		_ = req.Respond(200, "", "", nil)
		return
	}
	if l == nil || c.state != answered {
		_ = req.Respond(500, "", "", nil, sip.NewHeader("Retry-After", "2"))
		return
	}
	answer, code, warning := c.reanswer(l, body)
	if code != 200 {
		var headers []sip.Header
		if warning != "" {
			headers = append(headers, sip.NewHeader("Warning", warning))
		}
		_ = req.Respond(code, "", "", nil, headers...)
		return
	}
	_ = req.Respond(200, "", sdpType, answer)
	c.apply(l)
}
