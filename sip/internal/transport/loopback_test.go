package transport

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/sysnet"
)

// On real sockets: a request and its response by each transport and family, with UDP and
// TCP on one free port.
func TestLoopback(t *testing.T) {
	for _, test := range []struct{ name, bind, dial string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "::1"},
		{"unspecified, over IPv4", ":0", "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.HasPrefix(test.bind, "[") {
				l, err := net.Listen("tcp", "[::1]:0")
				if err != nil {
					t.Skip("no IPv6 loopback here:", err)
				}
				_ = l.Close()
			}
			answers := make(chan *sipmsg.Response, 10)
			client, err := Listen(t.Context(), Config{
				Network: sysnet.Network{}, Listen: []string{"udp://" + test.bind, "tcp://" + test.bind},
				Handle: func(in Inbound) { answers <- in.Msg.(*sipmsg.Response) },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := Listen(t.Context(), Config{
				Network: sysnet.Network{}, Listen: []string{"udp://" + test.bind, "tcp://" + test.bind},
				Handle: func(in Inbound) {
					if err := in.Flow.Write(Bytes(sipmsg.NewResponseFromRequest(in.Msg.(*sipmsg.Request), 200, "OK", nil))); err != nil {
						t.Error(err)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			for _, transport := range []string{"UDP", "TCP"} {
				bound, _ := server.Addr(transport)
				target := netip.AddrPortFrom(netip.MustParseAddr(test.dial), bound.Port())
				f, err := client.Flow(t.Context(), Target{Transport: transport, Addr: target})
				if err != nil {
					t.Fatal(err)
				}
				own, _ := client.Addr(transport)
				sentBy := client.SentBy(f)
				if sentBy.Addr() != target.Addr() || sentBy.Port() != own.Port() {
					t.Errorf("%s: sent-by %v, want %v with port %d", transport, sentBy, target.Addr(), own.Port())
				}
				req := strings.NewReplacer("UDP 192.0.2.1:5070", transport+" "+sentBy.String()).Replace(options)
				if err := f.Write([]byte(req)); err != nil {
					t.Fatal(err)
				}
				res := <-answers
				if got, _ := res.Via().Params.Get("received"); res.StatusCode != 200 || got != test.dial {
					t.Errorf("%s: got %d, received=%s", transport, res.StatusCode, got)
				}
			}
		})
	}
}

func BenchmarkUDP(b *testing.B) {
	b.ReportAllocs()
	got := make(chan struct{}, 1)
	server, err := Listen(b.Context(), Config{
		Network: sysnet.Network{}, Listen: []string{"udp://127.0.0.1:0"},
		Handle: func(Inbound) { got <- struct{}{} },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	client, err := Listen(b.Context(), Config{Network: sysnet.Network{}, Listen: []string{"udp://127.0.0.1:0"}, Handle: func(Inbound) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	to, _ := server.Addr("UDP")
	f, err := client.Flow(b.Context(), Target{Transport: "UDP", Addr: to})
	if err != nil {
		b.Fatal(err)
	}
	raw := []byte(options)
	for b.Loop() {
		if err := f.Write(raw); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
