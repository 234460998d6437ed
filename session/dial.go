package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// DialOptions are the choices of one outgoing call. The zero value is the
// endpoint's Config.
type DialOptions struct {
	// From is the identity that calls: one of Config.Identity and Config.Accounts,
	// whose credentials and proxy are then used, or any other SIP URI. Empty is
	// Config.Identity.
	From string
	// Security is the weakest protection of media allowed; 0 is Config.Security.
	Security Protection
	// Header is added to the INVITE.
	Header []sip.Header
}

// Dial calls target, a SIP URI such as "sip:bob@example.org", and returns when it
// was answered: Start, then Answered. ctx bounds the set-up only: when it ends
// first the call is cancelled, and the call goes on after it ends later. A refusal
// is a *sip.StatusError.
func (ep *Endpoint) Dial(ctx context.Context, target string, opts *DialOptions) (*Call, error) {
	c, err := ep.Start(ctx, target, opts)
	if err != nil {
		return nil, err
	}
	if err := c.Answered(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Start begins a call and returns when the INVITE is on its way. ctx bounds the
// set-up, also after Start returned: when it ends before the answer the call is
// cancelled. The caller closes the call.
func (ep *Endpoint) Start(ctx context.Context, target string, opts *DialOptions) (*Call, error) {
	if opts == nil {
		opts = &DialOptions{}
	}
	d, err := ep.dialing(target, opts)
	if err != nil {
		return nil, err
	}
	c := newCall(ep, true)
	c.security, c.secure = d.security, d.secure
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	if err := c.gather(ctx); err != nil {
		c.abandon(&EndError{Cause: NoMedia, Err: err})
		return nil, err
	}
	if err := c.ask(func(context.Context) error { return d.invite(c) }); err != nil {
		c.abandon(&EndError{Cause: Unreachable, Err: err})
		return nil, err
	}
	// The set-up's context cancels the call until it is answered.
	stop := context.AfterFunc(ctx, func() {
		c.post(func(context.Context) {
			if c.state == ringing {
				c.hangUp(&EndError{Cause: Cancelled, Err: context.Cause(ctx)})
			}
		})
	})
	c.post(func(context.Context) {
		if c.state != ringing {
			stop()
		}
		c.unbind = stop
	})
	return c, nil
}

// dialing is an outgoing call's INVITE, which may be sent once per profile. The
// call's goroutine owns it.
type dialing struct {
	out      sip.OutRequest
	security Protection
	secure   bool // it goes by TLS with a verified certificate, or not at all
	profile  negotiate.Profile
	next     []negotiate.Profile // still allowed, weaker than profile
	offer    *negotiate.Machine  // the offer that is out: every leg forks it
	over     chan struct{}       // closed when the INVITE has its final answer
	sent     *sip.OutgoingInvite
	legs     map[*sip.Dialog]*leg
}

func (ep *Endpoint) dialing(target string, opts *DialOptions) (*dialing, error) {
	uri, err := sip.ParseURI(target)
	if err == nil && uri.Host == "" {
		err = errors.New("it has no host")
	}
	if err != nil {
		return nil, fmt.Errorf("session: %q is not an address to call, such as sip:bob@example.org: %w", target, err)
	}
	if uri.Scheme == "sips" {
		return nil, fmt.Errorf("session: cannot call %s: sips promises TLS up to the callee, which nobody can know; write sip: instead, with \";transport=tls\" when it goes straight to its host", uri.String())
	}
	acct, err := ep.cfg.account(opts.From)
	if err != nil {
		return nil, err
	}
	if opts.Security > AllowPlain {
		return nil, fmt.Errorf("session: DialOptions.Security is %d: want RequireDTLS, AllowSDES or AllowPlain", opts.Security)
	}
	from := sip.URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}
	switch {
	case acct != nil:
		from = acct.AOR
	case opts.From != "":
		if from, err = sip.ParseURI(opts.From); err != nil {
			return nil, fmt.Errorf("session: DialOptions.From: %w", err)
		}
	}
	if acct != nil && !slices.Contains(ep.cfg.register, acct) && acct.OutboundProxy == (sip.URI{}) {
		acct = nil // an identity without a server: the call goes straight to its target
	}
	d := &dialing{legs: map[*sip.Dialog]*leg{}, security: opts.Security}
	if d.security == 0 {
		d.security = ep.cfg.Security
	}
	d.profile = negotiate.DTLS
	d.out = sip.OutRequest{
		URI: uri, To: sip.Address{URI: uri}, From: sip.Address{URI: from}, Account: acct,
		Header: slices.Clone(opts.Header), ContentType: sdpType,
	}
	d.secure = ep.agent.Secure(&d.out)
	d.next = d.security.weaker(d.secure)
	return d, nil
}

// invite sends the INVITE with an offer of d.profile. It runs on the call's goroutine.
func (d *dialing) invite(c *Call) error {
	if c.state == ended {
		return c.err
	}
	d.offer = c.newMachine(d.profile)
	local := localText(c.local, c.ep.fingerprint())
	if d.profile == negotiate.SDES {
		local.Crypto = newCrypto()
	}
	body, err := d.offer.Offer(local, d.profile)
	if err != nil {
		return fmt.Errorf("session: make the offer: %w", err)
	}
	c.state, c.dial = ringing, d
	out := d.out
	out.Body = body
	over := make(chan struct{})
	d.over = over
	d.sent, err = c.ep.agent.Invite(&out, func(ev sip.InviteEvent) {
		if _, progress := ev.(sip.Progress); !progress {
			close(over)
		}
		c.post(func(ctx context.Context) { d.event(ctx, c, ev) })
	})
	return err
}

// event is what the INVITE brought. It runs on the call's goroutine.
func (d *dialing) event(ctx context.Context, c *Call, ev sip.InviteEvent) {
	if c.state != ringing {
		return // cancelled meanwhile: sip sees to the rest
	}
	switch ev := ev.(type) {
	case sip.Progress:
		d.progress(ctx, c, ev)
	case sip.Answered:
		d.answered(ctx, c, ev)
	case sip.Failed:
		d.failed(c, ev.Err)
	}
}

// progress takes a provisional response. SDP in it is acted on, reliable or not:
// ring-back tones and announcements are heard.
func (d *dialing) progress(ctx context.Context, c *Call, ev sip.Progress) {
	if ev.Response.StatusCode > 100 {
		c.events.publish(Ringing{Code: ev.Response.StatusCode, Reason: ev.Response.Reason})
	}
	body := sdpBody(ev.Response)
	if ev.Dialog == nil || len(body) == 0 || d.legs[ev.Dialog] != nil {
		return
	}
	l, err := d.leg(ev.Dialog, body)
	if err != nil {
		c.log().Debug("early session description ignored", "err", err)
		return
	}
	c.events.publish(EarlyMedia{})
	if len(d.legs) == 1 { // one voice at a time: the other legs of a fork connect when they answer
		c.connect(ctx, l)
	}
}

// leg agrees on the session description that one dialog of the fork answered with.
func (d *dialing) leg(dialog *sip.Dialog, answer []byte) (*leg, error) {
	m := d.offer.Fork()
	line, err := answerLine(m, answer)
	if err != nil {
		return nil, err
	}
	l := &leg{dialog: dialog, machine: m, line: line}
	d.legs[dialog] = l
	return l, nil
}

// answerLine is the audio line of an answer.
func answerLine(m *negotiate.Machine, answer []byte) (negotiate.Line, error) {
	plan, err := m.Answer(answer)
	if err != nil {
		return negotiate.Line{}, err
	}
	return audioLine(plan)
}

// answered takes the 2xx. The other legs end; the leg that answered goes on with
// what it already has.
func (d *dialing) answered(ctx context.Context, c *Call, ev sip.Answered) {
	if c.unbind != nil {
		c.unbind()
	}
	c.attach(ev.Dialog)
	c.state = answered
	if err := ev.Dialog.Ack("", nil); err != nil {
		c.log().Warn("ACK not sent", "err", err)
	}
	for dialog, other := range d.legs {
		if dialog != ev.Dialog {
			other.close()
		}
	}
	l, err := d.winner(ev.Dialog, sdpBody(ev.Response))
	if err != nil {
		c.hangUp(&EndError{Cause: NoMedia, Reason: "answer not acceptable", Err: err})
		return
	}
	c.setAnswered()
	c.use(l)
	switch k := l.ready(); {
	case k != nil:
		c.inUse(l, k) // the path was ready before the answer
		c.apply(ctx, l)
	case l.connecting:
		l.hurry()
	default:
		c.connect(ctx, l)
	}
}

// winner is the leg of the dialog that answered. The session description of the
// 2xx counts; when it names the same transport as that of a provisional, the
// connected leg stays (some peers only count up the version in between).
func (d *dialing) winner(dialog *sip.Dialog, answer []byte) (*leg, error) {
	l := d.legs[dialog]
	if l == nil || len(answer) == 0 && l.link == nil && !l.connecting {
		return d.leg(dialog, answer)
	}
	if len(answer) == 0 {
		return l, nil // "the answer" was in a reliable or unreliable provisional already
	}
	line, err := answerLine(l.machine, answer)
	if err != nil {
		return nil, err
	}
	if sameTransport(&l.line, &line) {
		l.line = line
		return l, nil
	}
	l.close()
	return d.leg(dialog, answer)
}

// failed ends the call, or tries the next weaker profile that the policy allows
// when the peer could not take the one offered.
func (d *dialing) failed(c *Call, err error) {
	se, refused := errors.AsType[*sip.StatusError](err)
	if refused && len(d.next) > 0 && (se.Code == 488 || se.Code == 606 || se.Code == 415) {
		d.profile, d.next = d.next[0], d.next[1:]
		d.closeLegs()
		c.log().Info("refused; trying a weaker protection that the policy allows", "code", se.Code, "profile", d.profile)
		c.events.publish(Retrying{Code: se.Code, Profile: d.profile.String()})
		if err = d.invite(c); err == nil {
			return
		}
	}
	e := &EndError{Cause: Unreachable, Err: err}
	if refused {
		e = &EndError{Cause: Refused, ByRemote: true, Err: err}
	}
	c.end(e)
}

func (d *dialing) closeLegs() {
	for _, l := range d.legs {
		l.close()
	}
	clear(d.legs)
}
