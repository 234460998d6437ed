package ice

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

func TestRFC8445_7_3_1_1_RoleConflict(t *testing.T) {
	for _, r := range []Role{Controlling, Controlled} {
		t.Run("both "+r.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w world) {
				x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
				px, py := pair(t, x, y, r, r)
				if px.Role() == py.Role() || px.Role() == 0 {
					t.Errorf("roles %v and %v, want one of each", px.Role(), py.Role())
				}
				bothWays(t, px, py)
			})
		})
	}
}

// The callee checks at once and is answered at once; the answer takes five
// seconds and has no candidates.
func TestRFC8445_7_3_ChecksBeforeTheAnswer(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.behind(netsim.PortRestricted, "10.0.0.2", "198.51.100.1"))
		offer, answer := local(t, x), local(t, y)
		var px, py *Path
		var ex, ey error
		var wg sync.WaitGroup
		wg.Go(func() { py, ey = y.Connect(t.Context(), Controlled, offer) })
		time.Sleep(5 * time.Second)
		answer.Candidates = nil
		start := time.Now()
		wg.Go(func() { px, ex = x.Connect(t.Context(), Controlling, answer) })
		wg.Wait()
		if ex != nil || ey != nil {
			t.Fatalf("connect: %v, %v", ex, ey)
		}
		if d := time.Since(start); d > 300*time.Millisecond {
			t.Errorf("connected %v after the answer, want two round trips", d)
		}
		bothWays(t, px, py)
		if s := px.Selected().Remote; s.Type != PeerReflexive {
			t.Errorf("remote %v, want a peer-reflexive candidate", s)
		}
	})
}

// Media that comes before Connect returns and before Handle is kept.
func TestEarlyMediaIsHeld(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		for i := range maxEarly + 3 {
			send(t, py, "\x16"+strings.Repeat("c", i)) // ClientHello and friends
		}
		time.Sleep(time.Second)
		in := receive(px)
		for i := range maxEarly {
			in.wants(t, "\x16"+strings.Repeat("c", i))
		}
		if n := px.Stats().Dropped; n != 3 {
			t.Errorf("%d dropped, want 3", n)
		}
		send(t, py, "\x80")
		in.wants(t, "\x80")
	})
}

func TestConnectFails(t *testing.T) {
	nobody := Description{Ufrag: "nobo", Pwd: "nobody-nobody-nobody-nobody", Candidates: []Candidate{
		{Foundation: "1", Component: 1, Transport: "UDP", Priority: 1, Addr: netip.MustParseAddrPort("192.0.2.99:9"), Type: Host},
	}}
	t.Run("all checks time out", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			x := w.gather(w.host("192.0.2.1", nil))
			start := time.Now()
			_, err := x.Connect(t.Context(), Controlling, nobody)
			ce, ok := errors.AsType[*ChecksError](err)
			if !ok || len(ce.Pairs) != 1 || ce.Sent == 0 || ce.Received != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("error %v, want a ChecksError with its one pair that unwraps to a time-out", err)
			}
			if d := time.Since(start); d != checksTimeout {
				t.Errorf("gave up after %v, want %v", d, checksTimeout)
			}
			if ce.Sent > 80 {
				t.Errorf("%d checks to one address in 30 s: not paced", ce.Sent)
			}
		})
	})
	t.Run("the context ends", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			x := w.gather(w.host("192.0.2.1", nil))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := x.Connect(ctx, Controlling, nobody)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			x := w.gather(w.host("192.0.2.1", nil))
			got := make(chan error, 1)
			go func() { _, err := x.Connect(t.Context(), Controlling, nobody); got <- err }()
			time.Sleep(time.Second)
			_ = x.Close()
			if err := <-got; !errors.Is(err, ErrClosed) {
				t.Errorf("error %v, want ErrClosed", err)
			}
			if _, err := x.Connect(t.Context(), Controlling, nobody); !errors.Is(err, ErrClosed) {
				t.Errorf("error after Close %v, want ErrClosed", err)
			}
		})
	})
	t.Run("no candidate of the peer suits", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			x := w.gather(w.host("192.0.2.1", nil))
			d := nobody
			d.Candidates = nil
			for _, s := range []string{
				"1 1 UDP 1 2001:db8::1 9 typ host", "1 1 TCP 1 192.0.2.9 9 typ host tcptype passive", "1 2 UDP 1 192.0.2.9 9 typ host",
				"1 1 UDP 1 127.0.0.1 9 typ host", "1 1 UDP 1 0.0.0.0 9 typ host", "1 1 UDP 1 224.0.0.1 9 typ host", "1 1 UDP 1 192.0.2.9 0 typ host",
				"1 1 UDP 1 169.254.1.1 9 typ host", "1 1 UDP 1 192.0.2.9 9 typ carrier-pigeon",
			} {
				c, err := ParseCandidate(s)
				if err != nil {
					t.Fatal(err)
				}
				d.Candidates = append(d.Candidates, c)
			}
			if _, err := x.Connect(t.Context(), Controlling, d); !errors.Is(err, ErrNoCandidates) {
				t.Errorf("error %v, want ErrNoCandidates", err)
			}
		})
	})
	t.Run("the same fork twice", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
			pair(t, x, y, Controlling, Controlled)
			if _, err := x.Connect(t.Context(), Controlling, local(t, y)); err == nil {
				t.Error("connected the same ufrag twice")
			}
		})
	})
	t.Run("wrong password at the TURN server", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			w.relay()
			bad := turnServer
			bad.Password = "wrong-password"
			x := gather(t, &Config{Network: w.host("192.0.2.1", nil), Servers: []Server{bad}, RelayOnly: true})
			_, err := x.Local(t.Context())
			if !errors.Is(err, ErrNoCandidates) || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), bad.Password) {
				t.Errorf("error %v, want no candidates because of a 401, without the password", err)
			}
			if se, ok := errors.AsType[*ServerError](err); !ok || se.Code != 401 {
				t.Errorf("error %v does not unwrap to the 401", err)
			}
			if es := x.Errors(); len(es) != 1 || !strings.Contains(es[0].Error(), "401") {
				t.Errorf("server errors %v, want one 401", es)
			}

			// Not fatal when there are other candidates; told when they fail.
			y := w.gather(w.host("192.0.2.2", nil), bad)
			if _, err := y.Local(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = y.Connect(t.Context(), Controlling, nobody)
			se, ok := errors.AsType[*ServerError](err)
			if !ok || se.Code != 401 || se.URL != bad.URL {
				t.Errorf("error %v, want one that unwraps to the server's 401", err)
			}
		})
	})
	t.Run("servers that do not answer", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			w.AddName("turn.example.org", "203.0.113.77")
			start := time.Now()
			x := w.gather(w.host("192.0.2.1", nil), Server{URL: "stun:203.0.113.66"}, Server{URL: "turn:turn.example.org:3479", Username: "u", Password: "p"},
				Server{URL: "stun:nowhere.example.org"}, Server{URL: "turns:203.0.113.1"}, Server{URL: "turn:203.0.113.1?transport=tcp"}, Server{URL: "stun:[2001:db8::7]:1"})
			d := local(t, x)
			if len(d.Candidates) != 1 || time.Since(start) > gatherTimeout {
				t.Errorf("candidates %v after %v, want the host's within %v", d.Candidates, time.Since(start), gatherTimeout)
			}
			if es := x.Errors(); len(es) != 6 {
				t.Errorf("%d errors, want 6: %v", len(es), es)
			}
		})
	})
	t.Run("no interface", func(t *testing.T) {
		simulate(t, func(t *testing.T, w world) {
			if _, err := NewGatherer(t.Context(), &Config{Network: nowhere{w.host("192.0.2.1", nil)}}); !errors.Is(err, ErrNoCandidates) {
				t.Errorf("error %v, want ErrNoCandidates", err)
			}
		})
	})
}

type nowhere struct{ *netsim.Host }

func (nowhere) InterfaceAddrs() ([]netip.Prefix, error) { return nil, nil }
