package ice

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

// restart restarts ICE on both sides as an offer and an answer would.
func restart(t *testing.T, x, y *Gatherer, px, py *Path) {
	t.Helper()
	dx, err := x.Renew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dy, err := y.Renew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ex, ey error
	var wg sync.WaitGroup
	wg.Go(func() { ey = y.Restart(t.Context(), py, 0, dy, overText(t, dx)) })
	wg.Go(func() { ex = x.Restart(t.Context(), px, 0, dx, overText(t, dy)) })
	wg.Wait()
	if ex != nil || ey != nil {
		t.Fatalf("restart: %v, %v", ex, ey)
	}
}

// A NAT forgets its mappings, or has another public address: Renew tells where
// the sockets are found now, on the same sockets and with the same paths.
func TestRFC8445_9_RenewAfterTheNATForgot(t *testing.T) {
	for _, kind := range []netsim.NATKind{netsim.FullCone, netsim.RestrictedCone, netsim.PortRestricted, netsim.Symmetric} {
		for _, public := range []string{"", "198.51.100.77"} {
			t.Run(fmt.Sprintf("%v to %q", kind, public), func(t *testing.T) {
				simulate(t, func(t *testing.T, w world) {
					srv := w.relay()
					nat := w.NewNAT(kind, "198.51.100.1")
					x := w.gather(w.host("10.0.0.2", nat), turnServer, stunServer)
					y := w.gather(w.behind(kind, "10.1.0.2", "198.51.100.2"), turnServer)
					before := local(t, x)
					px, py := pair(t, x, y, Controlling, Controlled)
					bothWays(t, px, py)
					for range 3 { // again and again
						w.Rebind(nat, public)
						public = ""
						ix, iy := receive(px), receive(py)
						_, _ = px.Write([]byte("\x80 lost"))
						if kind == netsim.FullCone {
							// y answers our checks wherever they come from, and its own are lost.
							old := px.Stats().Mapped
							time.Sleep(10 * time.Second)
							if now := px.Stats().Mapped; !old.IsValid() || now == old || time.Since(px.Stats().Consent) > 6*time.Second {
								t.Errorf("seen at %v before and %v after, consent %v old", old, now, time.Since(px.Stats().Consent))
							}
						}
						restart(t, x, y, px, py)
						for len(ix)+len(iy) > 0 { // a full cone lets strays in
							select {
							case <-ix:
							case <-iy:
							}
						}
						bothWays(t, px, py)
						if px.Relayed() != (kind == netsim.Symmetric) {
							t.Errorf("relayed: %v", px.Relayed())
						}
						time.Sleep(time.Minute)
						bothWays(t, px, py)
						now := local(t, x)
						if !before.Moved(now) {
							t.Errorf("tells %v still", now.Candidates)
						}
						if as := addrs(now, ServerReflexive); len(as) != 1 || as[0].Addr() != nat.Public() {
							t.Errorf("reflexive %v, want one at %v", as, nat.Public())
						}
						before = now
					}
					time.Sleep(15 * time.Minute) // the dead allocations expire, one in use is refreshed
					bothWays(t, px, py)
					if n := srv.Stats().Allocations; n > 2 {
						t.Errorf("%d allocations, want one each at most", n)
					}
				})
			})
		}
	}
}

// Nothing changed: the addresses and the allocation are kept.
func TestRenewKeepsWhatLives(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		srv := w.relay()
		x := w.gather(w.behind(netsim.Symmetric, "10.0.0.2", "198.51.100.1"), turnServer)
		y := w.gather(w.behind(netsim.Symmetric, "10.1.0.2", "198.51.100.2"), turnServer)
		before := local(t, x)
		px, py := pair(t, x, y, Controlling, Controlled)
		s := startStream(px, py)
		time.Sleep(time.Second)
		restart(t, x, y, px, py)
		time.Sleep(time.Minute)
		if now := local(t, x); before.Moved(now) {
			t.Errorf("told %v, now %v", before.Candidates, now.Candidates)
		}
		if sent, lost := s.end(); lost != 0 {
			t.Errorf("lost %d of %d packets", lost, sent)
		}
		if n := srv.Stats().Created; n != 2 {
			t.Errorf("%d allocations made, want 2", n)
		}
	})
}

// The servers are gone: Renew tells what they said before, in bounded time, and
// Close ends it at once.
func TestRenewWithoutServers(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		w.relay()
		x := w.gather(w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"), turnServer, stunServer)
		before := local(t, x)
		w.Filter(func(_, to netip.AddrPort, _ []byte) bool { return to.Addr().String() == serverIP })
		start := time.Now()
		now, err := x.Renew(t.Context())
		if err != nil || before.Moved(now) || now.Ufrag == before.Ufrag {
			t.Errorf("renewed: %v, %v; want the old addresses under a new ufrag", now, err)
		}
		if d := time.Since(start); d > gatherTimeout {
			t.Errorf("took %v", d)
		}
		if n := len(x.Errors()); n != 0 {
			t.Errorf("%d errors: what Renew meets does not concern the call", n)
		}
		done := make(chan error)
		go func() {
			_, err := x.Renew(t.Context())
			done <- err
		}()
		time.Sleep(time.Second)
		start = time.Now()
		_ = x.Close()
		<-done
		if d := time.Since(start); d > 0 {
			t.Errorf("Close waited %v for Renew", d)
		}
	})
}
