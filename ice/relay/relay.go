package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
)

// Network opens sockets and lists the machine's addresses, which the relay
// refuses as peers.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	InterfaceAddrs() ([]netip.Prefix, error)
}

// Config says how to relay. Users is required.
type Config struct {
	Network    Network           // nil: the machine's network
	Listen     []string          // default "udp://127.0.0.1:3478"
	Realm      string            // default "peercall"
	Users      map[string]string // user name to password; never empty
	AllowPeers []netip.Prefix    // ranges opened although they are refused by default
	Public     netip.Addr        // the address that allocations are told; default the address listened on
	MaxPerUser int               // allocations at once; default 16, negative: no limit
	MaxTotal   int               // allocations at once; default 256, negative: no limit
	Log        *slog.Logger      // nil: silent
}

// Stats counts what the relay did.
type Stats struct {
	Allocations  int    // alive now
	Created      uint64 // allocations made so far
	AuthFailures uint64 // requests whose credentials were wrong
	QuotaRefused uint64 // allocations over a limit
	PeersRefused uint64 // permissions and channels refused by the peer's address
}

// Server is a running relay.
type Server struct{}

// Listen starts a relay. ctx bounds the start only.
func Listen(ctx context.Context, cfg *Config) (*Server, error) { return nil, errors.New("relay: TODO") }

// Addr is the address of the first listener.
func (s *Server) Addr() netip.AddrPort { return netip.AddrPort{} }

// Stats returns the counters so far.
func (s *Server) Stats() Stats { return Stats{} }

// Close ends every allocation and waits for the goroutines.
func (s *Server) Close() error { return nil }
