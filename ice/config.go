package ice

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
)

// Network opens sockets and looks up names. The zero Config uses the machine's
// own network; tests use a simulated one.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	InterfaceAddrs() ([]netip.Prefix, error)
}

// Server is a STUN or TURN server, named by a URI of RFC 7064 or RFC 7065.
type Server struct {
	URL      string // "stun:host:port", "turn:host:port?transport=udp"; the port defaults to 3478
	Username string // TURN's long-term credentials
	Password string
}

// LogValue hides the password.
func (s Server) LogValue() slog.Value {
	pw := ""
	if s.Password != "" {
		pw = "REDACTED"
	}
	return slog.GroupValue(slog.String("url", s.URL), slog.String("username", s.Username), slog.String("password", pw))
}

// Check says what is wrong with the server's URL; nil if nothing is.
func (s Server) Check() error {
	if _, err := parseServer(s.URL); err != nil {
		return fmt.Errorf("ice: %q is not a STUN or TURN server such as stun:192.0.2.1 or turn:turn.example.org:3478: %w", s.URL, err)
	}
	return nil
}

// String hides the password too.
func (s Server) String() string { return s.URL }

// Config says where to gather. The zero value gathers host candidates on every
// usable interface.
type Config struct {
	Network   Network      // nil: the machine's network
	Addrs     []netip.Addr // bind these; nil: every usable interface address, loopback only if there is nothing else
	Servers   []Server
	RelayOnly bool         // tell and use relayed candidates only
	RTCP      bool         // also bind the port above the default one, for peers with neither ICE nor rtcp-mux
	Log       *slog.Logger // nil: silent
}

// Role is an agent's role in RFC 8445. The first offerer controls, unless the
// peer is lite.
type Role uint8

// The two roles. The zero Role is neither.
const (
	Controlling Role = 1 + iota
	Controlled
)

func (r Role) String() string {
	switch r {
	case Controlling:
		return "controlling"
	case Controlled:
		return "controlled"
	}
	return "no role"
}

// Description is what one side tells the other: the a=ice-ufrag, a=ice-pwd,
// a=ice-lite and a=candidate attributes of RFC 8839, and the default addresses
// for the c= and m= lines.
type Description struct {
	Ufrag, Pwd  string
	Lite        bool
	Candidates  []Candidate
	Default     netip.AddrPort // of the c= and m= lines
	DefaultRTCP netip.AddrPort // of a=rtcp; zero unless Config.RTCP
}

// LogValue hides the password.
func (d Description) LogValue() slog.Value {
	return slog.GroupValue(slog.String("ufrag", d.Ufrag), slog.String("pwd", "REDACTED"),
		slog.Int("candidates", len(d.Candidates)), slog.Any("default", d.Default))
}
