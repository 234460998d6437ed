package ice

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"

	"github.com/peercall/peercall/ice/internal/quiet"
	"github.com/peercall/peercall/ice/relay"
	"github.com/peercall/peercall/internal/netsim"
)

func TestConnectIPv6Loopback(t *testing.T) {
	six := []netip.Addr{netip.IPv6Loopback()}
	x, err := NewGatherer(t.Context(), &Config{Addrs: six})
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	t.Cleanup(func() { _ = x.Close() })
	px, py := pair(t, x, gather(t, &Config{Addrs: six}), Controlling, Controlled)
	bothWays(t, px, py)
}

// Both families are told, IPv4 first as the default; pairs are of one family.
func TestDualStack(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		hx, hy := w.host("192.0.2.1", nil), w.host("2001:db8::2", nil)
		hx.AddAddress("2001:db8::1", nil)
		hx.SetAddressLink("2001:db8::1", slow, slow)
		x, y := w.gather(hx), w.gather(hy)
		if d := local(t, x); len(d.Candidates) != 2 || !d.Default.Addr().Is4() {
			t.Fatalf("candidates %v, default %v; want one per family, IPv4 as the default", d.Candidates, d.Default)
		}
		px, py := pair(t, x, y, Controlling, Controlled)
		bothWays(t, px, py)
		if !px.Selected().Local.Addr.Addr().Is6() {
			t.Errorf("selected %v", px.Selected())
		}
	})
}

func TestConnectThroughLoss(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			s := netsim.New(seed)
			defer s.Close()
			w := world{s, t}
			lossy := netsim.Link{Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.03, Dup: 0.05, Reorder: 0.1}
			hx, hy := w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"), w.behind(netsim.PortRestricted, "10.1.0.2", "198.51.100.2")
			w.relay()
			x, y := w.gather(hx, turnServer), w.gather(hy, turnServer)
			local(t, x)
			local(t, y)
			hx.SetLink(lossy, lossy)
			hy.SetLink(lossy, lossy)
			start := time.Now()
			px, py := pair(t, x, y, Controlling, Controlled)
			t.Logf("seed %d: connected after %v, relayed %v", seed, time.Since(start), px.Relayed())
			// Four links lose 11% of the checks: seven in a row, which end a path by RFC
			// 7675, are not to be expected in this time.
			time.Sleep(3 * time.Minute)
			if px.Err() != nil || py.Err() != nil {
				t.Errorf("seed %d: paths ended: %v, %v", seed, px.Err(), py.Err())
			}
			_, _ = x.Close(), y.Close()
		})
	}
}

// "The full agent MUST take the controlling role, and the lite agent MUST take
// the controlled role" (RFC 8445 section 6.1.1). A lite agent sends no checks.
func TestRFC8445_6_1_1_LitePeer(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x := w.gather(w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"))
		y, err := ice.NewAgentWithOptions(
			ice.WithNet(w.host("192.0.2.2", nil).Transport()), ice.WithICELite(true), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
			ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithDisableActiveTCP(),
			ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithLoggerFactory(quiet.Factory{}))
		if err != nil {
			t.Fatal(err)
		}
		found := make(chan string, 8)
		_ = y.OnCandidate(func(c ice.Candidate) {
			if c != nil {
				found <- c.Marshal()
			}
		})
		if err := y.GatherCandidates(); err != nil {
			t.Fatal(err)
		}
		c, err := ParseCandidate(<-found)
		if err != nil {
			t.Fatal(err)
		}
		ufrag, pwd, _ := y.GetLocalUserCredentials()
		d := local(t, x)
		conn, err := y.StartAccept(d.Ufrag, d.Pwd)
		if err != nil {
			t.Fatal(err)
		}
		p, err := x.Connect(t.Context(), Controlled, Description{Ufrag: ufrag, Pwd: pwd, Lite: true, Candidates: []Candidate{c}})
		if err != nil {
			t.Fatal(err)
		}
		in := receive(p)
		send(t, p, "\x80 to lite")
		buf := make([]byte, 1500)
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "\x80 to lite" {
			t.Errorf("lite read %q, %v", buf[:n], err)
		}
		if _, err := conn.Write([]byte("\x80 from lite")); err != nil {
			t.Fatal(err)
		}
		in.wants(t, "\x80 from lite")
		if p.Role() != Controlling {
			t.Errorf("role %v, want controlling", p.Role())
		}
		_ = p.Close()
		_ = y.GracefulClose()
	})
}

// Two TURN servers on one socket, one of which goes away.
func TestTwoRelays(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		h := w.host("203.0.113.2", nil)
		if _, err := relay.Listen(t.Context(), &relay.Config{
			Network: h, Listen: []string{"udp://203.0.113.2:3478"}, Users: map[string]string{"u": "secret"},
		}); err != nil {
			t.Fatal(err)
		}
		second := turnServer
		second.URL = "turn:203.0.113.2"
		x := gather(t, &Config{Network: w.host("192.0.2.1", nil), Servers: []Server{turnServer, second}, RelayOnly: true})
		if d := local(t, x); len(d.Candidates) != 2 || d.Candidates[0].Foundation == d.Candidates[1].Foundation {
			t.Fatalf("candidates %v, want two with different foundations", d.Candidates)
		}
		h.Crash(true)
		px, py := pair(t, x, w.gather(w.host("192.0.2.2", nil)), Controlling, Controlled)
		bothWays(t, px, py)
	})
}

// A Network whose sockets have only the methods of net.PacketConn will do.
func TestPlainPacketConn(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x := gather(t, &Config{Network: plainNetwork{w.host("192.0.2.1", nil)}})
		px, py := pair(t, x, w.gather(w.host("192.0.2.2", nil)), Controlling, Controlled)
		bothWays(t, px, py)
	})
}

type plainNetwork struct{ *netsim.Host }

func (n plainNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	c, err := n.Host.ListenPacket(ctx, network, address)
	return struct{ net.PacketConn }{c}, err
}

// Close in the middle of everything ends everything: the bubble would not end
// otherwise, and the simulation names sockets left open.
func TestCloseAtAnyTime(t *testing.T) {
	for at := time.Duration(0); at < 700*time.Millisecond; at += 50 * time.Millisecond {
		simulate(t, func(t *testing.T, w world) {
			w.relay()
			x := w.gather(w.behind(netsim.Symmetric, "10.0.0.2", "198.51.100.1"), turnServer)
			y := w.gather(w.behind(netsim.Symmetric, "10.1.0.2", "198.51.100.2"), turnServer, Server{URL: "stun:203.0.113.99"})
			var wg sync.WaitGroup
			connect := func(g, other *Gatherer, r Role) {
				d, err := other.Local(t.Context())
				if err == nil {
					var p *Path
					if p, err = g.Connect(t.Context(), r, d); err == nil {
						p.Handle(func([]byte, netip.AddrPort) {})
						for err == nil {
							_, err = p.Write([]byte{0x80})
							time.Sleep(20 * time.Millisecond)
						}
						err = p.Err()
					}
				}
				if !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
					t.Errorf("error %v, want ErrClosed", err)
				}
			}
			wg.Go(func() { connect(x, y, Controlling) })
			wg.Go(func() { connect(y, x, Controlled) })
			time.Sleep(2*time.Second + at - 300*time.Millisecond)
			wg.Go(func() { _ = x.Close() })
			wg.Go(func() { _ = y.Close() })
			wg.Wait()
		})
	}
}
