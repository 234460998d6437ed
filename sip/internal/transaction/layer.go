package transaction

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// Errors of transactions.
var (
	ErrTimeout    = fmt.Errorf("sip: no answer: %w", os.ErrDeadlineExceeded) // timer B or F
	ErrClosed     = fmt.Errorf("sip: transaction layer: %w", net.ErrClosed)
	ErrTooMany    = errors.New("sip: too many transactions")
	ErrTerminated = errors.New("sip: the transaction has ended")
)

// Config configures a Layer. Request is required.
type Config struct {
	MaxServer int // server transactions at once; default 16384; negative: no limit. Over it: 503 with Retry-After, stateless
	MaxClient int // client transactions at once; default 65536; negative: no limit. Over it: ErrTooMany
	// Request takes each new request on the goroutine that called Receive. tx is
	// nil for an ACK (to a 2xx, or one that matches nothing); any other
	// transaction must be given a final response. in.Msg is a *sipmsg.Request.
	Request func(in transport.Inbound, tx *Server)
	// Stray, if set, takes responses that match no transaction, such as a 2xx
	// retransmitted after the 64*T1 of the Accepted state.
	Stray func(in transport.Inbound)
	// Hold, if set, is called when the first transaction of a reliable flow
	// starts; release when the last one ended (transport.Transport.Hold).
	Hold func(transport.Flow) (release func())
	Log  *slog.Logger // nil: silent
}

// Event tells a client what happened to its request: exactly one of Response and
// Err is set. Provisional responses may come any number of times; then one final
// response or error. After a 2xx to INVITE further 2xx (retransmitted, or from
// other legs of a fork) may follow for 64*T1 (RFC 6026), nothing else.
type Event struct {
	Response *sipmsg.Response
	Err      error             // ErrTimeout, ErrClosed, or what the transport said
	In       transport.Inbound // where Response came from
}

// Layer owns the transactions of one agent. It is safe for concurrent use.
type Layer struct{}

// New starts a layer.
func New(cfg Config) *Layer { panic("todo") }

// Close ends all transactions and timers and waits for the layer's goroutine.
// Clients without a final answer get ErrClosed. It must not be called from a
// callback.
func (l *Layer) Close() error { panic("todo") }

// Client starts a client transaction: req, with its Via for flow and a branch of
// its own, is serialised once and sent; the layer keeps the bytes, not req. An
// ACK is no transaction and refused (write it to the flow). Events come one at a
// time and in order, never under a lock and never before Client returned; on must
// return quickly.
func (l *Layer) Client(req *sipmsg.Request, flow transport.Flow, on func(Event)) (*Client, error) {
	panic("todo")
}

// Receive takes a message off the wire.
func (l *Layer) Receive(in transport.Inbound) { panic("todo") }

// Broken tells the layer that a flow ended: the client transactions on it fail.
func (l *Layer) Broken(flow transport.Flow, err error) { panic("todo") }

// Invite finds the INVITE server transaction that a CANCEL is for (RFC 3261
// section 9.2), nil when there is none. The CANCEL's own transaction is to be
// answered apart.
func (l *Layer) Invite(cancel *sipmsg.Request) *Server { panic("todo") }

// After calls f once after d on the layer's timer goroutine; f must return
// quickly. It costs no goroutine. Nothing is called after Close.
func (l *Layer) After(d time.Duration, f func()) *Timer { panic("todo") }

// Stats is a snapshot.
func (l *Layer) Stats() Stats { panic("todo") }

// Stats counts what the layer did.
type Stats struct {
	Clients, Servers int    // transactions alive
	Retransmitted    uint64 // requests, responses and ACKs sent again
	Absorbed         uint64 // retransmissions received and kept from the user
	Timeouts         uint64 // B, F and H
	Refused          uint64 // 503 for MaxServer
	Strays           uint64 // responses without a transaction
}

// Timer is a pending call of After.
type Timer struct{}

// Stop cancels the call; false when it has happened, is happening or was stopped.
func (t *Timer) Stop() bool { panic("todo") }

// Client is a client transaction.
type Client struct{}

// Flow is where the request went; CANCEL and a new attempt may follow it.
func (c *Client) Flow() transport.Flow { panic("todo") }

// Terminate ends the transaction without a further event.
func (c *Client) Terminate() { panic("todo") }

// Server is a server transaction.
type Server struct{}

// Flow is where the responses go.
func (s *Server) Flow() transport.Flow { panic("todo") }

// Reroute sends the following responses elsewhere: the flow of
// transport.Transport.ForResponse after a write failed.
func (s *Server) Reroute(flow transport.Flow) { panic("todo") }

// Respond sends a response. A 2xx to INVITE may be given again and again for
// 64*T1 (Accepted, RFC 6026); any other response after a final one is
// ErrTerminated. An error of the flow is returned, the transaction stays.
func (s *Server) Respond(res *sipmsg.Response) error { panic("todo") }

// Retransmit sends the last response again; for the 2xx to an INVITE, which the
// user retransmits until its ACK (RFC 3261 section 13.3.1.4).
func (s *Server) Retransmit() error { panic("todo") }

// Forget drops the stored 2xx of an INVITE once its ACK came.
func (s *Server) Forget() { panic("todo") }

// OnTimeout sets what is called when no ACK to a non-2xx came (timer H); nil: nothing.
func (s *Server) OnTimeout(f func()) { panic("todo") }
