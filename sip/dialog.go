package sip

import (
	"context"
	"net/netip"
)

// Dialog is one leg of a call (RFC 3261 section 12). It is safe for concurrent
// use; requests inside it are handled strictly in order.
type Dialog struct{}

// DialogEvent is what happens inside a dialog: DialogRequest, DialogInvite or
// DialogEnded, which comes last.
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

// ServerRequest is a request, other than INVITE, that waits for our answer.
type ServerRequest struct {
	Request   *Request
	Remote    netip.AddrPort
	Transport string
}

// Respond answers the request. The first final response counts, later ones fail
// with ErrClosed.
func (r *ServerRequest) Respond(code int, reason, contentType string, body []byte, headers ...Header) error {
	panic("not yet")
}

// CallID is the Call-ID of the dialog.
func (d *Dialog) CallID() string { panic("not yet") }

// LocalTag is our tag.
func (d *Dialog) LocalTag() string { panic("not yet") }

// RemoteTag is the peer's tag.
func (d *Dialog) RemoteTag() string { panic("not yet") }

// Local is our address with our tag.
func (d *Dialog) Local() Address { panic("not yet") }

// Remote is the peer's address with its tag.
func (d *Dialog) Remote() Address { panic("not yet") }

// RemoteTarget is the peer's Contact.
func (d *Dialog) RemoteTarget() URI { panic("not yet") }

// Early says that no 2xx has been sent or received yet.
func (d *Dialog) Early() bool { panic("not yet") }

// Transport is the transport of the dialog's first message, "UDP" or "TCP".
func (d *Dialog) Transport() string { panic("not yet") }

// Ack acknowledges the 2xx. It is called once per Answered; the agent sends the
// same ACK again when the 2xx comes again.
func (d *Dialog) Ack(contentType string, body []byte) error { panic("not yet") }

// Do sends a request within the dialog and waits for its final response. ctx
// bounds the wait.
func (d *Dialog) Do(ctx context.Context, method, contentType string, body []byte, headers ...Header) (*Response, error) {
	panic("not yet")
}

// Bye ends the dialog at once and always sends BYE; ctx bounds only the wait for
// its answer. Later calls return nil.
func (d *Dialog) Bye(ctx context.Context, headers ...Header) error { panic("not yet") }

// Reinvite sends an INVITE within the dialog. Only one INVITE may be in progress
// in either direction (RFC 3261 section 14.1).
func (d *Dialog) Reinvite(contentType string, body []byte, on func(InviteEvent), headers ...Header) (*OutgoingInvite, error) {
	panic("not yet")
}

// Handle sets who is told of events. Events before it are kept for it.
func (d *Dialog) Handle(on func(DialogEvent)) { panic("not yet") }
