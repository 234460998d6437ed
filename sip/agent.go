package sip

import (
	"context"
	"net/netip"
)

// Agent is a SIP user agent: sockets, transactions and dialogs. It is safe for
// concurrent use.
type Agent struct {
	cfg Config
}

// Listen binds the addresses of cfg and starts the agent. ctx bounds the binding
// only. A nil cfg is the zero Config.
func Listen(ctx context.Context, cfg *Config) (*Agent, error) { panic("not yet") }

// Close ends all transactions, dialogs, registrations and flows at once, without
// sending anything, and waits for every goroutine of the agent.
func (a *Agent) Close() error { panic("not yet") }

// Addrs lists the bound addresses.
func (a *Agent) Addrs() []netip.AddrPort { panic("not yet") }

// Addr is the first bound address of a transport, "udp" or "tcp".
func (a *Agent) Addr(transport string) (netip.AddrPort, bool) { panic("not yet") }

// Stats counts what happened since Listen.
func (a *Agent) Stats() Stats { panic("not yet") }

// Do sends a request other than INVITE, ACK and CANCEL outside a dialog and
// waits for its final response. A challenge of the account's proxy is answered
// once. A final response that is not 2xx is returned together with a
// *StatusError. ctx bounds the wait.
func (a *Agent) Do(ctx context.Context, out *OutRequest) (*Response, error) { panic("not yet") }
