package ice

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// gather makes a gatherer that the test closes.
func gather(t testing.TB, cfg *Config) *Gatherer {
	t.Helper()
	g, err := NewGatherer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

func local(t testing.TB, g *Gatherer) Description {
	t.Helper()
	d, err := g.Local(t.Context())
	return must(t, d, err)
}

// overText sends a description through the text of RFC 8839.
func overText(t testing.TB, d Description) Description {
	t.Helper()
	for i, c := range d.Candidates {
		p, err := ParseCandidate("a=candidate:" + c.String())
		if err != nil {
			t.Fatal(err)
		}
		d.Candidates[i] = p
	}
	return d
}

// pair connects two gatherers; the roles are given, equal ones are a conflict.
func pair(t testing.TB, x, y *Gatherer, rx, ry Role) (*Path, *Path) {
	t.Helper()
	dx, dy := overText(t, local(t, x)), overText(t, local(t, y))
	var px, py *Path
	var ex, ey error
	var wg sync.WaitGroup
	wg.Go(func() { px, ex = x.Connect(t.Context(), rx, dy) })
	wg.Go(func() { py, ey = y.Connect(t.Context(), ry, dx) })
	wg.Wait()
	if ex != nil || ey != nil {
		t.Fatalf("connect: %v, %v", ex, ey)
	}
	return px, py
}

// inbox collects what a path receives, copied.
type inbox chan string

func receive(p *Path) inbox {
	in := make(inbox, 4096)
	p.Handle(func(b []byte, _ netip.AddrPort) { in <- string(b) })
	return in
}

func (in inbox) wants(t testing.TB, want string) {
	t.Helper()
	select {
	case got := <-in:
		if got != want {
			t.Fatalf("received %q, want %q", got, want)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("received nothing, want %q", want)
	}
}

func send(t testing.TB, p *Path, s string) {
	t.Helper()
	if n, err := p.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
}

// bothWays sends a packet each way. A first byte of 128 is RTP's.
func bothWays(t testing.TB, x, y *Path) {
	t.Helper()
	ix, iy := receive(x), receive(y)
	send(t, x, "\x80 to y")
	iy.wants(t, "\x80 to y")
	send(t, y, "\x80 to x")
	ix.wants(t, "\x80 to x")
}

func TestConnectLoopback(t *testing.T) {
	x, y := gather(t, &Config{Addrs: loopback}), gather(t, &Config{Addrs: loopback})
	px, py := pair(t, x, y, Controlling, Controlled)
	bothWays(t, px, py)
	if s := px.Selected(); s.Local.Type != Host || s.Remote.Addr != local(t, y).Default || px.Relayed() {
		t.Errorf("selected %+v, relayed %v; want the two hosts", s, px.Relayed())
	}
	if s := px.Stats(); s.PacketsSent != 1 || s.BytesSent != 6 || s.PacketsReceived != 1 || s.Consent.IsZero() {
		t.Errorf("stats %+v", s)
	}
	// Setting the clock by a minute must not end calls: it is a monotonic time.
	if at := px.Stats().Consent.String(); !strings.Contains(at, " m=") {
		t.Errorf("consent is of the wall clock: %v", at)
	}
}

// world is a simulated network whose links take 20 ms.
type world struct {
	*netsim.Sim
	t testing.TB
}

var slow = netsim.Link{Delay: 20 * time.Millisecond}

// simulate runs f in a bubble; after it everything must have ended.
func simulate(t *testing.T, f func(t *testing.T, w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := netsim.New(1)
		t.Cleanup(func() {
			if open := s.Open(); len(open) > 0 {
				t.Errorf("sockets left open: %v", open)
			}
			s.Close()
		})
		f(t, world{s, t})
	})
}

func (w world) host(ip string, nat *netsim.NAT) *netsim.Host {
	h := w.NewHost(ip, nat)
	h.SetLink(slow, slow)
	return h
}

func (w world) gather(h *netsim.Host, servers ...Server) *Gatherer {
	w.t.Helper()
	return gather(w.t, &Config{Network: h, Servers: servers})
}

func TestConnectSimulated(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		start := time.Now()
		px, py := pair(t, x, y, Controlling, Controlled)
		// A check and its response, a nomination and its response: two round
		// trips of 80 ms.
		if d := time.Since(start); d > 200*time.Millisecond {
			t.Errorf("connected after %v, want two round trips of 80 ms", d)
		}
		bothWays(t, px, py)
	})
}
