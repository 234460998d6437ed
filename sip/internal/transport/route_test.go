package transport

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

func TestRFC3261Section18SizeRule(t *testing.T) {
	bubble(t, func(t *testing.T, s *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060")
		b := listen(t, bob, Limits{}, "udp://192.0.2.2:5060", "tcp://192.0.2.2:5060")
		c := listen(t, s.NewHost("192.0.2.3", nil), Limits{}, "udp://192.0.2.3:5060")
		defer a.Close()
		defer b.Close()
		defer c.Close()
		s.NewHost("192.0.2.4", nil).SetLink(netsim.Link{Down: true}, netsim.Link{Down: true})
		via := func(what, addr string, pinned bool, size int, want string, took time.Duration) {
			t.Helper()
			begin := time.Now()
			f, err := a.ForRequest(t.Context(), Target{Addr: netip.MustParseAddrPort(addr), Transport: "UDP", Pinned: pinned}, size)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if got := time.Since(begin); f.Transport() != want || got != took || f.Remote().String() != addr {
				t.Errorf("%s: %s after %v, want %s after %v", what, f.Transport(), got, want, took)
			}
		}
		via("1300 bytes", "192.0.2.2:5060", false, 1300, "UDP", 0)
		via("1301 bytes", "192.0.2.2:5060", false, 1301, "TCP", 0)
		via("transport=udp", "192.0.2.2:5060", true, 5000, "UDP", 0)
		via("TCP refused", "192.0.2.3:5060", false, 5000, "UDP", 0)
		via("TCP without an answer", "192.0.2.4:5060", false, 5000, "UDP", time.Second)
		via("remembered", "192.0.2.4:5060", false, 5000, "UDP", 0)
		time.Sleep(10 * time.Minute)
		via("forgotten after 10 minutes", "192.0.2.4:5060", false, 5000, "UDP", time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		time.Sleep(10 * time.Minute)
		if _, err := a.ForRequest(ctx, Target{Addr: netip.MustParseAddrPort("192.0.2.4:5060"), Transport: "UDP"}, 5000); err == nil {
			t.Error("the caller's own end must be an error")
		}
		via("whose end says nothing of the target", "192.0.2.4:5060", false, 5000, "UDP", time.Second)
		synctest.Wait()
	})
}

func TestFallbackIsBounded(t *testing.T) {
	var b fallback
	now := time.Unix(1, 0)
	for i := range 3 * denyEntries {
		b.deny(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060), now)
	}
	if len(b.until) > denyEntries {
		t.Errorf("%d targets remembered, want at most %d", len(b.until), denyEntries)
	}
}

func TestResolve(t *testing.T) {
	bubble(t, func(t *testing.T, s *netsim.Sim, alice, _ *netsim.Host) {
		s.AddName("bob.example", "192.0.2.2")
		s.AddName("six.example", "2001:db8::2")
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060")
		defer a.Close()
		tcpOnly := listen(t, alice, Limits{}, "tcp://192.0.2.1:5070")
		defer tcpOnly.Close()
		for _, test := range []struct {
			name string
			a    *agent
			q    Query
			want string // "" for an error
		}{
			{"number", a, Query{Host: "192.0.2.7"}, "[{192.0.2.7:5060 UDP false}]"},
			{"port", a, Query{Scheme: "SIP", Host: "192.0.2.7", Port: 5071}, "[{192.0.2.7:5071 UDP false}]"},
			{"transport=udp", a, Query{Host: "192.0.2.7", Transport: "udp"}, "[{192.0.2.7:5060 UDP true}]"},
			{"transport=TCP", a, Query{Host: "192.0.2.7", Transport: "TCP"}, "[{192.0.2.7:5060 TCP false}]"},
			{"without UDP", tcpOnly, Query{Host: "192.0.2.7"}, "[{192.0.2.7:5060 TCP false}]"},
			{"name", a, Query{Host: "bob.example"}, "[{192.0.2.2:5060 UDP false}]"},
			{"absolute name", a, Query{Host: "bob.example."}, "[{192.0.2.2:5060 UDP false}]"},
			{"unknown name", a, Query{Host: "nobody.example"}, ""},
			{"no host", a, Query{}, ""},
			{"a family we have no socket for", a, Query{Host: "[2001:db8::7]"}, ""},
			{"a name of that family", a, Query{Host: "six.example"}, ""},
			{"sips", a, Query{Scheme: "sips", Host: "192.0.2.7"}, ""},
			{"transport=tls", a, Query{Host: "192.0.2.7", Transport: "tls"}, "[{192.0.2.7:5061 TLS false 192.0.2.7}]"},
			{"a name with transport=tls", a, Query{Host: "Bob.example.", Transport: "TLS"}, "[{192.0.2.2:5061 TLS false bob.example}]"},
			{"an address of a domain", a, Query{Host: "192.0.2.7", Domain: "bob.example", Port: 5071, Transport: "tls"}, "[{192.0.2.7:5071 TLS false bob.example}]"},
			{"transport=ws", a, Query{Host: "192.0.2.7", Transport: "ws"}, ""},
		} {
			targets, err := test.a.Resolve(t.Context(), test.q)
			got := strings.ReplaceAll(fmt.Sprint(targets), " }", "}")
			if err != nil {
				got = ""
			}
			if got != test.want {
				t.Errorf("%s: got %s (%v), want %s", test.name, got, err, test.want)
			}
		}
		if _, err := a.Flow(t.Context(), Target{Transport: "sctp", Addr: netip.MustParseAddrPort("192.0.2.7:5060")}); err == nil {
			t.Error("a flow over SCTP")
		}
		if _, err := a.Flow(t.Context(), Target{Transport: "udp", Addr: netip.AddrPort{}}); err == nil {
			t.Error("a flow to nowhere")
		}
		if _, err := tcpOnly.Flow(t.Context(), Target{Transport: "udp", Addr: netip.MustParseAddrPort("192.0.2.7:5060")}); err == nil {
			t.Error("UDP without a socket")
		}
	})
}

func TestServes(t *testing.T) {
	for _, test := range []struct {
		local, remote string
		want          int
	}{
		{"0.0.0.0", "192.0.2.1", 2},
		{"0.0.0.0", "2001:db8::1", 0},
		{"::", "192.0.2.1", 2},
		{"::", "2001:db8::1", 2},
		{"192.0.2.1", "2001:db8::1", 0},
		{"192.0.2.1", "192.0.2.2", 3},
		{"127.0.0.1", "192.0.2.2", 1},
		{"127.0.0.1", "127.0.0.1", 3},
		{"::1", "::1", 3},
	} {
		if got := serves(netip.MustParseAddr(test.local), netip.MustParseAddr(test.remote)); got != test.want {
			t.Errorf("a socket on %s towards %s: %d, want %d", test.local, test.remote, got, test.want)
		}
	}
}

func TestListenAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, _ *netsim.Host) {
		for _, bad := range []string{"", "udp:1.2.3.4", "tls://192.0.2.1:5061", "udp://192.0.2.1", "udp://192.0.2.1:x", "tcp://192.0.2.1:70000", "udp://203.0.113.1:0"} {
			if tr, err := Listen(t.Context(), Config{Network: alice, Listen: []string{bad}, Handle: func(Inbound) {}}); err == nil {
				t.Errorf("%q was taken", bad)
				_ = tr.Close()
			}
		}
		a := listen(t, alice, Limits{})
		defer a.Close()
		u, _ := a.Addr("UDP")
		tcp, _ := a.Addr("TCP")
		if u.Port() == 0 || u.Port() != tcp.Port() {
			t.Errorf("by default UDP and TCP share a port: got %v and %v", u, tcp)
		}
		if _, ok := a.Addr("WS"); ok {
			t.Error("an address for a transport that is not there")
		}
		if _, err := Listen(t.Context(), Config{Network: alice, Listen: []string{"tcp://" + tcp.String()}, Handle: func(Inbound) {}}); err == nil {
			t.Error("a port that is taken")
		}
	})
}
