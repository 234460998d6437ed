package sip

import (
	"net/netip"
	"sync"
	"time"

	"github.com/peercall/peercall/sip/internal/transaction"
)

// IncomingInvite is an INVITE that was received: a new call, or a re-INVITE
// within a dialog. It is safe for concurrent use.
type IncomingInvite struct {
	Request   *Request
	From, To  Address
	Target    URI // the Request-URI
	Remote    netip.AddrPort
	Transport string
	Dialog    *Dialog

	r *ServerRequest

	mu      sync.Mutex // guards what follows
	machine inviteServer
	inbox   inbox[IncomingEvent]
	timer   *transaction.Timer
	bye     []Header // of the BYE that waits for the ACK
}

// IncomingEvent is what happens to an INVITE that was received: Cancelled, Acked
// or NoAck.
type IncomingEvent interface{ incomingEvent() }

type (
	// Cancelled says that the caller gave up, or that the time of the INVITE is up: its
	// Expires, three minutes without a response of ours but 100, ten minutes after the
	// last of them. 487 was already sent. Reason is the Reason header field of the CANCEL,
	// or one of ours.
	Cancelled struct{ Reason string }
	// Acked is the ACK to our 2xx.
	Acked struct {
		ContentType string
		Body        []byte
	}
	// NoAck says that no ACK came within 64*T1 of our 2xx; BYE was already sent.
	NoAck struct{}
)

func (Cancelled) incomingEvent() {}
func (Acked) incomingEvent()     {}
func (NoAck) incomingEvent()     {}

// newIncoming makes the record of an INVITE. d is the dialog of a re-INVITE, nil
// for a new call, whose dialog is made here.
func (a *Agent) newIncoming(r *ServerRequest, d *Dialog) *IncomingInvite {
	req := r.Request
	in := &IncomingInvite{
		Request: req, From: fromOf(req), To: toOf(req), Target: uriOf(&req.Recipient), Remote: r.Remote, Transport: r.Transport, r: r,
	}
	if d == nil {
		state, _ := calledDialog(req, r.toTag())
		d = a.newDialog(state, r.tx.Flow(), r.serial)
		d.serving = in
		d.acct, d.acctHop = a.accountOf(req)
	}
	in.Dialog = d
	in.mu.Lock()
	in.machine.begin(time.Now(), expiresOf(req))
	in.arm()
	in.mu.Unlock()
	a.mu.Lock()
	a.serving[r.tx] = in
	a.mu.Unlock()
	r.tx.OnTimeout(nil)
	return in
}

// Respond sends a response. A provisional response has the To tag and the
// Contact of the dialog; a 2xx is sent again until its ACK comes. After a final
// response, a CANCEL or the end of the dialog Respond fails with ErrClosed.
func (in *IncomingInvite) Respond(code int, reason, contentType string, body []byte, headers ...Header) error {
	if code < 100 || code > 699 {
		return errStatusCode
	}
	ans := &answer{code: code, reason: reason, contentType: contentType, body: body, header: headers, tag: in.Dialog.id.local}
	if code > 100 && code < 300 {
		ans.contact = "<" + in.Dialog.a.contact(in.r.tx.Flow(), in.r.contactUser()).String() + ">"
	}
	in.mu.Lock()
	if len(in.machine.respond(time.Now(), code)) == 0 {
		in.mu.Unlock()
		return ErrClosed
	}
	in.arm()
	in.mu.Unlock()
	if code >= 200 {
		in.decided(code)
	}
	return in.r.send(ans)
}

// decided tells the dialog of our final response.
func (in *IncomingInvite) decided(code int) {
	d := in.Dialog
	d.mu.Lock()
	d.state.invited = false
	early := d.state.phase == dialogEarly
	if code < 300 {
		if early {
			d.state.phase = dialogConfirmed
		} else if d.state.phase == dialogConfirmed {
			d.state.refresh(in.Request)
		}
	}
	d.mu.Unlock()
	d.a.mu.Lock()
	delete(d.a.serving, in.r.tx)
	d.a.mu.Unlock()
	if code >= 300 && early {
		d.drop()
	}
}

// Handle sets who is told of events. Events before it are kept for it. Events
// come in order on the serial queue of the call.
func (in *IncomingInvite) Handle(on func(IncomingEvent)) {
	in.r.serial.post(func() {
		in.mu.Lock()
		missed := in.inbox.handle(on)
		in.mu.Unlock()
		for _, ev := range missed {
			on(ev)
		}
	})
}

func (in *IncomingInvite) tell(ev IncomingEvent) {
	in.r.serial.post(func() {
		in.mu.Lock()
		call, _ := in.inbox.deliver(ev) // there are three at most
		in.mu.Unlock()
		if call != nil {
			call()
		}
	})
}

// step feeds the machine and does what it says.
func (in *IncomingInvite) step(input func(*inviteServer) []serverDo, reason string, ack *Request) {
	in.mu.Lock()
	acts := input(&in.machine)
	in.arm()
	in.mu.Unlock()
	for _, act := range acts {
		in.do(act, reason, ack)
	}
}

func (in *IncomingInvite) do(act serverDo, reason string, ack *Request) {
	d := in.Dialog
	switch act {
	case doResend:
		if err := in.r.tx.Retransmit(); err != nil {
			in.r.reroute()
		}
	case doSend487, doExpire, doRefuseNow:
		code := 487
		switch act {
		case doRefuseNow:
			code = 480
		case doExpire:
			reason = `SIP;cause=487;text="Not answered in time"`
		}
		in.decided(code)
		_ = in.r.send(&answer{code: code, tag: d.id.local})
		if act != doRefuseNow {
			in.tell(Cancelled{Reason: oneLine(reason)})
		}
	case doAcked:
		in.r.tx.Forget()
		in.tell(Acked{ContentType: headerText(ack, "content-type", "c"), Body: ack.Body()})
		if d.over() {
			d.unlist() // it was kept for this ACK
		}
	case doNoAck:
		in.tell(NoAck{})
		d.finish(DialogEnded{Err: ErrTimeout})
	case doBye:
		in.mu.Lock()
		headers := in.bye
		in.mu.Unlock()
		d.mu.Lock()
		d.byeAsked = true
		ended, done := d.ended, d.byeDone
		d.mu.Unlock()
		if done == nil {
			done = func(error) {}
		}
		d.sendBye(headers, done)
		if ended {
			d.unlist()
		}
	case doSend: // Respond's
	}
}

// arm sets the timer to the machine's deadline. The caller holds mu.
func (in *IncomingInvite) arm() {
	if in.timer != nil {
		in.timer.Stop()
		in.timer = nil
	}
	if at := in.machine.deadline(); !at.IsZero() {
		in.timer = in.Dialog.a.tx.After(time.Until(at), func() {
			in.r.serial.post(func() {
				in.step(func(m *inviteServer) []serverDo { return m.tick(time.Now()) }, "", nil)
			})
		})
	}
}

// cancel takes a CANCEL that was answered.
func (in *IncomingInvite) cancel(reason string) {
	in.step((*inviteServer).cancel, reason, nil)
}

// end takes the peer's BYE.
func (in *IncomingInvite) end(reason string) {
	in.step((*inviteServer).end, reason, nil)
	in.r.tx.Forget()
}

// acked takes the ACK to our 2xx.
func (in *IncomingInvite) acked(ack *Request) {
	in.step((*inviteServer).ack, "", ack)
}

// awaitsAck says that a 2xx of ours is not yet acknowledged.
func (in *IncomingInvite) awaitsAck() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.machine.state == serverAccepted
}

// hangUp says whether the dialog may send BYE now. If not, an INVITE without an
// answer is refused, and after a 2xx the BYE follows its ACK.
func (in *IncomingInvite) hangUp(headers []Header, early bool) byeWhen {
	in.mu.Lock()
	acts := in.machine.bye()
	in.bye = headers
	in.arm()
	in.mu.Unlock()
	when := byeLater
	for _, act := range acts {
		if act == doBye {
			return byeNow
		}
		in.do(act, "", nil)
		if when = byeNever; act == doRefuseNow && !early {
			when = byeNow // of a re-INVITE: the dialog stands
		}
	}
	return when
}
