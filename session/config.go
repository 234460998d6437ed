package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/sip"
)

// Network gives sockets and names; sip.Network and ice.Network are the same.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	InterfaceAddrs() ([]netip.Prefix, error)
}

// Config says how an endpoint behaves. The zero value works for direct calls
// between two machines on one network. It is copied by Listen.
type Config struct {
	// Identity is the address of record, such as "sip:alice@example.org". Empty is
	// an anonymous endpoint that can call and be called directly.
	Identity string
	// Username of the credentials, if it differs from the identity's user.
	Username string
	// Password of the identity; with one, the endpoint registers. It answers
	// challenges of the registrar and of the outbound proxy only.
	Password string
	// Registrar, a SIP URI; empty is the identity's domain when there is a
	// password, and none otherwise.
	Registrar string
	// OutboundProxy, a SIP URI: the first hop of every call; empty is the registrar.
	OutboundProxy string
	// Accounts are further identities. A call leaves from the one that
	// DialOptions.From names, else from Identity.
	Accounts []sip.Account

	// Handler answers calls, each on a goroutine of its own; nil refuses them with 480.
	Handler Handler

	// AcceptDirect takes calls from anywhere. Without it an endpoint that has a
	// registrar takes them from the registrar's host only; what scanners send to
	// its port is dropped and counted in Stats.
	AcceptDirect bool

	// TLS is for servers and callees whose URI has ";transport=tls", and for "tls://"
	// entries of Listen, which need a certificate in it; sip.Config says more. Nil trusts
	// the machine's roots.
	TLS *tls.Config
	// Listen lists the addresses of the signalling, such as "udp://127.0.0.1:0".
	// Nil is port 5060, UDP and TCP, when there is a Handler and no registrar, and
	// otherwise an ephemeral port. When every entry names an address, media binds
	// the same addresses.
	Listen []string
	// Servers are the STUN and TURN servers.
	Servers []ice.Server
	// RelayOnly sends media through a TURN server and tells the peer no other
	// address of ours.
	RelayOnly bool
	// Security is the weakest protection of media that is allowed; 0 is AllowSDES: a
	// callee that refuses DTLS-SRTP is called again with SDES if our own hop is TLS.
	Security Protection

	// Format of the PCM of every call, whatever the codec; zero is 16 kHz mono.
	Format media.Format
	// Codecs in order of preference, out of "G722", "PCMU", "PCMA"; nil is all
	// three in this order.
	Codecs []string
	// MediaTimeout ends a call after this long without a packet of the peer; 0 is
	// 30 s, negative is never. A call on hold by the peer is not timed.
	MediaTimeout time.Duration
	// MaxCalls bounds the calls at once, in both directions; past it callers get
	// 486 and Dial an error. 0 is 1000, negative is no bound.
	MaxCalls int

	// UserAgent is sent in requests and responses; empty is "peercall".
	UserAgent string
	// Network gives sockets and names; nil is the machine's own network.
	Network Network
	// Log receives what an operator should know, without secrets; nil is silent.
	Log *slog.Logger
	// Trace is told of every SIP message; it must return quickly and call no method
	// of the endpoint, of a call or of an Incoming.
	Trace func(sip.Trace)
}

const (
	defaultMediaTimeout = 30 * time.Second
	defaultMaxCalls     = 1000
)

// config is a Config that was checked and completed.
type config struct {
	Config
	accounts []*sip.Account // the first is Identity's, if there is one
	register []*sip.Account // those of accounts that register
	addrs    []netip.Addr   // media binds these; nil: ice decides
	codecs   []string
}

func complete(in *Config) (*config, error) {
	if in == nil {
		in = &Config{}
	}
	c := &config{Config: *in}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MediaTimeout == 0 {
		c.MediaTimeout = defaultMediaTimeout
	}
	if c.MaxCalls == 0 {
		c.MaxCalls = defaultMaxCalls
	}
	if c.Security == 0 {
		c.Security = AllowSDES
	}
	if c.Security > AllowPlain {
		return nil, fmt.Errorf("session: Config.Security is %d: want RequireDTLS, AllowSDES or AllowPlain", c.Security)
	}
	c.Format.Rate = cmp.Or(c.Format.Rate, 16000)
	c.Format.Channels = cmp.Or(c.Format.Channels, 1)
	if !slices.Contains([]int{8000, 16000, 48000}, c.Format.Rate) || c.Format.Channels < 0 || c.Format.Channels > 2 {
		return nil, fmt.Errorf("session: Config.Format is %d Hz, %d channels: want 8000, 16000 or 48000 Hz and 1 or 2 channels", c.Format.Rate, c.Format.Channels)
	}
	for _, s := range c.Servers {
		if err := s.Check(); err != nil {
			return nil, fmt.Errorf("session: Config.Servers: %w", err)
		}
	}
	if err := c.identity(); err != nil {
		return nil, err
	}
	if err := c.listen(); err != nil {
		return nil, err
	}
	return c, c.chooseCodecs()
}

func (c *config) identity() error {
	if c.Identity == "" {
		if c.Password != "" || c.Registrar != "" {
			return errors.New("session: Config.Password and Config.Registrar need Config.Identity, such as \"sip:alice@example.org\"")
		}
	} else {
		aor, err := parseUserURI("Config.Identity", c.Identity)
		if err != nil {
			return err
		}
		a := &sip.Account{AOR: aor, Username: c.Username, Password: c.Password}
		if a.Registrar, err = parseServerURI("Config.Registrar", c.Registrar); err != nil {
			return err
		}
		if a.OutboundProxy, err = parseServerURI("Config.OutboundProxy", c.OutboundProxy); err != nil {
			return err
		}
		c.accounts = append(c.accounts, a)
		if c.Password != "" || c.Registrar != "" {
			c.register = append(c.register, a)
		}
	}
	for _, a := range c.Accounts {
		if a.AOR.User == "" || a.AOR.Host == "" {
			return fmt.Errorf("session: Config.Accounts: %q is not an address of record such as sip:alice@example.org", a.AOR.String())
		}
		c.accounts = append(c.accounts, &a)
		if a.Password != "" || a.Registrar != (sip.URI{}) {
			c.register = append(c.register, &a)
		}
	}
	return nil
}

func parseUserURI(what, s string) (sip.URI, error) {
	u, err := sip.ParseURI(s)
	if err == nil && (u.User == "" || u.Host == "") {
		err = errors.New("it has no user or no host")
	}
	if err != nil {
		return u, fmt.Errorf("session: %s %q is not an address such as sip:alice@example.org: %w", what, s, err)
	}
	return u, nil
}

func parseServerURI(what, s string) (sip.URI, error) {
	if s == "" {
		return sip.URI{}, nil
	}
	u, err := sip.ParseURI(s)
	if err == nil && u.Host == "" {
		err = errors.New("it has no host")
	}
	if err != nil {
		return u, fmt.Errorf("session: %s %q is not a URI such as sip:example.org or sip:192.0.2.1:5060: %w", what, s, err)
	}
	return u, nil
}

// listen fills in the default addresses and finds those that media shares.
func (c *config) listen() error {
	if len(c.Listen) == 0 {
		port := "0"
		if c.Handler != nil && len(c.register) == 0 {
			port = "5060"
		}
		c.Listen = []string{"udp://:" + port, "tcp://:" + port}
		return nil
	}
	c.Listen = slices.Clone(c.Listen)
	for _, l := range c.Listen {
		u, err := url.Parse(l)
		if err != nil || u.Host == "" {
			return fmt.Errorf("session: Config.Listen %q is not an address such as udp://192.0.2.1:5060 or tcp://:0", l)
		}
		ip, err := netip.ParseAddr(u.Hostname())
		if err != nil || ip.IsUnspecified() {
			c.addrs = nil // one wildcard or name: media binds every interface
			return nil
		}
		if !slices.Contains(c.addrs, ip) {
			c.addrs = append(c.addrs, ip)
		}
	}
	return nil
}

func (c *config) chooseCodecs() error {
	known := []string{"G722", "PCMU", "PCMA"}
	if len(c.Codecs) == 0 {
		c.codecs = known
		return nil
	}
	for _, name := range c.Codecs {
		if !slices.Contains(known, name) {
			return fmt.Errorf("session: Config.Codecs has %q: want some of %v", name, known)
		}
	}
	c.codecs = slices.Clone(c.Codecs)
	return nil
}

// account finds the account that from names: "" is the first, nil if there is none.
func (c *config) account(from string) (*sip.Account, error) {
	if from == "" {
		if len(c.accounts) == 0 {
			return nil, nil
		}
		return c.accounts[0], nil
	}
	u, err := parseUserURI("DialOptions.From", from)
	if err != nil {
		return nil, err
	}
	for _, a := range c.accounts {
		if a.AOR.User == u.User && a.AOR.Host == u.Host {
			return a, nil
		}
	}
	return nil, nil
}
