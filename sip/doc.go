// Package sip is a SIP user agent: flows over UDP, TCP and TLS, transactions,
// dialogs, INVITE in both directions, registration and digest authentication.
// Bodies are opaque bytes; the package reads no SDP.
//
// It follows [RFC 3261] with the corrections of [RFC 6026] (transactions of
// INVITE), [RFC 3581] (rport), [RFC 3326] (Reason), [RFC 5922] (certificates
// of domains) and [RFC 8760] (SHA-256 digest). Parsing and the message types are sipgo's.
//
// # Usage
//
// An Agent is made by [Listen] and ended by Close. A call is an
// [OutgoingInvite] on one side and an [IncomingInvite] on the other; each leg of
// it is a [Dialog]:
//
//	agent.Invite(&sip.OutRequest{URI: bob, Body: offer, ...}, func(ev sip.InviteEvent) {
//		switch ev := ev.(type) {
//		case sip.Progress: // ringing; ev.Dialog when there is one
//		case sip.Answered: // ev.Dialog.Ack, later ev.Dialog.Bye
//		case sip.Failed: // ev.Err: a *StatusError, ErrTimeout ...
//		}
//	})
//
// The agent does by itself what RFC 3261 leaves no choice about: it sends CANCEL
// when the first provisional response is there, ends the legs of a fork that
// answer late, sends ACK again when a 2xx comes again, sends a 2xx until its ACK
// comes and BYE when it does not, answers BYE, refuses what is out of order, and
// answers challenges of the account's own servers.
//
// # Concurrency
//
// All types are safe for concurrent use. Callbacks of one call come one at a
// time and in order, on a queue that has a goroutine only while there is
// something to tell, never under a lock. They may call the methods of the call,
// but not Agent.Close, and should return quickly: what takes longer holds up
// this call, though no other. Trace and Accept are called by whoever reads or
// writes and must not call the Agent.
//
// # Cancellation
//
// A context bounds what its function waits for and nothing after it. A BYE is
// sent even if the context of Bye has ended. Agent.Close ends everything at
// once, sends nothing, and waits for all goroutines; what was in progress ends
// with ErrClosed.
//
// # Limitations
//
// No WebSocket, no sips URIs (";transport=tls" in a sip URI asks for TLS to the
// next hop), no NAPTR and SRV (names are looked up as addresses), no
// reliable provisional responses (RFC 3262), no session timers, no outbound (RFC
// 5626), no redirection: a 3xx is a *StatusError.
//
// [RFC 3261]: https://www.rfc-editor.org/rfc/rfc3261
// [RFC 6026]: https://www.rfc-editor.org/rfc/rfc6026
// [RFC 3581]: https://www.rfc-editor.org/rfc/rfc3581
// [RFC 3326]: https://www.rfc-editor.org/rfc/rfc3326
// [RFC 5922]: https://www.rfc-editor.org/rfc/rfc5922
// [RFC 8760]: https://www.rfc-editor.org/rfc/rfc8760
package sip
