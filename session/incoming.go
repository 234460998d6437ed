package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"

	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// Handler answers calls. ServeCall is called on a goroutine of its own for each
// call. ctx ends with the call; context.Cause then says why, as an *EndError.
// Returning without an answer refuses the call with 480; returning after Answer
// hangs up. A panic is logged and ends that call only: 500 before the answer, BYE
// after it.
type Handler interface {
	ServeCall(ctx context.Context, in *Incoming)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, in *Incoming)

// ServeCall calls f.
func (f HandlerFunc) ServeCall(ctx context.Context, in *Incoming) { f(ctx, in) }

// Incoming is a call that waits for an answer. All methods are safe for
// concurrent use; nothing but 100 goes out before one of them is called.
type Incoming struct {
	call     *Call
	inv      *sip.IncomingInvite
	machine  *negotiate.Machine
	late     bool          // the INVITE had no offer: ours goes out in the 200
	gathered chan struct{} // closed when our candidates are known, or could not be had
	gathErr  error         // before gathered is closed
}

// From is the caller's URI as the caller states it: a claim.
func (in *Incoming) From() string { return in.inv.From.URI.String() }

// FromName is the caller's display name: a claim, in UTF-8, possibly empty.
func (in *Incoming) FromName() string { return in.inv.From.Name }

// To is the URI that the caller dialled.
func (in *Incoming) To() string { return in.inv.To.URI.String() }

// Remote is where the INVITE came from.
func (in *Incoming) Remote() netip.AddrPort { return in.inv.Remote }

// Header is the value of a header field of the INVITE; empty when it is absent.
func (in *Incoming) Header(name string) string {
	if h := in.inv.Request.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}

// Ring tells the caller that somebody is being alerted: 180.
func (in *Incoming) Ring(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return in.call.ask(func(context.Context) error {
		if in.call.state != ringing {
			return in.over()
		}
		return in.inv.Respond(180, "", "", nil)
	})
}

// Answer takes the call. It returns when the answer was sent; media then connects
// in the background, and Audio waits for it. ctx bounds the wait for our own
// addresses only. ErrAnswered says that the call was answered already.
func (in *Incoming) Answer(ctx context.Context) (*Call, error) {
	select {
	case <-in.gathered:
	case <-in.call.done:
		return nil, in.call.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := in.call.ask(in.answer); err != nil {
		return nil, err
	}
	return in.call, nil
}

// Reject refuses the call with a SIP status, such as 486 (busy) or 603 (declined).
func (in *Incoming) Reject(ctx context.Context, code int) error {
	if code < 300 || code > 699 {
		return fmt.Errorf("session: Reject(%d): want a status from 300 to 699, such as 486 or 603", code)
	}
	return in.reject(ctx, code)
}

// RejectErr refuses the call with the status of err when it is a *sip.StatusError,
// as a gateway does with the other side's refusal, and with 480 otherwise.
func (in *Incoming) RejectErr(ctx context.Context, err error) error {
	if se, ok := errors.AsType[*sip.StatusError](err); ok && se.Code >= 300 {
		return in.reject(ctx, se.Code)
	}
	return in.reject(ctx, 480)
}

func (in *Incoming) reject(ctx context.Context, code int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return in.call.ask(func(context.Context) error {
		if in.call.state != ringing {
			return in.over()
		}
		err := in.inv.Respond(code, "", "", nil)
		in.call.end(&EndError{Cause: Refused, Err: &sip.StatusError{Code: code, From: "our side"}})
		return err
	})
}

// over says why a call cannot be answered or refused any more.
func (in *Incoming) over() error {
	if in.call.state == ended {
		return in.call.err
	}
	return ErrAnswered
}

// unanswered is the status of a call that ends before its answer.
func (in *Incoming) unanswered(e *EndError) int {
	switch e.Cause {
	case HandlerPanic:
		return 500
	case ShutDown:
		return 503
	case NoMedia:
		if r, ok := errors.AsType[*negotiate.Refused](e.Err); ok {
			return r.Code
		}
		return 480 // our own trouble: a 488 would make the caller offer something weaker
	}
	return 480
}

// accept is asked by sip about requests outside dialogs: the user must be ours,
// and with a registrar they come from there.
func (ep *Endpoint) accept(req *sip.Request, from netip.AddrPort) int {
	if len(ep.cfg.register) > 0 && !ep.cfg.AcceptDirect && !ep.fromRegistrar(from.Addr(), req.Transport()) {
		return -1
	}
	if len(ep.cfg.accounts) == 0 || req.Method == "OPTIONS" {
		return 0
	}
	for _, a := range ep.cfg.accounts {
		if req.Recipient.User == a.AOR.User {
			return 0
		}
	}
	return 404
}

// fromRegistrar says that a request came from where a registrar of ours is, and under TLS
// when we reach it so: the address alone can be forged in a datagram.
func (ep *Endpoint) fromRegistrar(host netip.Addr, transport string) bool {
	for _, r := range ep.registrations() {
		if r.Transport() == "TLS" && transport != "TLS" {
			continue
		}
		if server := r.Server(); server.IsValid() && server.Addr().Unmap() == host.Unmap() {
			return true
		}
	}
	return false
}

// incoming takes a new INVITE. It runs on the queue of that call in sip and does
// not wait.
func (ep *Endpoint) incoming(inv *sip.IncomingInvite) {
	c := newCall(ep, false)
	in := &Incoming{call: c, inv: inv, gathered: make(chan struct{})}
	c.in, c.state = in, ringing
	if code, headers := in.judge(); code != 0 {
		ep.refuseInvite(inv, code, headers...)
		return
	}
	if err := c.begin(ep.life); err != nil {
		code := 486
		if errors.Is(err, errEndpointClosed) {
			code = 503
		}
		ep.refuseInvite(inv, code)
		return
	}
	inv.Handle(func(ev sip.IncomingEvent) {
		c.post(func(ctx context.Context) { in.event(ctx, ev) })
	})
	c.attach(inv.Dialog)
	c.post(in.serve)
}

// judge reads the offer: the status that refuses it and what goes with it, or 0.
func (in *Incoming) judge() (code int, headers []sip.Header) {
	ep := in.call.ep
	if ep.cfg.Handler == nil {
		return 480, nil
	}
	in.call.secure = in.inv.Dialog.Secure()
	in.machine = in.call.newMachine(in.call.security.weakest())
	body := in.inv.Request.Body()
	if len(body) == 0 {
		in.late = true
		return 0, nil
	}
	if body = sdpBody(in.inv.Request); body == nil {
		return 415, []sip.Header{sip.NewHeader("Accept", sdpType)}
	}
	if _, err := in.machine.Receive(body); err != nil {
		return refusal(err)
	}
	return 0, nil
}

func (ep *Endpoint) refuseInvite(inv *sip.IncomingInvite, code int, headers ...sip.Header) {
	ep.count(func(s *Stats) { s.Refused++ })
	if err := inv.Respond(code, "", "", nil, headers...); err != nil {
		ep.cfg.Log.Debug("refusal not sent", "code", code, "err", err)
	}
}

// serve starts gathering and the handler, on the call's goroutine.
func (in *Incoming) serve(ctx context.Context) {
	c := in.call
	if c.state == ended {
		return // the endpoint was closed meanwhile
	}
	c.log().Info("incoming call", "from", in.From(), "remote", in.inv.Remote)
	c.pending.Go(func() {
		err := c.gather(ctx)
		c.post(func(context.Context) {
			in.gathErr = err
			close(in.gathered)
		})
	})
	go in.handle(ctx) // ends when the application's handler returns; its ctx ends with the call
}

// handle runs the application's handler and clears up after it.
func (in *Incoming) handle(ctx context.Context) {
	c := in.call
	cause := HungUp
	defer func() {
		if p := recover(); p != nil {
			c.log().Error("handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			cause = HandlerPanic
		}
		c.post(func(context.Context) {
			e := &EndError{Cause: cause}
			if c.state == ringing && cause == HungUp {
				e = &EndError{Cause: Refused, Err: &sip.StatusError{Code: 480, Reason: "not answered by the handler", From: "our side"}}
			}
			c.hangUp(e)
		})
	}()
	c.ep.cfg.Handler.ServeCall(ctx, in)
}

// answer sends the 200, on the call's goroutine.
func (in *Incoming) answer(ctx context.Context) error {
	c := in.call
	if c.state != ringing {
		return in.over()
	}
	if in.gathErr != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: in.gathErr})
		return in.gathErr
	}
	l := &leg{dialog: in.inv.Dialog, machine: in.machine, late: in.late}
	local := localText(c.local, c.ep.fingerprint())
	if c.secure {
		local.Crypto = newCrypto()
	}
	var body []byte
	var err error
	if in.late {
		body, err = in.machine.Offer(local, negotiate.DTLS)
	} else {
		var plan negotiate.Plan
		body, plan, err = in.machine.Accept(local)
		if err == nil {
			l.line, err = audioLine(plan)
		}
	}
	if err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Err: err})
		return fmt.Errorf("session: answer: %w", err)
	}
	if err := in.inv.Respond(200, "", sdpType, body); err != nil {
		c.end(&EndError{Cause: SignallingLost, Err: err})
		return err
	}
	c.state = answered
	c.setAnswered()
	c.use(l)
	if !in.late {
		c.connect(ctx, l)
	}
	return nil
}

// event is what became of the INVITE, on the call's goroutine.
func (in *Incoming) event(ctx context.Context, ev sip.IncomingEvent) {
	c := in.call
	if c.state == ended {
		return
	}
	switch ev := ev.(type) {
	case sip.Cancelled:
		c.end(&EndError{Cause: Cancelled, ByRemote: true, Reason: ev.Reason})
	case sip.NoAck:
		c.end(&EndError{Cause: SignallingLost, Reason: "the answer was never acknowledged"})
	case sip.Acked:
		if in.late && c.state == answered {
			in.late = false
			in.lateAnswer(ctx, ev.Body)
		}
	}
}

// lateAnswer takes the answer that came in the ACK.
func (in *Incoming) lateAnswer(ctx context.Context, body []byte) {
	c, l := in.call, in.call.current.Load()
	var err error
	if l.line, err = answerLine(in.machine, body); err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Reason: "answer not acceptable", Err: err})
		return
	}
	c.connect(ctx, l)
}
