package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Network is what the flows need of the machine's network.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config configures a Transport. Network and Handle are required.
type Config struct {
	Network Network
	// Listen holds addresses like "udp://127.0.0.1:0" and "tcp://[::1]:5060".
	// nil is "udp://:0" and "tcp://:0". Entries with port 0 and the same host
	// share one port number.
	Listen []string
	// Handle takes every valid message, on the goroutine that reads the socket:
	// in order per flow, and it must return quickly. A Transport keeps working
	// while Handle runs.
	Handle func(Inbound)
	// Broken, if set, learns of each TCP flow that ended, on a goroutine of the
	// flow, after its last message was handled. err is never nil; it is
	// net.ErrClosed when we closed it.
	Broken func(f Flow, err error)
	// Trace, if set, sees each message sent or received, whole and also those
	// that are refused, in order per flow. It must return quickly.
	Trace func(Packet)
	// Log takes what goes wrong with sockets. nil: silent.
	Log *slog.Logger
	// Limits may be left zero.
	Limits Limits
}

// Limits bounds what peers can make a Transport hold. Zero fields are the
// defaults, negative ones switch a limit off.
type Limits struct {
	MessageSize    int           // bytes of one message on a stream; default 65535
	Headers        int           // header lines of one message; default 256
	Conns          int           // accepted TCP connections; default 1024
	ConnsPerSource int           // accepted connections per IPv4 address or IPv6 /64; default 64
	Queue          int           // bytes waiting to be written on one connection; default 1 MiB
	Idle           time.Duration // closes a TCP flow that is not held and saw no message; default 15 min
	Greeting       time.Duration // until the first message of an accepted connection is whole; default 30 s
	Partial        time.Duration // from the first byte of a message on a stream to its last; default 20 s
	Write          time.Duration // a peer that takes nothing for so long has gone; default 10 s
	Connect        time.Duration // a TCP connect; default 10 s
}

// Packet is a message on its way, for Config.Trace. Raw is valid during the
// call only.
type Packet struct {
	Time time.Time
	Sent bool
	Flow Flow
	Raw  []byte
}

// Target is a next hop with its address resolved.
type Target struct {
	Addr      netip.AddrPort
	Transport string // "UDP" or "TCP"
	// Pinned forbids the change from UDP to TCP for large requests: the URI
	// says transport=udp, or the flow is an outbound or NATed one.
	Pinned bool
}

// Query is what of a URI decides where a request goes.
type Query struct {
	Scheme    string // "sip" when empty
	Host      string // name or address, IPv6 with or without brackets
	Port      uint16 // 0: the default of the transport
	Transport string // the transport parameter, or empty
}

// Transport owns the sockets of one agent.
type Transport struct{}

// Listen binds the sockets of cfg. ctx bounds the binding only.
func Listen(ctx context.Context, cfg Config) (*Transport, error) { panic("todo") }

// Close ends all sockets and flows at once and waits for their goroutines. It
// must not be called from Handle, Broken or Trace.
func (t *Transport) Close() error { panic("todo") }

// Addrs lists the bound addresses, UDP first.
func (t *Transport) Addrs() []netip.AddrPort { panic("todo") }

// Addr is the first bound address of a transport ("UDP", "TCP").
func (t *Transport) Addr(transport string) (netip.AddrPort, bool) { panic("todo") }

// SentBy is the address for the Via (and Contact) of what goes out on f: our
// address on the flow, with the port we listen on for that transport.
func (t *Transport) SentBy(f Flow) netip.AddrPort { panic("todo") }

// Hold keeps the idle time-out away from f until release is called. Transactions
// hold their flow by themselves; registrations and dialogs may.
func (t *Transport) Hold(f Flow) (release func()) { panic("todo") }

// Flow gives a flow to remote; transport is "UDP" or "TCP" in any case. A TCP
// connection to remote is used again or made; ctx bounds the connect.
func (t *Transport) Flow(ctx context.Context, transport string, remote netip.AddrPort) (Flow, error) {
	panic("todo")
}

// ForRequest gives the flow for a request of size bytes. "If a request is within
// 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU
// is unknown, the request MUST be sent using an RFC 2914 congestion controlled
// transport protocol, such as TCP" (RFC 3261 section 18.1.1): such a request to a
// UDP target that is not Pinned goes by TCP when that connects within a second,
// else by UDP after all, for ten minutes without another try.
func (t *Transport) ForRequest(ctx context.Context, target Target, size int) (Flow, error) {
	panic("todo")
}

// ForResponse gives the flow for a response to in: in.Flow, or, when that was a
// connection that is gone, one to the top Via's received address and sent-by
// port (RFC 3261 section 18.2.2).
func (t *Transport) ForResponse(ctx context.Context, in Inbound) (Flow, error) { panic("todo") }

// Resolve lists the addresses of a next hop in the order to try, at least one:
// numeric hosts, else Network.LookupNetIP; addresses of a family we have no
// socket for are left out.
func (t *Transport) Resolve(ctx context.Context, q Query) ([]Target, error) { panic("todo") }

// Stats is a snapshot of the counters.
func (t *Transport) Stats() Stats { panic("todo") }

// Stats counts messages and what was dropped, by cause.
type Stats struct {
	Received, Sent uint64
	Keepalives     uint64 // CRLF pings answered or ignored
	Garbage        uint64 // not SIP: dropped
	BadRequests    uint64 // answered with a 4xx or 505
	Unanswerable   uint64 // bad requests that cannot be answered, bad ACKs
	BadResponses   uint64 // dropped
	TooLarge       uint64 // messages over a limit
	Refused        uint64 // TCP connections over a limit
	TimedOut       uint64 // TCP connections closed by Greeting, Partial, Idle or Write
	Conns          int    // TCP connections now
}

// Summary reads the start line, CSeq and Call-ID of a raw message for a trace.
func Summary(raw []byte) (start, cseq, callID string) { panic("todo") }

// Bytes serialises a message into a slice of its own.
func Bytes(m sipmsg.Message) []byte { panic("todo") }
