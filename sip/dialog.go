package sip

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// Dialog is one leg of a call (RFC 3261 section 12). It is safe for concurrent
// use; requests inside it are handled strictly in order.
type Dialog struct {
	a      *Agent
	serial *serial // of the call
	id     dialogID
	via    string // transport of the first message

	mu       sync.Mutex // guards what follows
	state    dialogState
	flow     transport.Flow // that the dialog began on
	release  func()         // lets an idle flow go
	acct     *Account       // whose credentials its requests may carry
	acctHop  netip.AddrPort // and where to
	inbox    inbox[DialogEvent]
	answered *OutgoingInvite   // the last of ours that got a 2xx
	serving  *IncomingInvite   // the last of the peer's
	unacked  []*IncomingInvite // those before it whose 2xx has no ACK yet
	byeAsked bool
	byeDone  func(error) // of a BYE that waits for the ACK
	ended    bool
	untold   *DialogEnded // of an early dialog that the peer ended
}

// DialogEvent is what happens inside a dialog: DialogRequest, DialogInvite or
// DialogEnded, which comes last. A dialog whose INVITE got no 2xx has no
// DialogEnded: the INVITE's own event tells its end.
type DialogEvent interface{ dialogEvent() }

type (
	// DialogRequest is a request such as INFO or UPDATE. The receiver answers it.
	DialogRequest struct{ *ServerRequest }
	// DialogInvite is a re-INVITE. The receiver answers it.
	DialogInvite struct{ *IncomingInvite }
	// DialogEnded says that the dialog is over.
	DialogEnded struct {
		ByRemote bool
		Reason   string // the Reason header field
		Err      error  // why, when neither side asked for it
	}
)

func (DialogRequest) dialogEvent() {}
func (DialogInvite) dialogEvent()  {}
func (DialogEnded) dialogEvent()   {}

// newDialog lists a dialog so that its requests find it.
func (a *Agent) newDialog(state dialogState, flow transport.Flow, s *serial) *Dialog {
	d := &Dialog{a: a, serial: s, id: state.id, via: flow.Transport(), state: state, flow: flow}
	if flow.Reliable() {
		d.release = a.tr.Hold(flow)
	}
	a.mu.Lock()
	a.dialogs[d.id] = d
	a.mu.Unlock()
	return d
}

// Secure says that the dialog keeps to TLS on our own hop, and that its certificate was
// verified: by us, or by the peer when the peer connected to us. It says nothing of the
// hops beyond.
func (d *Dialog) Secure() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.a.tr.Secure(d.flow)
}

// CallID is the Call-ID of the dialog.
func (d *Dialog) CallID() string { return d.id.callID }

// LocalTag is our tag.
func (d *Dialog) LocalTag() string { return d.id.local }

// RemoteTag is the peer's tag.
func (d *Dialog) RemoteTag() string { return d.id.remote }

// Local is our address with our tag.
func (d *Dialog) Local() Address {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.local
}

// Remote is the peer's address with its tag.
func (d *Dialog) Remote() Address {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.remote
}

// RemoteTarget is the peer's Contact.
func (d *Dialog) RemoteTarget() URI {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.target
}

// Early says that no 2xx has been sent or received yet.
func (d *Dialog) Early() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.phase == dialogEarly
}

// Transport is the transport of the dialog's first message, "UDP" or "TCP".
func (d *Dialog) Transport() string { return d.via }

// Handle sets who is told of events. Events before it are kept for it.
func (d *Dialog) Handle(on func(DialogEvent)) {
	d.serial.post(func() {
		d.mu.Lock()
		missed := d.inbox.handle(on)
		d.mu.Unlock()
		for _, ev := range missed {
			on(ev)
		}
	})
}

// tell delivers an event on the serial queue.
func (d *Dialog) tell(ev DialogEvent) {
	d.serial.post(func() {
		d.mu.Lock()
		call, kept := d.inbox.deliver(ev)
		d.mu.Unlock()
		switch {
		case call != nil:
			call()
		case !kept:
			refuseUnheard(ev)
		}
	})
}

// refuseUnheard answers a request that nobody handles and no more of which are
// kept.
func refuseUnheard(ev DialogEvent) {
	switch ev := ev.(type) {
	case DialogRequest:
		_ = ev.Respond(500, "", "", nil)
	case DialogInvite:
		_ = ev.Respond(500, "", "", nil)
	case DialogEnded:
	}
}

// confirm is told of the 2xx to an INVITE of ours.
func (d *Dialog) confirm(res *Response, o *OutgoingInvite) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.phase == dialogEarly {
		d.state.confirm(res)
	} else {
		d.state.refresh(res)
	}
	d.answered = o
}

// finish ends the dialog; ev is reported when it was confirmed.
func (d *Dialog) finish(ev DialogEnded) {
	d.mu.Lock()
	if d.ended {
		d.mu.Unlock()
		return
	}
	d.ended = true
	confirmed := d.state.phase == dialogConfirmed
	d.state.end()
	if !confirmed && ev.ByRemote {
		d.untold = &ev
	}
	release, serving, unacked := d.release, d.serving, d.unacked
	d.release, d.unacked = nil, nil
	d.mu.Unlock()
	if release != nil {
		release()
	}
	for _, in := range unacked {
		in.end("")
	}
	if serving == nil || !serving.awaitsAck() {
		d.unlist()
	}
	if confirmed {
		d.tell(ev)
	}
}

// tellUntold tells of a BYE that overtook the 2xx: to the user the dialog was confirmed
// and ended.
func (d *Dialog) tellUntold() {
	d.mu.Lock()
	ev := d.untold
	d.untold = nil
	d.mu.Unlock()
	if ev != nil {
		d.tell(*ev)
	}
}

// drop ends a dialog that never was confirmed.
func (d *Dialog) drop() { d.finish(DialogEnded{}) }

// unlist forgets the dialog, but not that it was there.
func (d *Dialog) unlist() {
	a := d.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dialogs[d.id] == d {
		delete(a.dialogs, d.id)
		a.past.add(time.Now(), hashOf(a.seed, d.id.callID, d.id.local, d.id.remote))
	}
}

// receive takes a request within the dialog, on the serial queue.
func (d *Dialog) receive(r *ServerRequest) {
	req := r.Request
	d.mu.Lock()
	v := d.state.incoming(string(req.Method), req.CSeq().SeqNo)
	ended := d.ended
	d.mu.Unlock()
	switch {
	case req.Method == sipmsg.BYE && ended:
		_ = r.Respond(200, "", "", nil) // it crossed ours
		return
	case v.code != 0:
		_ = r.Respond(v.code, "", "", nil, v.header()...)
		return
	case d.a.refuses(r):
		if req.Method == sipmsg.INVITE {
			d.mu.Lock()
			d.state.invited = false
			d.mu.Unlock()
		}
		return
	}
	switch req.Method {
	case sipmsg.BYE:
		d.remoteBye(r)
	case sipmsg.INVITE:
		if !d.keepUnacked() {
			d.mu.Lock()
			d.state.invited = false
			d.mu.Unlock()
			_ = r.Respond(500, "", "", nil, verdict{retry: true}.header()...)
			return
		}
		in := d.a.newIncoming(r, d)
		d.mu.Lock()
		d.serving = in
		d.mu.Unlock()
		d.tell(DialogInvite{in})
	case sipmsg.PRACK:
		// No response of ours was reliable: "the UAS MUST respond to the PRACK with a 481"
		// (RFC 3262 section 3).
		_ = r.Respond(481, "", "", nil)
	default:
		r.dialog = d
		d.tell(DialogRequest{r})
	}
}

const maxUnacked = 8 // INVITEs in one dialog that wait for their ACK; ours

// keepUnacked makes room for another INVITE of the peer. It may overtake the ACK of
// the last one, which was lost, and which is still to come (RFC 5407 section 3.1.4).
func (d *Dialog) keepUnacked() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unacked = slices.DeleteFunc(d.unacked, func(in *IncomingInvite) bool { return !in.awaitsAck() })
	if d.serving == nil || !d.serving.awaitsAck() {
		return true
	}
	if len(d.unacked) >= maxUnacked {
		return false
	}
	d.unacked = append(d.unacked, d.serving)
	return true
}

// remoteBye answers BYE. "The UAS MUST still respond to any pending requests
// received for that dialog. It is RECOMMENDED that a 487 (Request Terminated)
// response be generated to those pending requests." (RFC 3261 section 15.1.2)
func (d *Dialog) remoteBye(r *ServerRequest) {
	_ = r.Respond(200, "", "", nil)
	d.mu.Lock()
	serving := d.serving
	d.mu.Unlock()
	reason := headerText(r.Request, "reason", "")
	if serving != nil {
		serving.end(reason)
	}
	d.finish(DialogEnded{ByRemote: true, Reason: oneLine(reason)})
}

// acked takes an ACK, on the serial queue.
func (d *Dialog) acked(ack *Request) {
	d.mu.Lock()
	all := append(slices.Clone(d.unacked), d.serving)
	d.mu.Unlock()
	for _, in := range all {
		if in != nil && in.Request.CSeq().SeqNo == ack.CSeq().SeqNo {
			in.acked(ack)
			return
		}
	}
	d.a.droppedStray.Add(1)
}

// Reinvite sends an INVITE within the dialog. Only one INVITE may be in progress
// in either direction (RFC 3261 section 14.1): otherwise it fails at once with
// 491.
func (d *Dialog) Reinvite(contentType string, body []byte, on func(InviteEvent), headers ...Header) (*OutgoingInvite, error) {
	if on == nil {
		return nil, errors.New("sip: Reinvite needs a receiver")
	}
	d.mu.Lock()
	switch {
	case d.state.phase != dialogConfirmed:
		d.mu.Unlock()
		return nil, ErrClosed
	case !d.state.mayInvite():
		d.mu.Unlock()
		return nil, &StatusError{Code: 491, Reason: transport.Reason(491), From: "this side"}
	}
	d.state.inviting = true
	d.mu.Unlock()
	o := &OutgoingInvite{a: d.a, serial: d.serial, on: on, within: d}
	o.machine.reinvite = true
	if err := o.begin(d.outbound("INVITE", contentType, body, headers)); err != nil {
		o.over(d)
		return nil, err
	}
	return o, nil
}
