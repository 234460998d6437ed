package sip

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

// OutgoingInvite is an INVITE that was sent.
type OutgoingInvite struct{}

// Invite sends an INVITE outside a dialog; out.Method is ignored. It returns
// without waiting for the network. Events come in order, one at a time, on a
// serial queue of the call and never under a lock; on must return quickly.
func (a *Agent) Invite(out *OutRequest, on func(InviteEvent)) (*OutgoingInvite, error) {
	panic("not yet")
}

// Cancel gives the call up. Before a provisional response came the CANCEL waits
// for one (RFC 3261 section 9.1); a 2xx that crosses it is acknowledged and the
// leg ended with BYE. The call ends with Failed. A reason that is not empty is
// sent as the Reason header field (RFC 3326). Cancel after the end has no effect.
func (o *OutgoingInvite) Cancel(reason string) { panic("not yet") }
