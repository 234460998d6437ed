package ice

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// attacker is a socket on a host of its own.
type attacker struct {
	t  *testing.T
	pc net.PacketConn
}

func (w world) attacker(ip string) attacker {
	w.t.Helper()
	pc, err := w.host(ip, nil).ListenPacket(w.t.Context(), "udp", ip+":0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = pc.Close() })
	return attacker{w.t.(*testing.T), pc}
}

func (a attacker) sends(to netip.AddrPort, p []byte) {
	a.t.Helper()
	if _, err := a.pc.WriteTo(p, net.UDPAddrFromAddrPort(to)); err != nil {
		a.t.Fatal(err)
	}
}

// hears says how many packets came back within a second.
func (a attacker) hears() (n int) {
	_ = a.pc.SetReadDeadline(time.Now().Add(time.Second))
	for buf := make([]byte, 1500); ; n++ {
		if _, _, err := a.pc.ReadFrom(buf); err != nil {
			return n
		}
	}
}

func checkFor(t testing.TB, user, pwd string, more ...stun.Setter) []byte {
	t.Helper()
	set := append([]stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(user)}, more...)
	set = append(set, ice.AttrControlled(1), ice.PriorityAttr(1), stun.NewShortTermIntegrity(pwd), stun.Fingerprint)
	m, err := stun.Build(set...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func silent(t testing.TB, in inbox, why string) {
	t.Helper()
	select {
	case p := <-in:
		t.Errorf("delivered %q: %s", p, why)
	default:
	}
}

func TestHostileMediaFromAStranger(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		in := receive(px)
		mallory := w.attacker("192.0.2.66")
		mallory.sends(local(t, x).Default, []byte("\x80 stranger"))
		time.Sleep(time.Second)
		silent(t, in, "its source never passed a check")
		bothWays(t, px, py)
	})
}

func TestHostileCheckWithWrongIntegrity(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		dx, dy := local(t, x), local(t, y)
		in := receive(px)
		mallory := w.attacker("192.0.2.66")
		for _, user := range []string{dx.Ufrag + ":" + dy.Ufrag, dx.Ufrag + ":other", dx.Ufrag, ":", "", dx.Ufrag + ":"} {
			mallory.sends(dx.Default, checkFor(t, user, "wrong"))
			mallory.sends(dx.Default, []byte("\x80 let me in"))
		}
		if n := mallory.hears(); n != 0 {
			t.Errorf("%d answers to checks without our password", n)
		}
		silent(t, in, "a check with wrong integrity opened a route")
		if n := len(*x.bases[0].routes.Load()); n != 1 {
			t.Errorf("%d routes, want the peer's", n)
		}
		bothWays(t, px, py)
	})
}

// Responses that were not asked for, or whose integrity is wrong, renew no
// consent.
func TestHostileResponses(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, _ := pair(t, x, y, Controlling, Controlled)
		to := local(t, y).Default
		// The network answers every check of x itself, without the password.
		forge := w.attacker("192.0.2.66")
		w.Filter(func(_, dst netip.AddrPort, p []byte) bool { return dst == to && isSTUN(p) && isRequest(p) })
		for range 40 {
			time.Sleep(time.Second)
			b := x.bases[0]
			b.mu.Lock()
			ids := make([]txID, 0, len(b.tx[0]))
			for id := range b.tx[0] {
				ids = append(ids, id)
			}
			b.mu.Unlock()
			for _, id := range ids {
				m := stun.MustBuild(stun.NewTransactionIDSetter(id), stun.BindingSuccess,
					&stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 1}, stun.NewShortTermIntegrity("wrong"), stun.Fingerprint)
				forge.sends(local(t, x).Default, m.Raw)
			}
		}
		if _, ok := errors.AsType[*ConsentError](px.Err()); !ok {
			t.Errorf("path: %v, want consent lost", px.Err())
		}
	})
}

func TestHostileGarbage(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		x, y := w.gather(w.host("192.0.2.1", nil), turnServer), w.gather(w.host("192.0.2.2", nil))
		dx, dy := local(t, x), local(t, y)
		mallory := w.attacker("192.0.2.66")
		r := rand.New(rand.NewPCG(1, 2))
		throw := func() {
			good := checkFor(t, dx.Ufrag+":"+dy.Ufrag, dx.Pwd)
			for range 200 {
				p := make([]byte, r.IntN(200))
				for i := range p {
					p[i] = byte(r.Uint32())
				}
				if r.IntN(2) == 0 { // something close to STUN
					p = append([]byte(nil), good...)
					p[r.IntN(len(p))] ^= byte(1 + r.IntN(255))
					p = p[:4*r.IntN(len(p)/4+1)]
				}
				mallory.sends(dx.Default, p)
			}
		}
		throw()
		px, py := pair(t, x, y, Controlling, Controlled)
		throw()
		bothWays(t, px, py)
		time.Sleep(time.Minute)
		throw()
		bothWays(t, px, py)
	})
}

// Somebody who has the offer floods it with authentic checks of forks that never
// answer: what is held stays small, and a fork that is real connects.
func TestHostileHeldChecksAreBounded(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		dx, dy := local(t, x), local(t, y)
		for i := range 40 {
			mallory := w.attacker(fmt.Sprintf("192.0.2.%d", 100+i))
			for j := range 10 {
				mallory.sends(dx.Default, checkFor(t, fmt.Sprintf("%s:fork%d", dx.Ufrag, i/20*j), dx.Pwd))
			}
		}
		time.Sleep(time.Second)
		x.first.mu.Lock()
		total := x.first.total
		for user, m := range x.first.held {
			if len(m) > maxHeldFork {
				t.Errorf("%d checks held for %s, want at most %d", len(m), user, maxHeldFork)
			}
		}
		x.first.mu.Unlock()
		if total == 0 || total > maxHeld {
			t.Errorf("%d checks held, want 1 to %d", total, maxHeld)
		}
		var px, py *Path
		var ex, ey error
		var wg sync.WaitGroup
		wg.Go(func() { py, ey = y.Connect(t.Context(), Controlled, dx) })
		time.Sleep(time.Second)
		wg.Go(func() { px, ex = x.Connect(t.Context(), Controlling, dy) })
		wg.Wait()
		if ex != nil || ey != nil {
			t.Fatalf("connect: %v, %v", ex, ey)
		}
		bothWays(t, px, py)
	})
}

// A fork knows the offer's password. It cannot take the address of another.
func TestHostileForkTakesNoRoute(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x := w.gather(w.host("192.0.2.1", nil))
		b, p, q := x.bases[0], newPath(x), newPath(x)
		at := netip.MustParseAddrPort("192.0.2.2:4000")
		if !b.route(at, p) || b.route(at, q) || !b.route(at, p) {
			t.Error("a route changed its owner")
		}
		for i := range 2 * maxRoutes {
			b.route(netip.AddrPortFrom(at.Addr(), uint16(5000+i)), q)
		}
		if n := len(*b.routes.Load()); n != maxRoutes {
			t.Errorf("%d routes, want at most %d", n, maxRoutes)
		}
		b.unroute(q, nil)
		if n := len(*b.routes.Load()); n != 1 {
			t.Errorf("%d routes left, want p's", n)
		}
	})
}
