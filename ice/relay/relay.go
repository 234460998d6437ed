package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pion/turn/v5"

	"github.com/peercall/peercall/ice/internal/quiet"
	"github.com/peercall/peercall/internal/sysnet"
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
	Listen     []string          // default "udp://127.0.0.1:3478"; without an address ("udp://:3478") Public is required
	Realm      string            // default "peercall"
	Users      map[string]string // user name to password; never empty
	AllowPeers []netip.Prefix    // ranges opened although they are refused by default
	Public     netip.Addr        // the address that allocations are told; default the address listened on
	MaxPerUser int               // allocations at once; default 16, negative: no limit
	MaxTotal   int               // allocations at once; default 256, negative: no limit
	Log        *slog.Logger      // nil: silent
}

const (
	defaultListen     = "udp://127.0.0.1:3478"
	defaultRealm      = "peercall"
	defaultMaxPerUser = 16
	defaultMaxTotal   = 256
)

// LogValue hides the users.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("listen", c.Listen), slog.String("realm", c.Realm),
		slog.Int("users", len(c.Users)), slog.Any("allowPeers", c.AllowPeers))
}

// Stats counts what the relay did.
type Stats struct {
	Allocations    int    // alive now
	Created        uint64 // allocations made so far
	AuthFailures   uint64 // requests whose credentials were wrong
	QuotaRefused   uint64 // allocations over a limit
	PeersRefused   uint64 // permissions and channels refused by the peer's address
	PacketsRefused uint64 // datagrams to or from a refused address of an open permission
}

// Server is a running relay.
type Server struct {
	cfg   Config
	net   Network
	log   *slog.Logger
	addrs []netip.AddrPort // listened on; fixed
	own   []netip.Addr     // the machine's addresses; fixed
	turn  *turn.Server
	wg    sync.WaitGroup // sockets that pion has not closed yet

	mu      sync.Mutex
	live    map[netip.AddrPort]int // relayed addresses, as told and as bound
	perUser map[string]int
	total   int
	closed  bool

	created, authFailures, quotaRefused, peersRefused, packetsRefused atomic.Uint64
}

// Listen starts a relay. ctx bounds the start only. cfg is copied.
func Listen(ctx context.Context, cfg *Config) (*Server, error) {
	s := &Server{cfg: *cfg, live: map[netip.AddrPort]int{}, perUser: map[string]int{}}
	s.cfg.Users, s.cfg.AllowPeers = maps.Clone(cfg.Users), slices.Clone(cfg.AllowPeers)
	s.cfg.Realm = cmp.Or(cfg.Realm, defaultRealm)
	s.cfg.MaxPerUser = cmp.Or(cfg.MaxPerUser, defaultMaxPerUser)
	s.cfg.MaxTotal = cmp.Or(cfg.MaxTotal, defaultMaxTotal)
	if len(s.cfg.Listen) == 0 {
		s.cfg.Listen = []string{defaultListen}
	}
	if s.net = cfg.Network; s.net == nil {
		s.net = sysnet.Network{}
	}
	if s.log = cfg.Log; s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if len(s.cfg.Users) == 0 {
		return nil, errors.New("relay: no users: a relay without credentials is everybody's")
	}
	for user, password := range s.cfg.Users {
		if user == "" || password == "" {
			return nil, errors.New("relay: a user without a name or a password")
		}
	}
	prefixes, err := s.net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("relay: list addresses: %w", err)
	}
	for _, p := range prefixes {
		s.own = append(s.own, p.Addr().Unmap())
	}
	if s.cfg.Public.IsValid() {
		s.own = append(s.own, s.cfg.Public.Unmap())
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	s.log.Info("relay listening", "addrs", s.addrs, "realm", s.cfg.Realm)
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	var socks []turn.PacketConnConfig
	var err error
	for _, l := range s.cfg.Listen {
		var c turn.PacketConnConfig
		if c, err = s.listen(ctx, l); err != nil {
			break
		}
		socks = append(socks, c)
	}
	if err == nil {
		s.turn, err = turn.NewServer(turn.ServerConfig{
			PacketConnConfigs: socks, Realm: s.cfg.Realm, LoggerFactory: quiet.Factory{},
			AuthHandler: s.authenticate, QuotaHandler: s.quota, EventHandler: s.events(),
		})
	}
	if err != nil {
		for _, c := range socks {
			_ = c.PacketConn.Close() // the first error is told
		}
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

func (s *Server) listen(ctx context.Context, at string) (turn.PacketConnConfig, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "udp" || u.Path != "" {
		return turn.PacketConnConfig{}, fmt.Errorf("listen %q: want udp://address:port", at)
	}
	c, err := s.net.ListenPacket(ctx, "udp", u.Host)
	if err != nil {
		return turn.PacketConnConfig{}, err
	}
	a, ok := addrPort(c.LocalAddr())
	told := s.cfg.Public.Unmap()
	if !told.IsValid() {
		told = a.Addr()
	}
	if !ok || told.IsUnspecified() {
		_ = c.Close()
		return turn.PacketConnConfig{}, fmt.Errorf("listen %q: name the address, or Config.Public", at)
	}
	s.addrs = append(s.addrs, a)
	s.wg.Add(1)
	return turn.PacketConnConfig{
		PacketConn:            &listener{PacketConn: c, done: sync.OnceFunc(s.wg.Done)},
		RelayAddressGenerator: &generator{s: s, bind: a.Addr(), told: told},
		PermissionHandler:     s.permit,
	}, nil
}

// listener tells when pion has closed it.
type listener struct {
	net.PacketConn
	done func()
}

func (l *listener) Close() error { defer l.done(); return l.PacketConn.Close() }

// Addr is the address of the first listener.
func (s *Server) Addr() netip.AddrPort { return s.addrs[0] }

// Stats returns the counters so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	alive := s.total
	s.mu.Unlock()
	return Stats{
		Allocations: alive, Created: s.created.Load(), AuthFailures: s.authFailures.Load(), QuotaRefused: s.quotaRefused.Load(),
		PeersRefused: s.peersRefused.Load(), PacketsRefused: s.packetsRefused.Load(),
	}
}

// Close ends every allocation and waits until all sockets are closed.
func (s *Server) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	var err error
	if !again {
		err = s.turn.Close()
	}
	s.wg.Wait()
	return err
}

func (s *Server) authenticate(r *turn.RequestAttributes) (user string, key []byte, ok bool) {
	password, ok := s.cfg.Users[r.Username]
	if !ok || r.Realm != s.cfg.Realm {
		s.authFailures.Add(1)
		return "", nil, false
	}
	return r.Username, turn.GenerateAuthKey(r.Username, s.cfg.Realm, password), true
}

// quota refuses with 486 what reserve would refuse with 508.
func (s *Server) quota(user, _ string, _ net.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over(user) {
		s.quotaRefused.Add(1)
		return false
	}
	return true
}

func (s *Server) over(user string) bool {
	return s.cfg.MaxTotal >= 0 && s.total >= s.cfg.MaxTotal || s.cfg.MaxPerUser >= 0 && s.perUser[user] >= s.cfg.MaxPerUser
}

func (s *Server) events() turn.EventHandler {
	return turn.EventHandler{
		OnAuth: func(src, _ net.Addr, _, user, _ string, method string, ok bool) {
			if !ok {
				s.authFailures.Add(1)
				s.log.Debug("relay refused credentials", "from", src, "user", strings.ToValidUTF8(user, "?"), "method", method)
			}
		},
		OnAllocationCreated: func(src, _ net.Addr, _, user, _ string, relayed net.Addr, _ int) {
			s.created.Add(1)
			s.log.Info("relay allocated", "from", src, "user", user, "relayed", relayed)
		},
		OnAllocationDeleted: func(src, _ net.Addr, _, user, _ string) {
			s.log.Info("relay allocation ended", "from", src, "user", user)
		},
	}
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), ap.IsValid()
}
