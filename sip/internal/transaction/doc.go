// Package transaction is the transaction layer of SIP: RFC 3261 section 17 as corrected by RFC 6026
// (https://www.rfc-editor.org/rfc/rfc3261#section-17, https://www.rfc-editor.org/rfc/rfc6026).
//
// # Usage
//
// New makes a Layer; what the transport receives goes to Layer.Receive. Layer.Client
// starts a client transaction for a request whose Via is complete. New requests come to
// Config.Request with a Server, on which the user calls Respond. The layer retransmits,
// absorbs retransmissions, answers 100 after 200 ms, acknowledges non-2xx responses and
// gives up in time. The ACK to a 2xx and the retransmission of a 2xx are the user's
// (sections 13.2.2.4 and 13.3.1.4); Server.Retransmit and Layer.After serve for it.
//
// # Shape
//
// The four machines (machine.go) are pure: told the time and the input they return
// actions. A record adds bytes and a flow to a machine; it keeps no parsed message. The
// records lie in eight locked shards, each with a timer wheel; one goroutine serves all
// wheels, sleeps until the next timer is due, and without an end when there is none.
//
// # Concurrency
//
// Everything may be called from any goroutine. Callbacks are called with no lock held;
// they may call the layer, but not Close, and must return quickly because they hold up a
// socket's reader or the timers. The events of one client come one at a time.
//
// # Cancellation
//
// Nothing here waits, so nothing takes a context. Client.Terminate forgets a request;
// Close ends everything.
//
// # Limitations
//
// There is no timer C: an INVITE that rings may do so for ever, its user decides. Transports are those of
// sip/internal/transport.
package transaction
