package registrar_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/sip/registrar"
)

const (
	fromAlice = "From: <sip:alice@example.org>;tag=from"
	toBob     = "To: <sip:bob@example.org>"
	toAlice   = "To: <sip:alice@example.org>"
)

// alone runs a test with one raw peer.
func alone(t *testing.T, name string, f func(t *testing.T, w *world, r *raw)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			f(t, w, w.raw())
		})
	})
}

func TestHostileIdentity(t *testing.T) {
	alone(t, "From is not the user", func(t *testing.T, _ *world, r *raw) {
		r.login("alice", 403, "INVITE sip:bob@example.org", "From: <sip:carol@example.org>;tag=from")
	})
	alone(t, "From is of another domain", func(t *testing.T, _ *world, r *raw) {
		r.login("alice", 403, "INVITE sip:bob@example.org", "From: <sip:alice@example.com>;tag=from")
	})
	alone(t, "REGISTER of another user", func(t *testing.T, _ *world, r *raw) {
		r.login("alice", 403, "REGISTER sip:example.org", toBob, "Contact: <sip:alice@10.0.0.2>")
	})
	alone(t, "REGISTER in another domain", func(t *testing.T, _ *world, r *raw) {
		r.ask(404, "REGISTER sip:example.org", "To: <sip:alice@example.com>")
		r.ask(403, "REGISTER sip:example.com", toAlice)
	})
	alone(t, "MESSAGE without credentials", func(t *testing.T, _ *world, r *raw) { r.ask(407, "MESSAGE sip:bob@example.org") })
	alone(t, "the user with escapes is the same", func(t *testing.T, _ *world, r *raw) {
		r.login("alice", 200, "REGISTER sip:example.org", "To: <sip:%61lice@example.org>", "Contact: <sip:alice@10.0.0.2>")
	})
}

func TestRFC7616Section3_4Replay(t *testing.T) {
	alone(t, "the same credentials again", func(t *testing.T, _ *world, r *raw) {
		_, cred := r.login("alice", 200, "REGISTER sip:example.org", toAlice, "Contact: <sip:alice@10.0.0.2>")
		res := r.ask(401, "REGISTER sip:example.org", toAlice, "Contact: <sip:mallory@10.0.0.2>", cred)
		if h := res.GetHeader("www-authenticate"); h == nil || !strings.Contains(h.Value(), "stale=true") {
			t.Errorf("challenge %v, want stale: the password was right", h)
		}
	})
	alone(t, "the next count", func(t *testing.T, _ *world, r *raw) {
		const start = "REGISTER sip:example.org"
		challenge := r.ask(401, start, toAlice)
		for nc := range uint32(3) {
			r.ask(200, start, toAlice, r.credentials(challenge, "alice", start, nc+1))
		}
	})
	alone(t, "from another address", func(t *testing.T, w *world, r *raw) {
		const start = "REGISTER sip:example.org"
		challenge := r.ask(401, start, toAlice)
		w.raw().ask(401, start, toAlice, r.credentials(challenge, "alice", start, 1))
	})
	alone(t, "credentials of another method", func(t *testing.T, _ *world, r *raw) {
		const start = "MESSAGE sip:bob@example.org"
		challenge := r.ask(407, start)
		r.ask(407, "INVITE sip:bob@example.org", r.credentials(challenge, "alice", start, 1))
	})
	alone(t, "after five minutes", func(t *testing.T, _ *world, r *raw) {
		const start = "REGISTER sip:example.org"
		challenge := r.ask(401, start, toAlice)
		pass(5 * time.Minute)
		r.ask(401, start, toAlice, r.credentials(challenge, "alice", start, 1))
	})
}

// Nobody can have the server send where it would not by itself.
func TestHostileOpenRelay(t *testing.T) {
	for name, lines := range map[string][]string{
		"foreign domain":              nil,
		"a route of one's own":        {"Route: <sip:10.0.0.9;lr>"},
		"a route through us":          {"Route: <sip:example.org;lr>"},
		"through us and on":           {"Route: <sip:example.org;lr>", "Route: <sip:10.0.0.9;lr>"},
		"a dialog that never was":     {"To: <sip:bob@example.org>;tag=to", "Route: <sip:example.org;lr>"},
		"an invented token":           {"To: <sip:bob@example.org>;tag=to", "Route: <sip:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@10.0.0.1;lr>"},
		"a strict route":              {"To: <sip:bob@example.org>;tag=to", "Route: <sip:10.0.0.9>"},
		"credentials change nothing?": {"Proxy-Authorization: Digest username=\"alice\", realm=\"example.org\", nonce=\"x\", uri=\"sip:10.0.0.9\", response=\"y\""},
	} {
		alone(t, name, func(t *testing.T, w *world, r *raw) {
			for _, method := range []string{"INVITE", "BYE", "MESSAGE"} {
				r.ask(403, method+" sip:victim@10.0.0.9", lines...)
			}
			if n := w.count("-> INVITE") + w.count("-> BYE") + w.count("-> MESSAGE"); n != 0 {
				t.Errorf("%d requests went out", n)
			}
		})
	}
	alone(t, "an ACK for nothing", func(t *testing.T, w *world, r *raw) {
		r.send(r.request("ACK sip:victim@10.0.0.9", "Route: <sip:example.org;lr>"))
		synctest.Wait()
		pass(time.Second)
		if n := w.count("-> "); n != 0 {
			t.Errorf("%d messages went out", n)
		}
	})
	alone(t, "a contact elsewhere is reached where it came from", func(t *testing.T, w *world, r *raw) {
		r.login("bob", 200, "REGISTER sip:example.org", toBob, "Contact: <sip:bob@10.0.0.9>")
		caller := w.raw()
		const start = "MESSAGE sip:bob@example.org"
		caller.send(caller.request(start, caller.credentials(caller.ask(407, start), "alice", start, 1)))
		if m, ok := r.receive().(*sipmsg.Request); !ok || m.Recipient.Host != "10.0.0.9" {
			t.Errorf("got %v, want the MESSAGE on the flow of the REGISTER", m)
		}
	})
}

func TestRFC3261Section16_3Validation(t *testing.T) {
	for _, tt := range []struct {
		name, start string
		code        int
		lines       []string
	}{
		{"other scheme", "INVITE tel:+15551234", 416, nil},
		{"sips", "INVITE sips:bob@example.org", 416, nil},
		{"no hops left", "INVITE sip:bob@example.org", 483, []string{"Max-Forwards: 0"}},
		{"what the proxy cannot", "INVITE sip:bob@example.org", 420, []string{"Proxy-Require: foo"}},
		{"what the registrar cannot", "REGISTER sip:example.org", 420, []string{"Require: gruu"}},
		{"for the server", "OPTIONS sip:example.org", 200, nil},
		{"nobody", "MESSAGE sip:example.org", 404, nil},
		{"a dialog that never was", "BYE sip:bob@example.org", 481, []string{"To: <sip:bob@example.org>;tag=to"}},
		{"a CANCEL for nothing", "CANCEL sip:bob@example.org", 481, nil},
	} {
		alone(t, tt.name, func(t *testing.T, _ *world, r *raw) { r.ask(tt.code, tt.start, tt.lines...) })
	}
	alone(t, "loop", func(t *testing.T, w *world, bob *raw) {
		bob.login("bob", 200, "REGISTER sip:example.org", toBob, "Contact: <sip:bob@10.0.0.2>")
		caller := w.raw()
		const start = "INVITE sip:bob@example.org"
		caller.send(caller.request(start, caller.credentials(caller.ask(407, start), "alice", start, 1)))
		req, ok := bob.receive().(*sipmsg.Request)
		if !ok {
			t.Fatal("no INVITE")
		}
		if got := req.GetHeaders("record-route"); len(got) != 1 {
			t.Errorf("%d Record-Route values, want one between two UDP sides", len(got))
		}
		if h := req.GetHeader("proxy-authorization"); h != nil {
			t.Error("the caller's credentials went on to the callee")
		}
		if req.MaxForwards() == nil || req.MaxForwards().Val() != 70 {
			t.Errorf("Max-Forwards %v, want 70 added", req.MaxForwards())
		}
		// bob forwards it to himself, as it came.
		req.Recipient = sipmsg.Uri{Scheme: "sip", User: "bob", Host: "example.org"}
		req.PrependHeader(&sipmsg.ViaHeader{
			ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "10.0.0.2", Port: 5060,
			Params: sipmsg.HeaderParams{{K: "branch", V: "z9hG4bKloop"}},
		})
		bob.send(req.String())
		if res := bob.final(); res.StatusCode != 482 {
			t.Errorf("%d, want 482", res.StatusCode)
		}
	})
}

func TestHostileRegisterFlood(t *testing.T) {
	alone(t, "contacts of one user", func(t *testing.T, w *world, r *raw) {
		const start = "REGISTER sip:example.org"
		challenge := r.ask(401, start, toAlice)
		var res *sipmsg.Response
		for i := range 200 {
			res = r.ask(200, start, toAlice, fmt.Sprintf("Contact: <sip:alice@10.0.0.2:%d>", i+1), r.credentials(challenge, "alice", start, uint32(i+1)))
		}
		if n := len(res.GetHeaders("contact")); n != 10 {
			t.Errorf("%d bindings, want 10", n)
		}
		if !strings.Contains(res.String(), "10.0.0.2:200>") {
			t.Error("the newest contact is not among them")
		}
	})
	alone(t, "requests of one source", func(t *testing.T, w *world, r *raw) {
		for range 5000 {
			r.send(r.request("REGISTER sip:example.org", toAlice))
		}
		pass(time.Millisecond)
		if n := w.count("-> 401"); n < 100 || n > 1000 {
			t.Errorf("%d challenges, want at most the burst of 1000", n)
		}
		pass(2 * time.Second)
		w.raw().ask(401, "REGISTER sip:example.org", toBob) // others are served
	})
	alone(t, "guessing passwords", func(t *testing.T, w *world, r *raw) {
		const start = "REGISTER sip:example.org"
		challenge := r.ask(401, start, toAlice)
		for range 300 {
			r.send(r.request(start, toAlice, strings.Replace(r.credentials(challenge, "alice", start, 1), `response="`, `response="0`, 1)))
		}
		pass(time.Millisecond)
		if n := w.count("-> 401"); n > 110 {
			t.Errorf("%d answers to 300 guesses, want about 91", n)
		}
	})
}

func TestListenRefusesStrangersWithoutUsers(t *testing.T) {
	sim := netsim.New(1)
	defer sim.Close()
	host := sim.NewHost(serverIP, nil)
	for _, at := range []string{"udp://" + serverIP + ":5060", "udp://:5060", "tcp://0.0.0.0:0", "udp://localhost:5060", "udp://[::]:5060", "nonsense"} {
		if s, err := registrar.Listen(t.Context(), &registrar.Config{Network: host, Listen: []string{at}}); err == nil {
			t.Errorf("%s without Users: listens", at)
			_ = s.Close()
		}
	}
}

func TestConfigLogsNoPassword(t *testing.T) {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "config", registrar.Config{Domain: domain, Users: users})
	for _, password := range users {
		if strings.Contains(b.String(), password) {
			t.Errorf("%s holds a password", b.String())
		}
	}
}

// On the wire of the simulation nothing of a password may be seen either.
func TestLogOfACallHoldsNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b lockedBuilder
		w := newWorld(t, func(c *registrar.Config) {
			c.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		alice, bob := w.phone("alice", "udp"), w.phone("bob", "tcp")
		bob.registered()
		talk(t, alice, bob)
		for _, secret := range []string{users["alice"], users["bob"], "response=", offer} {
			if strings.Contains(b.String(), secret) {
				t.Errorf("the log holds %q", secret)
			}
		}
	})
}

func TestAddr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		want := netip.MustParseAddrPort(serverIP + ":5060")
		if u, c, n := w.srv.Addr("udp"), w.srv.Addr("tcp"), w.srv.Addr("tls"); u != want || c != want || n.IsValid() {
			t.Errorf("addresses %v %v %v, want %v twice and none", u, c, n, want)
		}
	})
}

// A challenge is not a way to have us shoot at others, or to fill our memory: it is sent
// once, whatever it answers, and nothing is kept.
func TestChallengesAreStateless(t *testing.T) {
	alone(t, "INVITE", func(t *testing.T, w *world, r *raw) {
		text := r.request("INVITE sip:bob@example.org", toBob)
		r.send(text)
		pass(time.Minute)
		if n := w.count("-> "); n != 1 || w.count("-> 407") != 1 {
			t.Errorf("%d messages for one INVITE: %q", n, w.trace)
		}
		first := r.receive()
		r.send(text)
		if again := r.receive(); again == nil || first == nil || again.To().Value() != first.To().Value() {
			t.Errorf("the retransmission was answered with another To tag:\n%v\n%v", first, again)
		}
	})
}
