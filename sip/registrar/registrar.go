package registrar

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/peercall/peercall/sip"
)

// Config says where a Server listens and whom it serves. Listen copies it.
type Config struct {
	// Network gives the sockets; nil is the machine's own network.
	Network sip.Network

	// Listen lists the addresses to bind, such as "udp://127.0.0.1:0". Nil is
	// "udp://127.0.0.1:5060" and "tcp://127.0.0.1:5060". An address that is not
	// loopback needs Users.
	Listen []string

	// Domain is the domain served, in the realm and in every address of record.
	// Empty serves the addresses listened on, under the realm "peercall".
	Domain string

	// Users maps user names to passwords. Nil lets anybody register any name
	// without a password; Listen refuses that off loopback.
	Users map[string]string

	// MaxContacts bounds the bindings of one user; 0 is 10.
	MaxContacts int

	// MaxUsers bounds the users with a binding when Users is nil; 0 is 1024.
	MaxUsers int

	// MaxCalls bounds the requests relayed at once; 0 is 4096. Over it: 503.
	MaxCalls int

	// PerSource bounds the requests that one source address (an IPv6 /64) may
	// begin per second, in bursts of ten times as many; 0 is 100, negative is no
	// limit. Over it they are dropped.
	PerSource int

	// MinExpires and MaxExpires bound what is granted; 0 is a minute and an hour.
	MinExpires, MaxExpires time.Duration

	// Log receives what an operator should know; nil is silent.
	Log *slog.Logger

	// Trace is told of each message, as sip.Config.Trace is.
	Trace func(sip.Trace)
}

// Server is a registrar and proxy. It is safe for concurrent use.
type Server struct{}

// Listen binds the addresses of cfg and serves until Close. ctx bounds the
// binding only. A nil cfg is the zero Config.
func Listen(ctx context.Context, cfg *Config) (*Server, error) { panic("not yet") }

// Addr is the first bound address of a transport, "udp" or "tcp"; the zero
// AddrPort when there is none.
func (s *Server) Addr(transport string) netip.AddrPort { panic("not yet") }

// Close ends everything at once and waits for the server's goroutines.
func (s *Server) Close() error { panic("not yet") }
