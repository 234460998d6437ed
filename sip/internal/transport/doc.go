// Package transport carries SIP messages over UDP, TCP and TLS: RFC 3261 section 18, RFC
// 5922 (whose certificate), RFC 3581 (rport) and the keep-alive of RFC 5626 section 3.5.1
// (https://www.rfc-editor.org/rfc/rfc3261#section-18).
//
// # Usage
//
// Listen binds the sockets. Config.Handle takes each message that passed validation,
// with the Flow for its responses. Resolve and ForRequest give the Flow for a request;
// who sends it writes the Via for that flow (SentBy), serialises (Bytes) and calls
// Flow.Write.
//
// # Validation
//
// A message is scanned once in the raw, with limits on its lines, values and parameters,
// before sipgo's parser sees it: RFC 3261's mandatory headers, one of each, their
// grammar, CSeq against method, Content-Length against what came. What is legal but
// written so that the parser gets it wrong (folded lines, white space around separators,
// several Via in a line) is tidied first. A request with a defect is answered 400, 414,
// 416, 505 or 513 from its raw headers, with nothing kept; responses with a defect, bad
// ACKs and what is not SIP are dropped; Stats counts by cause. Whether the method,
// extensions, body or Request-URI suit is the user's question.
//
// # Concurrency
//
// Everything may be called from any goroutine. There is one reading goroutine per UDP
// socket, listener and connection, and one that writes to a connection while there is
// something queued. Handle, Trace and Broken run on them, with no lock held, and must be
// quick; none of them may call Close. Flow.Write never waits for a peer.
//
// # Cancellation
//
// A context bounds binding, resolving or connecting, never the life of what it made.
// Close ends everything and waits; a connection has a fifth of a second to send what was
// queued.
//
// # Limitations
//
// No WebSocket, NAPTR or SRV yet: Resolve and Flow are where they will come. maddr
// in a Via is not obeyed.
package transport
