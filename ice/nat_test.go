package ice

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/ice/relay"
	"github.com/peercall/peercall/internal/netsim"
)

const serverIP = "203.0.113.1"

var (
	stunServer = Server{URL: "stun:" + serverIP}
	turnServer = Server{URL: "turn:" + serverIP + "?transport=udp", Username: "u", Password: "secret"}
)

// relay starts a STUN and TURN server on a host of its own.
func (w world) relay() *relay.Server {
	w.t.Helper()
	s, err := relay.Listen(w.t.Context(), &relay.Config{
		Network: w.host(serverIP, nil), Listen: []string{"udp://" + serverIP + ":3478"},
		Users: map[string]string{"u": "secret"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (w world) behind(kind netsim.NATKind, private, public string) *netsim.Host {
	return w.host(private, w.NewNAT(kind, public))
}

func addrs(d Description, t CandidateType) (as []netip.AddrPort) {
	for _, c := range d.Candidates {
		if c.Type == t {
			as = append(as, c.Addr)
		}
	}
	return as
}

func TestRFC8445_5_1_ReflexiveThroughTwoNATs(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		x := w.gather(w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"), stunServer)
		y := w.gather(w.behind(netsim.PortRestricted, "10.1.0.2", "198.51.100.2"), stunServer)
		dx, dy := local(t, x), local(t, y)
		if as := addrs(dx, ServerReflexive); len(as) != 1 || as[0].Addr().String() != "198.51.100.1" || dx.Default != as[0] {
			t.Fatalf("reflexive %v, default %v; want one at the NAT's address, as the default too", as, dx.Default)
		}
		// The mapped address is only told; the base is what checks (RFC 8445
		// section 6.1.2.4).
		px, py := pair(t, x, y, Controlling, Controlled)
		bothWays(t, px, py)
		if s := px.Selected(); s.Remote.Addr != addrs(dy, ServerReflexive)[0] || s.Local.Type != Host {
			t.Errorf("selected %v and %v, want our host and the peer's reflexive candidate", s.Local, s.Remote)
		}
	})
}

// A NAT forgets a mapping after 30 seconds; it rings for two minutes.
func TestRFC8445_11_BindingsAreKeptWhileRinging(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		x := w.gather(w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"), turnServer)
		y := w.gather(w.behind(netsim.PortRestricted, "10.1.0.2", "198.51.100.2"), stunServer)
		local(t, x)
		local(t, y)
		time.Sleep(2 * time.Minute)
		px, py := pair(t, x, y, Controlling, Controlled)
		bothWays(t, px, py)
		if px.Relayed() {
			t.Errorf("relayed, want direct: the mappings were kept")
		}
	})
}

func TestSymmetricNATsNeedTheRelay(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		s := w.relay()
		x := w.gather(w.behind(netsim.Symmetric, "10.0.0.2", "198.51.100.1"), turnServer)
		y := w.gather(w.behind(netsim.Symmetric, "10.1.0.2", "198.51.100.2"), turnServer)
		start := time.Now()
		px, py := pair(t, x, y, Controlling, Controlled)
		t.Logf("connected after %v", time.Since(start))
		bothWays(t, px, py)
		if !px.Relayed() || !py.Relayed() {
			t.Errorf("relayed: %v, %v; want both", px.Relayed(), py.Relayed())
		}
		if n := s.Stats().Allocations; n != 2 {
			t.Errorf("%d allocations, want 2", n)
		}
		time.Sleep(15 * time.Minute) // allocation, permissions and channels are refreshed
		bothWays(t, px, py)
		_, _ = x.Close(), y.Close()
		time.Sleep(time.Second)
		if n := s.Stats().Allocations; n != 0 {
			t.Errorf("%d allocations after Close, want none", n)
		}
	})
}

// Direct pairs are preferred over the relay, which answers sooner.
func TestDirectIsPreferred(t *testing.T) {
	for _, k := range []netsim.NATKind{netsim.FullCone, netsim.RestrictedCone, netsim.PortRestricted} {
		t.Run(k.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w world) {
				w.relay()
				x := w.gather(w.behind(k, "10.0.0.2", "198.51.100.1"), turnServer)
				y := w.gather(w.behind(k, "10.1.0.2", "198.51.100.2"), turnServer)
				px, py := pair(t, x, y, Controlling, Controlled)
				bothWays(t, px, py)
				if px.Relayed() || py.Relayed() {
					t.Errorf("relayed, want direct")
				}
			})
		})
	}
}

func TestRelayOnly(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		x := gather(t, &Config{Network: w.host("192.0.2.1", nil), Servers: []Server{turnServer}, RelayOnly: true})
		y := w.gather(w.host("192.0.2.2", nil))
		d := local(t, x)
		if len(d.Candidates) != 1 || d.Candidates[0].Type != Relayed || d.Candidates[0].Related.IsValid() || d.Default != d.Candidates[0].Addr {
			t.Fatalf("told %v, default %v; want the relayed candidate alone, and nothing of our own address", d.Candidates, d.Default)
		}
		start := time.Now()
		px, py := pair(t, x, y, Controlling, Controlled)
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Errorf("connected after %v: waited for direct pairs that cannot be", d)
		}
		bothWays(t, px, py)
		if !px.Relayed() || !py.Relayed() {
			t.Error("not relayed")
		}
		// A peer without ICE, through the relay.
		dp, err := x.Direct(netip.MustParseAddrPort("192.0.2.2:9"))
		if err != nil || !dp.Relayed() {
			t.Errorf("Direct: %v, relayed %v; want it through the relay", err, err == nil && dp.Relayed())
		}
	})
}

// One offer behind a symmetric NAT, one socket and one allocation, three forks:
// a public host, a port-restricted NAT, a symmetric NAT that needs the relay.
// Their checks come long before their answers.
func TestForksShareSocketAndAllocation(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		s := w.relay()
		x := w.gather(w.behind(netsim.Symmetric, "10.0.0.2", "198.51.100.1"), turnServer)
		offer := overText(t, local(t, x))
		hosts := []*netsim.Host{
			w.host("192.0.2.7", nil),
			w.behind(netsim.PortRestricted, "10.1.0.2", "198.51.100.10"),
			w.behind(netsim.Symmetric, "10.2.0.2", "198.51.100.11"),
		}
		var there, here [3]*Path
		var answers [3]Description
		var wg sync.WaitGroup
		for i, h := range hosts {
			y := w.gather(h, stunServer)
			answers[i] = overText(t, local(t, y))
			wg.Go(func() {
				p, err := y.Connect(t.Context(), Controlled, offer)
				if err != nil {
					t.Errorf("fork %d: %v", i, err)
				}
				there[i] = p
			})
		}
		time.Sleep(2500 * time.Millisecond) // the answers travel slowly
		for i, d := range answers {
			wg.Go(func() {
				p, err := x.Connect(t.Context(), Controlling, d)
				if err != nil {
					t.Errorf("answer %d: %v", i, err)
				}
				here[i] = p
			})
		}
		start := time.Now()
		wg.Wait()
		if t.Failed() {
			return
		}
		t.Logf("all forks after %v", time.Since(start))
		if n := s.Stats().Created; n != 1 {
			t.Errorf("%d allocations for three forks, want 1", n)
		}
		if here[0].Relayed() || !here[2].Relayed() {
			t.Errorf("relayed: %v, %v; want the public fork direct, the symmetric one relayed", here[0].Relayed(), here[2].Relayed())
		}
		for i := range 3 { // media apart
			in := receive(here[i])
			send(t, there[i], fmt.Sprint("\x80 fork ", i))
			in.wants(t, fmt.Sprint("\x80 fork ", i))
			in = receive(there[i])
			send(t, here[i], fmt.Sprint("\x80 offerer to ", i))
			in.wants(t, fmt.Sprint("\x80 offerer to ", i))
		}
		_ = here[0].Close() // one fork ends, the others live
		bothWays(t, here[1], there[1])
		bothWays(t, here[2], there[2])
		// Its consent expires: an ended fork is not answered like an early one.
		<-there[0].Done()
		if _, ok := errors.AsType[*ConsentError](there[0].Err()); !ok {
			t.Errorf("the ended fork's peer ended with %v, want a ConsentError", there[0].Err())
		}
	})
}

// Allocations live 10 minutes, permissions 5, channels 10, credentials' nonces an
// hour (RFC 8656): a long call outlives them all, and what it leaves is nothing.
func TestRFC8656_LongRelayedCall(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		srv := w.relay()
		x := w.gather(w.behind(netsim.Symmetric, "10.0.0.2", "198.51.100.1"), turnServer)
		y := w.gather(w.behind(netsim.Symmetric, "10.1.0.2", "198.51.100.2"), turnServer)
		px, py := pair(t, x, y, Controlling, Controlled)
		ix, iy := receive(px), receive(py)
		for i := range 130 * 6 { // 130 minutes, on hold as it were: a packet now and then
			send(t, px, fmt.Sprint("\x80 to y ", i))
			iy.wants(t, fmt.Sprint("\x80 to y ", i))
			send(t, py, fmt.Sprint("\x80 to x ", i))
			ix.wants(t, fmt.Sprint("\x80 to x ", i))
			time.Sleep(10 * time.Second)
		}
		if !px.Relayed() || px.Err() != nil || py.Err() != nil {
			t.Errorf("relayed %v, ended %v, %v", px.Relayed(), px.Err(), py.Err())
		}
		_, _ = x.Close(), y.Close()
		time.Sleep(time.Second) // the last refreshes, not waited for
		if st := srv.Stats(); st.Allocations != 0 {
			t.Errorf("%d allocations left", st.Allocations)
		}
	})
}
