// Package registrar is a small SIP registrar and stateful proxy: the embedded
// default for development, tests and a LAN. It is the registrar of RFC 3261
// section 10 and the proxy of section 16, with the corrections of RFC 5393,
// 5658 and 6026, on one set of sockets, in memory.
//
// # Usage
//
// [Listen] with the zero Config serves the loopback addresses at port 5060 to
// anybody on the machine. On other addresses it wants Users, and every request
// outside a dialog must then come with the password of the user in From.
//
// A call goes from the caller's user agent through the Server to every contact
// that the callee has registered, all at once; the first that answers has it.
// Contacts are reached over the connection, or from the port, by which they
// registered, so user agents behind NATs need nothing else. Requests within the
// call follow the same way back; media does not come here.
//
// # Safe by default
//
// The Server sends requests to registered contacts and along dialogs that it set
// up, and nowhere else: it resolves no names and makes no connections. Addresses
// of record, From and Request-URI must be of the served domain. A challenge
// leaves no state behind, a replayed one is refused, sources are limited in
// rate, and users, contacts and calls in number. P-Asserted-Identity of clients
// is removed.
//
// # Concurrency
//
// A Server is safe for concurrent use. It has no goroutine of its own besides
// those of its sockets and one for its timers. Trace is called on the sockets'
// goroutines.
//
// # Cancellation
//
// The context of Listen bounds the binding. Close ends everything at once;
// calls in progress go on without the server but for their signalling.
//
// # Limitations
//
// No sips URIs, no persistence, no outbound (RFC 5626), GRUU or Path, no redirection
// and no forking in sequence: q values order the contacts but all ring together.
// Anonymous callers are refused when there are Users. One machine; for more there
// are Kamailio and OpenSIPS (docs/DEPLOY.md).
package registrar
