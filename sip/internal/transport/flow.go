package transport

import (
	"net/netip"

	sipmsg "github.com/emiago/sipgo/sip"
)

// A Flow is a way to one remote address: a TCP or TLS connection, or a UDP socket with
// a destination. It is safe for concurrent use. Flows compare with ==: two UDP
// flows are equal when socket and remote address are.
type Flow interface {
	// Write sends one whole message. It never waits for the peer: a TCP flow
	// queues what the kernel does not take at once, and a peer that does not
	// read breaks its flow. The flow keeps no reference to p.
	Write(p []byte) error
	// Transport is "UDP", "TCP" or "TLS", as in a Via.
	Transport() string
	// Reliable tells whether the transport retransmits by itself.
	Reliable() bool
	// Local is our address on this flow; never the unspecified address when a
	// better one can be found out.
	Local() netip.AddrPort
	// Remote is where Write goes.
	Remote() netip.AddrPort
	// Close ends a TCP connection after what is queued was sent, or a moment
	// later. It does nothing on UDP.
	Close() error
}

// Inbound is one message that passed validation.
type Inbound struct {
	// Msg is a *sipmsg.Request or a *sipmsg.Response. It holds no reference to
	// the read buffer. The top Via of a request has received and rport filled
	// in (RFC 3261 section 18.2.1, RFC 3581 section 4).
	Msg sipmsg.Message
	// Flow takes the responses to a request: the connection it came by, or,
	// over UDP, the socket it came to towards the address of RFC 3261 section
	// 18.2.2 and RFC 3581 (the source, unless the sender left out rport).
	Flow Flow
	// Source is where the message came from.
	Source netip.AddrPort
}
