package sip

import (
	"context"
	"errors"
	"fmt"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// Do sends a request other than INVITE, ACK and CANCEL outside a dialog and
// waits for its final response. A challenge of the account's proxy is answered
// once. A final response that is not 2xx is returned together with a
// *StatusError. ctx bounds the wait.
func (a *Agent) Do(ctx context.Context, out *OutRequest) (*Response, error) {
	ex, err := a.exchange(ctx, out)
	return ex.response, err
}

// exchange is a request, as it was sent last, and what came of it.
type exchange struct {
	request  *Request
	response *Response
	flow     transport.Flow
}

// exchange is Do for those who also want to know what was sent, and where to.
func (a *Agent) exchange(ctx context.Context, out *OutRequest) (exchange, error) {
	d, hop, err := a.draftOut(out)
	if err != nil {
		return exchange{}, err
	}
	switch d.method {
	case "INVITE", "ACK", "CANCEL":
		return exchange{}, fmt.Errorf("sip: %s is not for Do", d.method)
	}
	var acct *Account
	if out.Account != nil && out.Account.trusted(hop) {
		copied := *out.Account
		acct = &copied
	}
	req := a.build(d)
	ex, err := a.roundTrip(ctx, &outbound{req: req, hop: hop, acct: acct, renumber: func() uint32 { return req.CSeq().SeqNo + 1 }})
	if se, ok := errors.AsType[*StatusError](err); ok && d.method == "REGISTER" {
		se.From = hop.String()
	}
	return ex, err
}

// roundTrip sends a request, answers challenges, and waits for the final response.
func (a *Agent) roundTrip(ctx context.Context, o *outbound) (exchange, error) {
	a.preauthorize(o.acct, o.req)
	for try := 1; ; try++ {
		ex, err := a.once(ctx, o)
		if err != nil {
			return ex, err
		}
		if ex.response.IsSuccess() {
			if o.acct != nil && o.req.Method == sipmsg.REGISTER {
				a.credentials(o.acct).accepted(o.req)
			}
			return ex, nil
		}
		if try < maxAuthTries && a.authorize(o.acct, o.req, ex.response) {
			o.req.CSeq().SeqNo = o.renumber()
			continue
		}
		return ex, statusError(ex.response, ex.request.Recipient.String())
	}
}

// once is one transaction, or several when flows break under it.
func (a *Agent) once(ctx context.Context, o *outbound) (exchange, error) {
	s := &sending{a: a, outbound: *o}
	final := make(chan transaction.Event, 1)
	on := func(ev transaction.Event) {
		if ev.Err == nil && ev.Response.IsProvisional() {
			return
		}
		select {
		case final <- ev:
		default: // not reached: there is one final event
		}
	}
	for {
		c, err := s.next(ctx, nil, on)
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return exchange{request: o.req}, err
		}
		select {
		case ev := <-final:
			if ev.Err != nil {
				err, again := s.failed(ev.Err)
				if again {
					continue
				}
				return exchange{request: o.req}, err
			}
			a.learn(s.flow, ev.Response)
			return exchange{request: o.req, response: ev.Response, flow: s.flow}, nil
		case <-ctx.Done():
			c.Terminate()
			return exchange{request: o.req}, ctx.Err()
		case <-a.done:
			return exchange{request: o.req}, ErrClosed
		}
	}
}
