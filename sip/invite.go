package sip

import (
	"errors"
	"sync"
	"time"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// InviteEvent is what happens to an INVITE that was sent: Progress, Answered or
// Failed. Exactly one of Answered and Failed comes, and comes last.
type InviteEvent interface{ inviteEvent() }

type (
	// Progress is a provisional response.
	Progress struct {
		Dialog   *Dialog // nil when the response has no To tag
		Response *Response
	}
	// Answered is the first 2xx. The receiver calls Dialog.Ack once. The 2xx of
	// other legs of a fork are acknowledged and ended by the agent.
	Answered struct {
		Dialog   *Dialog
		Response *Response
	}
	// Failed says that there will be no answer: a *StatusError, ErrTimeout, a
	// *TransportError or ErrClosed.
	Failed struct{ Err error }
)

func (Progress) inviteEvent() {}
func (Answered) inviteEvent() {}
func (Failed) inviteEvent()   {}

// OutgoingInvite is an INVITE that was sent. It is safe for concurrent use.
type OutgoingInvite struct {
	a      *Agent
	serial *serial
	on     func(InviteEvent)
	within *Dialog // of a re-INVITE; nil for a new call

	mu      sync.Mutex // guards what follows
	machine inviteClient
	sending *sending
	client  *transaction.Client // of the last attempt
	req     *Request            // as sent last
	flow    transport.Flow
	tries   int
	reason  string // of the CANCEL
	timer   *transaction.Timer
	legs    map[string]*leg
	early   []*Dialog // not yet confirmed
}

// leg is one dialog that an INVITE made, and the ACK that confirmed it.
type leg struct {
	dialog *Dialog
	ack    []byte
	flow   transport.Flow
}

// Invite sends an INVITE outside a dialog; out.Method is ignored. It returns
// without waiting for the network. Events come in order, one at a time, on a
// serial queue of the call and never under a lock; on must return quickly. The
// INVITE is cancelled when its Expires header field has passed, if it has one, or ten
// minutes after the last provisional response.
func (a *Agent) Invite(out *OutRequest, on func(InviteEvent)) (*OutgoingInvite, error) {
	if out == nil || on == nil {
		return nil, errors.New("sip: Invite needs a request and a receiver")
	}
	copied := *out
	copied.Method = "INVITE"
	d, hop, err := a.draftOut(&copied)
	if err != nil {
		return nil, err
	}
	ob := outbound{req: a.build(d), hop: hop}
	ob.renumber = func() uint32 { return ob.req.CSeq().SeqNo + 1 }
	if out.Account != nil && out.Account.trusted(hop) {
		acct := *out.Account
		ob.acct = &acct
	}
	o := &OutgoingInvite{a: a, serial: &serial{a: a}, on: on}
	return o, o.begin(ob)
}

// begin starts the first attempt.
func (o *OutgoingInvite) begin(ob outbound) error {
	o.a.preauthorize(ob.acct, ob.req)
	o.sending, o.req = &sending{a: o.a, outbound: ob}, ob.req
	o.machine.lifetime = expiresOf(ob.req)
	if o.a.isClosing() || !o.a.spawn(o.attempt) {
		return ErrClosed
	}
	return nil
}

// expiresOf is the lifetime that an INVITE gives itself; negative: none.
func expiresOf(req *Request) time.Duration {
	if d, ok := deltaSeconds(headerText(req, "expires", "")); ok {
		return d
	}
	return -1
}

// attempt sends the INVITE to the next address. It runs on a goroutine of its
// own, for name look-up and connecting may take a while.
func (o *OutgoingInvite) attempt() {
	s := o.sending
	before := func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.machine.cancelled {
			return false
		}
		o.machine.send(time.Now())
		o.arm()
		o.flow, o.tries = s.flow, o.tries+1
		return true
	}
	c, err := s.next(o.a.life(), before, func(ev transaction.Event) {
		o.serial.post(func() { o.event(ev) })
	})
	if err == nil {
		o.mu.Lock()
		o.client = c
		o.mu.Unlock()
		return
	}
	select {
	case <-o.a.done:
		err = ErrClosed
	default:
	}
	o.serial.post(func() { o.step(func(time.Time) []clientAct { return o.machine.fail() }, nil, err) })
}

// Cancel gives the call up. Before a provisional response came the CANCEL waits
// for one (RFC 3261 section 9.1); a 2xx that crosses it is acknowledged and the
// leg ended with BYE, except that of a re-INVITE, which is Answered. Otherwise
// the call ends with Failed. A reason that is not empty is sent as the Reason
// header field (RFC 3326). Cancel after the end has no effect.
func (o *OutgoingInvite) Cancel(reason string) {
	o.mu.Lock()
	if !o.machine.cancelled {
		o.reason = reason
	}
	o.mu.Unlock()
	o.step(o.machine.cancel, nil, nil)
}

// event takes what the transaction says, on the serial queue.
func (o *OutgoingInvite) event(ev transaction.Event) {
	if ev.Err != nil {
		err, again := o.sending.failed(ev.Err)
		if again && o.again() {
			o.a.spawn(o.attempt)
			return
		}
		o.step(func(time.Time) []clientAct { return o.machine.fail() }, nil, err)
		return
	}
	res := ev.Response
	o.a.learn(o.sending.flow, res)
	if o.challenged(res) {
		return
	}
	o.step(func(now time.Time) []clientAct { return o.machine.response(now, res.StatusCode, toTag(res)) }, res, nil)
}

// again says that the INVITE is out, unanswered and wanted, and may go elsewhere.
func (o *OutgoingInvite) again() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.machine.state != clientCalling || o.machine.cancelled {
		return false
	}
	o.machine.retry()
	return true
}

// challenged answers a 401 or 407 with a new attempt: the same Call-ID and From
// tag, a higher number (RFC 3261 section 22.2).
func (o *OutgoingInvite) challenged(res *Response) bool {
	if res.StatusCode != 401 && res.StatusCode != 407 {
		return false
	}
	o.mu.Lock()
	retry := !o.machine.cancelled && o.machine.state <= clientProceeding && o.tries < maxAuthTries
	o.mu.Unlock()
	s := o.sending
	if !retry || !o.a.authorize(s.acct, o.req, res) {
		return false
	}
	o.req.CSeq().SeqNo = s.renumber()
	o.mu.Lock()
	o.machine.retry()
	o.forgetEarly()
	o.sending = &sending{a: o.a, outbound: s.outbound}
	o.mu.Unlock()
	return o.a.spawn(o.attempt)
}

// step feeds the machine and does what it says. res and err are what the input
// was about.
func (o *OutgoingInvite) step(input func(time.Time) []clientAct, res *Response, err error) {
	o.mu.Lock()
	acts := input(time.Now())
	o.arm()
	var dialog *Dialog
	if res != nil && len(acts) > 0 {
		dialog = o.dialog(res)
	}
	o.mu.Unlock()
	for _, act := range acts {
		o.do(act, dialog, res, err)
	}
}

// arm sets the timer to the machine's deadline. The caller holds mu.
func (o *OutgoingInvite) arm() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if d := o.machine.due(); !d.IsZero() {
		o.timer = o.a.tx.After(time.Until(d), func() { o.serial.post(func() { o.step(o.machine.tick, nil, ErrTimeout) }) })
	}
}

func (o *OutgoingInvite) do(act clientAct, dialog *Dialog, res *Response, err error) {
	switch act.do {
	case doCancel:
		o.sendCancel()
	case doProgress:
		if act.tag == "" {
			dialog = nil
		}
		o.on(Progress{Dialog: dialog, Response: res})
	case doAnswered:
		o.over(dialog)
		dialog.confirm(res, o)
		o.on(Answered{Dialog: dialog, Response: res})
		dialog.tellUntold()
	case doAckBye:
		dialog.confirm(res, o)
		o.a.spawn(func() { // a name look-up for a leg that lost must not hold up the call
			_ = dialog.Ack("", nil)
			dialog.hangUp()
		})
	case doAckAgain:
		if o.within != nil {
			act.tag = o.within.RemoteTag()
		}
		o.ackAgain(act.tag)
	case doFail:
		o.over(o.within)
		if res != nil {
			err = statusError(res, o.req.Recipient.String())
		}
		o.fail(err)
	case doTerminated:
		o.over(o.within)
		o.fail(&StatusError{Code: 487, Reason: transport.Reason(487), From: o.req.Recipient.String()})
	case doTimeout:
		o.over(o.within)
		o.fail(ErrTimeout)
	case doEndEarly:
		o.mu.Lock()
		o.forgetEarly()
		client, done := o.client, o.machine.state == clientDone
		o.mu.Unlock()
		if done && client != nil {
			client.Terminate() // without a final response nothing else ends it (section 9.1)
		}
	}
}

// over says that the re-INVITE, or the INVITE that made dialog, is no longer in
// progress.
func (o *OutgoingInvite) over(dialog *Dialog) {
	if dialog != nil {
		dialog.mu.Lock()
		dialog.state.inviting = false
		dialog.mu.Unlock()
	}
}

// fail reports the end. A 481 ends the dialog of a re-INVITE too.
func (o *OutgoingInvite) fail(err error) {
	o.serial.post(func() { o.on(Failed{Err: err}) })
	if se, ok := errors.AsType[*StatusError](err); ok && se.Code == 481 && o.within != nil {
		o.within.finish(DialogEnded{Err: err})
	}
}

// sendCancel sends CANCEL where the INVITE went. What answers it does not matter:
// the INVITE's own final response does.
func (o *OutgoingInvite) sendCancel() {
	o.mu.Lock()
	req, flow, reason := o.req, o.flow, o.reason
	o.mu.Unlock()
	if _, err := o.a.tx.Client(cancelOf(req, reason), flow, func(transaction.Event) {}); err != nil {
		o.a.log.Debug("CANCEL not sent", "call_id", transport.Visible(req.CallID().Value()), "error", err)
	}
}

// dialog finds or makes the dialog that a response belongs to. The caller holds
// mu.
func (o *OutgoingInvite) dialog(res *Response) *Dialog {
	if o.within != nil {
		if o.legs == nil {
			o.legs = map[string]*leg{o.within.RemoteTag(): {dialog: o.within}}
		}
		return o.within
	}
	tag := toTag(res)
	if o.machine.legs[tag] == 0 {
		return nil
	}
	if l := o.legs[tag]; l != nil {
		return l.dialog
	}
	d := o.a.newDialog(callingDialog(o.req, res), o.flow, o.serial)
	if s := o.sending; s.acct != nil {
		d.acct, d.acctHop = s.acct, o.flow.Remote()
	}
	if o.legs == nil {
		o.legs = make(map[string]*leg, 1)
	}
	o.legs[tag] = &leg{dialog: d}
	o.early = append(o.early, d)
	return d
}

// forgetEarly drops the dialogs that never were confirmed. The caller holds mu.
func (o *OutgoingInvite) forgetEarly() {
	for _, d := range o.early {
		if d.Early() {
			d.drop()
			delete(o.legs, d.RemoteTag())
		}
	}
	o.early = nil
}

// ackAgain answers a 2xx that came again, as soon as there was an ACK at all.
func (o *OutgoingInvite) ackAgain(tag string) {
	o.mu.Lock()
	var l leg
	if p := o.legs[tag]; p != nil {
		l = *p
	}
	o.mu.Unlock()
	if l.ack != nil {
		if err := l.flow.Write(l.ack); err != nil {
			o.a.log.Debug("ACK not sent again", "error", err)
		}
	}
}
