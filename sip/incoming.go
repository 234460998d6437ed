package sip

import "net/netip"

// IncomingInvite is an INVITE that was received: a new call, or a re-INVITE
// within a dialog.
type IncomingInvite struct {
	Request   *Request
	From, To  Address
	Target    URI // the Request-URI
	Remote    netip.AddrPort
	Transport string
	Dialog    *Dialog
}

// IncomingEvent is what happens to an INVITE that was received: Cancelled, Acked
// or NoAck.
type IncomingEvent interface{ incomingEvent() }

type (
	// Cancelled says that the caller gave up; 487 was already sent.
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

// Respond sends a response. A provisional response has the To tag and the
// Contact of the dialog; a 2xx is sent again until its ACK comes. After a final
// response Respond fails with ErrClosed.
func (in *IncomingInvite) Respond(code int, reason, contentType string, body []byte, headers ...Header) error {
	panic("not yet")
}

// Handle sets who is told of events. Events before it are kept for it. Events
// come in order on the serial queue of the call.
func (in *IncomingInvite) Handle(on func(IncomingEvent)) { panic("not yet") }
