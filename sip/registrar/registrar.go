package registrar

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/peercall/peercall/internal/sysnet"
	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/internal/digest"
	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// Config says where a Server listens and whom it serves. Listen copies it.
type Config struct {
	// Network gives the sockets; nil is the machine's own network.
	Network sip.Network

	// Listen lists the addresses to bind, such as "udp://127.0.0.1:0". Nil is
	// "udp://127.0.0.1:5060" and "tcp://127.0.0.1:5060". An address that is not
	// loopback needs Users. "tls://192.0.2.1:5061" needs a certificate in TLS.
	Listen []string

	// TLS holds the certificates of "tls://" entries, and whether clients need one
	// (ClientAuth, ClientCAs). It is copied; nothing older than TLS 1.2 is spoken.
	// Clients verify the certificate against the domain that they were told, so it
	// names Domain.
	TLS *tls.Config

	// Domain is the domain served besides the addresses listened on, and the
	// realm of challenges. Empty serves the addresses under the realm "peercall".
	Domain string

	// Users maps user names to passwords. Nil lets anybody register any name
	// without a password; Listen refuses that off loopback.
	Users map[string]string

	// MaxContacts bounds the bindings of one user; the oldest makes room. 0 is 10.
	MaxContacts int

	// MaxUsers bounds the users with a binding; 0 is 16384.
	MaxUsers int

	// MaxCalls bounds the requests relayed at once; 0 is 4096. Over it: 503.
	MaxCalls int

	// PerSource bounds the requests that one source address (an IPv6 /64) may
	// send per second, in bursts of ten times as many; a wrong password counts
	// for ten. Over it they are dropped. 0 is 100 and no limit for loopback;
	// negative is no limit for anybody.
	PerSource int

	// MinExpires and MaxExpires bound what is granted; 0 is a minute and an hour.
	MinExpires, MaxExpires time.Duration

	// Log receives what an operator should know; nil is silent.
	Log *slog.Logger

	// Trace is told of each message, as sip.Config.Trace is.
	Trace func(sip.Trace)
}

// LogValue leaves the passwords out.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("listen", c.Listen), slog.String("domain", c.Domain), slog.Int("users", len(c.Users)))
}

const (
	defaultRealm = "peercall"
	sweepEvery   = 30 * time.Second

	defaultPerSource = 100
	maxChallenges    = 5000 // per second over UDP, all sources together
)

// Server is a registrar and proxy. It is safe for concurrent use.
type Server struct {
	cfg    Config
	log    *slog.Logger
	layer  *transaction.Layer
	trans  *transport.Transport
	table  *table
	digest *digest.Server // nil: no passwords
	limit  *limiter
	seal   sealer

	ready  chan struct{} // closed when layer and trans are set
	close  sync.Once
	closed error // of the first Close
	addrs  []netip.AddrPort
	ports  map[int]bool

	mu     sync.Mutex // guards relays and flows
	relays map[*transaction.Server]*relay
	flows  map[edge]transport.Flow // the connections that said something
}

// Listen binds the addresses of cfg and serves until Close. ctx bounds the
// binding only. A nil cfg is the zero Config.
func Listen(ctx context.Context, cfg *Config) (*Server, error) {
	s := &Server{
		ready: make(chan struct{}), ports: make(map[int]bool),
		relays: make(map[*transaction.Server]*relay), flows: make(map[edge]transport.Flow),
	}
	if cfg != nil {
		s.cfg = *cfg
	}
	s.cfg.fill()
	s.log = s.cfg.Log
	_, _ = rand.Read(s.seal.key[:]) // never fails (crypto/rand)
	if s.cfg.Users != nil {
		realm := s.cfg.Domain
		if realm == "" {
			realm = defaultRealm
		}
		s.digest = digest.NewServer(realm, 0)
	} else if err := onlyLoopback(s.cfg.Listen); err != nil {
		return nil, err
	}
	s.limit = newLimiter(s.cfg.PerSource)
	if s.cfg.PerSource == 0 {
		s.limit = newLimiter(defaultPerSource)
	}

	var err error
	s.trans, err = transport.Listen(ctx, transport.Config{
		Network: s.cfg.Network, Listen: s.cfg.Listen, TLS: s.cfg.TLS, Log: s.cfg.Log,
		Handle: s.handle, Broken: s.broken, Trace: s.tracer(), Limits: transport.Limits{Replies: maxChallenges},
	})
	if err != nil {
		return nil, fmt.Errorf("registrar: listen: %w", err)
	}
	s.table = newTable(s.cfg.MaxContacts, s.cfg.MaxUsers, s.trans.Hold)
	s.layer = transaction.New(transaction.Config{Request: s.request, Hold: s.trans.Hold, Reply: s.trans.Reply, Log: s.cfg.Log})
	s.addrs = s.trans.Addrs()
	for _, a := range s.addrs {
		s.ports[int(a.Port())] = true
	}
	s.layer.After(sweepEvery, s.sweep)
	close(s.ready)
	s.log.Info("registrar listens", "addresses", s.addrs, "config", s.cfg)
	return s, nil
}

// Addr is the first bound address of a transport, "udp", "tcp" or "tls"; the zero
// AddrPort when there is none.
func (s *Server) Addr(transport string) netip.AddrPort {
	a, _ := s.trans.Addr(strings.ToUpper(transport))
	return a
}

// Close ends everything at once and waits for the server's goroutines. Later
// calls return the same.
func (s *Server) Close() error {
	s.close.Do(func() { s.closed = errors.Join(s.trans.Close(), s.layer.Close()) })
	return s.closed
}

func (c *Config) fill() {
	if c.Network == nil {
		c.Network = sysnet.Network{}
	}
	if c.Listen == nil {
		c.Listen = []string{"udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Users != nil {
		c.Users = maps.Clone(c.Users)
	}
	setDefault(&c.MaxContacts, 10)
	setDefault(&c.MaxUsers, 16384)
	setDefault(&c.MaxCalls, 4096)
	setDefault(&c.MinExpires, time.Minute)
	setDefault(&c.MaxExpires, time.Hour)
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// onlyLoopback refuses to serve strangers without a password.
func onlyLoopback(listen []string) error {
	for _, l := range listen {
		_, hostport, _ := strings.Cut(l, "://")
		host := hostport[:max(0, strings.LastIndexByte(hostport, ':'))]
		a, err := netip.ParseAddr(bareHost(host))
		if err != nil || !a.IsLoopback() {
			return fmt.Errorf("registrar: %s is not a loopback address, so Config.Users is needed", l)
		}
	}
	return nil
}

// handle takes each message off the wire, on the goroutine of its flow.
func (s *Server) handle(in transport.Inbound) {
	<-s.ready
	if in.Flow.Reliable() {
		s.mu.Lock()
		s.flows[edgeOf(in.Flow)] = in.Flow
		s.mu.Unlock()
	}
	if isRequest(in) && !s.allow(in.Source.Addr(), 1) {
		return
	}
	s.layer.Receive(in)
}

// allow spends the source's tokens.
func (s *Server) allow(source netip.Addr, tokens float64) bool {
	if s.cfg.PerSource == 0 && source.Unmap().IsLoopback() {
		return true
	}
	return s.limit.Take(time.Now(), source, tokens)
}

// broken learns of each connection that ended.
func (s *Server) broken(f transport.Flow, err error) {
	<-s.ready
	s.mu.Lock()
	if e := edgeOf(f); s.flows[e] == f {
		delete(s.flows, e)
	}
	s.mu.Unlock()
	s.layer.Broken(f, err)
	if n := s.table.Broken(f); n > 0 {
		s.log.Info("bindings removed with their connection", "remote", f.Remote(), "bindings", n, "error", err)
	}
}

func (s *Server) sweep() {
	s.table.Sweep(time.Now())
	s.layer.After(sweepEvery, s.sweep)
}

// flowTo finds the way to the edge of a dialog. It never connects.
func (s *Server) flowTo(e edge) (transport.Flow, bool) {
	if e.over != overUDP {
		s.mu.Lock()
		defer s.mu.Unlock()
		f, ok := s.flows[e]
		return f, ok
	}
	f, err := s.trans.Flow(context.Background(), transport.Target{Addr: e.addr, Transport: "UDP"})
	return f, err == nil
}

func (s *Server) tracer() func(transport.Packet) {
	trace := s.cfg.Trace
	if trace == nil {
		return nil
	}
	return func(p transport.Packet) {
		start, cseq, callID := p.Summary()
		trace(sip.Trace{
			Time: p.Time, Sent: p.Sent, Transport: p.Flow.Transport(), Local: p.Flow.Local(), Remote: p.Flow.Remote(),
			Start: start, CSeq: cseq, CallID: callID, Size: len(p.Raw),
		})
	}
}
