package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"github.com/peercall/peercall/ice/internal/quiet"
	"github.com/peercall/peercall/internal/netsim"
)

const at = "203.0.113.1:3478"

// simulate runs f with a relay at 203.0.113.1.
func simulate(t *testing.T, cfg Config, f func(t *testing.T, sim *netsim.Sim, s *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := netsim.New(1)
		defer sim.Close()
		cfg.Network, cfg.Listen = sim.NewHost("203.0.113.1", nil), []string{"udp://" + at}
		cfg.Users = map[string]string{"alice": "secret", "bob": "secret too"}
		s, err := Listen(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		f(t, sim, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
		synctest.Wait()
		if n := s.Stats().Allocations; n != 0 {
			t.Errorf("%d allocations after Close", n)
		}
		for _, o := range sim.Open() {
			if strings.HasPrefix(o, "203.0.113.1") {
				t.Errorf("left open: %s", o)
			}
		}
	})
}

// client is a TURN client on a socket of its own.
type client struct {
	*turn.Client
	t  *testing.T
	pc net.PacketConn
}

func dial(t *testing.T, h *netsim.Host, user, password string) *client {
	t.Helper()
	pc, err := h.ListenPacket(t.Context(), "udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		Conn: pc, Net: h.Transport(), STUNServerAddr: at, TURNServerAddr: at, Username: user, Password: password, LoggerFactory: quiet.Factory{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); _ = pc.Close() })
	return &client{c, t, pc}
}

func (c *client) allocate() net.PacketConn {
	c.t.Helper()
	rc, err := c.Allocate()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = rc.Close() })
	return rc
}

func udp(s string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func wantCode(t *testing.T, err error, code stun.ErrorCode) {
	t.Helper()
	te, ok := errors.AsType[*stun.TurnError](err)
	if !ok || te.ErrorCodeAttr.Code != code {
		t.Errorf("error %v, want %d", err, code)
	}
}

func TestRFC8489_BindingNeedsNoCredentials(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		c := dial(t, sim.NewHost("10.0.0.2", sim.NewNAT(netsim.PortRestricted, "198.51.100.1")), "", "")
		a, err := c.SendBindingRequest()
		if err != nil || !strings.HasPrefix(a.String(), "198.51.100.1:") {
			t.Errorf("mapped address %v, %v", a, err)
		}
	})
}

func TestHostileWithoutCredentials(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		h := sim.NewHost("192.0.2.66", nil)
		for _, u := range [][2]string{{"", ""}, {"alice", "wrong"}, {"alice", ""}, {"mallory", "secret"}, {"alice", "secret too"}} {
			_, err := dial(t, h, u[0], u[1]).Allocate()
			wantCode(t, err, stun.CodeUnauthorized)
		}
		if st := s.Stats(); st.Allocations != 0 || st.Created != 0 || st.AuthFailures != 5 {
			t.Errorf("stats %+v, want no allocation and 5 failures", st)
		}
	})
}

// Refused peers get a 403 (RFC 8656 section 10.2): permissions, channels and plain
// sending alike.
func TestHostileReachIntoTheNetwork(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		// A service on the relay's own machine, on all its addresses.
		h := s.net.(*netsim.Host)
		for i, ip := range []string{"203.0.113.1", "127.0.0.1"} {
			pc, err := h.ListenPacket(t.Context(), "udp", ip+":53")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			go func() {
				if n, from, err := pc.ReadFrom(make([]byte, 1500)); err == nil {
					t.Errorf("service %d was reached from %v with %d bytes", i, from, n)
				}
			}()
		}
		c := dial(t, sim.NewHost("192.0.2.66", nil), "alice", "secret")
		rc := c.allocate()
		for _, peer := range []string{
			"127.0.0.1:53", "10.0.0.1:80", "169.254.169.254:80", "100.64.0.1:80", "0.0.0.0:53", "192.168.0.1:80", "[::ffff:127.0.0.1]:53",
		} {
			wantCode(t, c.CreatePermission(udp(peer)), stun.CodeForbidden)
			if _, err := rc.WriteTo([]byte("hello"), udp(peer)); err == nil {
				t.Errorf("sent to %s", peer)
			}
		}
		// Its own address is permitted, as allocations live there; its other
		// ports, and the relay itself, are not reached.
		for _, peer := range []string{"203.0.113.1:53", at} {
			for range 3 { // indications first, then a channel
				if _, err := rc.WriteTo([]byte("hello"), udp(peer)); err != nil {
					t.Errorf("to %s: %v", peer, err)
				}
				time.Sleep(time.Second)
			}
		}
		if st := s.Stats(); st.PeersRefused < 7 || st.PacketsRefused != 6 {
			t.Errorf("stats %+v, want the permissions and 6 packets refused", st)
		}
	})
}

// Only who was permitted reaches the client (RFC 8656 section 9).
func TestRFC8656_9_Permissions(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		rc := dial(t, sim.NewHost("192.0.2.1", nil), "alice", "secret").allocate()
		got := make(chan string, 8)
		go func() {
			for buf := make([]byte, 1500); ; {
				n, from, err := rc.ReadFrom(buf)
				if err != nil {
					return
				}
				got <- fmt.Sprintf("%s from %v", buf[:n], from.(*net.UDPAddr).IP)
			}
		}()
		friend, err := sim.NewHost("192.0.2.2", nil).ListenPacket(t.Context(), "udp", ":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer friend.Close()
		stranger, err := sim.NewHost("192.0.2.3", nil).ListenPacket(t.Context(), "udp", ":7000")
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if _, err := rc.WriteTo([]byte("hello"), udp("192.0.2.2:7000")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1500)
		if n, from, err := friend.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" || from.String() != rc.LocalAddr().String() {
			t.Errorf("the peer read %q from %v, %v; want it from %v", buf[:n], from, err, rc.LocalAddr())
		}
		for _, pc := range []net.PacketConn{stranger, friend} {
			if _, err := pc.WriteTo([]byte("hi"), rc.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		if g := <-got; g != "hi from 192.0.2.2" {
			t.Errorf("received %q", g)
		}
		time.Sleep(time.Second)
		if len(got) > 0 {
			t.Errorf("received %q: no permission", <-got)
		}
	})
}

// Two allocations of one relay talk to each other: its own address is refused
// but where they live.
func TestRelayToRelay(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		x := dial(t, sim.NewHost("192.0.2.1", nil), "alice", "secret").allocate()
		y := dial(t, sim.NewHost("192.0.2.2", nil), "bob", "secret too").allocate()
		if _, err := x.WriteTo([]byte("punch"), y.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, err := y.WriteTo([]byte("hello"), x.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1500)
		if n, from, err := x.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" || from.String() != y.LocalAddr().String() {
			t.Errorf("read %q from %v, %v", buf[:n], from, err)
		}
	})
}

func TestAllocationLimits(t *testing.T) {
	simulate(t, Config{MaxPerUser: 2, MaxTotal: 3}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		h := sim.NewHost("192.0.2.1", nil)
		first := dial(t, h, "alice", "secret").allocate()
		dial(t, h, "alice", "secret").allocate()
		_, err := dial(t, h, "alice", "secret").Allocate()
		wantCode(t, err, stun.CodeAllocQuotaReached)
		dial(t, h, "bob", "secret too").allocate()
		_, err = dial(t, h, "bob", "secret too").Allocate()
		wantCode(t, err, stun.CodeAllocQuotaReached)
		if st := s.Stats(); st.Allocations != 3 || st.Created != 3 || st.QuotaRefused != 2 {
			t.Errorf("stats %+v, want 3 allocations, 2 refused", st)
		}
		_ = first.Close()
		time.Sleep(time.Second)
		dial(t, h, "alice", "secret").allocate()
	})
}

// An allocation that is not refreshed ends after ten minutes (RFC 8656 section
// 3.2).
func TestRFC8656_AllocationsExpire(t *testing.T) {
	simulate(t, Config{}, func(t *testing.T, sim *netsim.Sim, s *Server) {
		h := sim.NewHost("192.0.2.1", nil)
		dial(t, h, "alice", "secret").allocate()
		time.Sleep(30 * time.Minute)
		if n := s.Stats().Allocations; n != 1 {
			t.Errorf("%d allocations while it is refreshed, want 1", n)
		}
		h.Crash(true)
		time.Sleep(11 * time.Minute)
		if n := s.Stats().Allocations; n != 0 {
			t.Errorf("%d allocations after the client vanished, want none", n)
		}
	})
}

func TestBadConfig(t *testing.T) {
	users := map[string]string{"u": "p"}
	for name, cfg := range map[string]*Config{
		"no users":       {Listen: []string{"udp://127.0.0.1:0"}},
		"empty password": {Listen: []string{"udp://127.0.0.1:0"}, Users: map[string]string{"u": ""}},
		"not udp":        {Listen: []string{"tcp://127.0.0.1:0"}, Users: users},
		"no URL":         {Listen: []string{"127.0.0.1:0"}, Users: users},
		"no address":     {Listen: []string{"udp://127.0.0.1:0", "udp://0.0.0.0:0"}, Users: users},
	} {
		if s, err := Listen(t.Context(), cfg); err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
