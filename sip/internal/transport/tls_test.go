package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/internal/testca"
)

// listenTLS is listen with certificates.
func listenTLS(t *testing.T, n Network, cfg *tls.Config, addrs ...string) *agent {
	t.Helper()
	a := &agent{t: t}
	c := a.config(n, addrs...)
	c.TLS = cfg
	tr, err := Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a.Transport = tr
	return a
}

func tlsTarget(domain string) Target {
	return Target{Addr: netip.MustParseAddrPort("192.0.2.2:5061"), Transport: "tls", Domain: domain}
}

const overTLS = "OPTIONS sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport\r\n" +
	"From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@b.example>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

func TestMessagesOverTLS(t *testing.T) {
	bubble(t, func(t *testing.T, s *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		sni := ""
		cfg := ca.Server("b.example", "192.0.2.2")
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { sni = h.ServerName; return nil, nil }
		b := listenTLS(t, bob, cfg, "tls://192.0.2.2:5061")
		defer b.Close()
		a := listenTLS(t, alice, ca.Client())
		defer a.Close()
		seen := 0
		s.Trace(func(p netsim.Packet) {
			if strings.Contains(string(p.Payload), "OPTIONS") {
				seen++
			}
		})
		f, err := a.ForRequest(t.Context(), tlsTarget("B.example"), 5000)
		if err != nil {
			t.Fatal(err)
		}
		a.write(f, overTLS)
		in := b.wants("a request over TLS", 1)[0]
		if f.Transport() != "TLS" || in.Flow.Transport() != "TLS" || sni != "b.example" || seen > 0 || !a.Secure(f) || !b.Secure(in.Flow) {
			t.Errorf("over %s and %s, SNI %q, seen in clear %d times", f.Transport(), in.Flow.Transport(), sni, seen)
		}
		if again, err := a.Flow(t.Context(), tlsTarget("b.example")); err != nil || again != f {
			t.Errorf("the connection to the same domain is used again: %v, %v", again, err)
		}
		// Who was verified for one domain is not trusted for another one at the same address.
		if other, err := a.Flow(t.Context(), tlsTarget("192.0.2.2")); err != nil || other == f {
			t.Errorf("the connection to another domain: %v, %v", other, err)
		}
		if tcp, err := a.Flow(t.Context(), Target{Addr: tlsTarget("").Addr, Transport: "tcp"}); err != nil || tcp == f || tcp.Transport() != "TCP" {
			t.Errorf("a connection without TLS: %v, %v", tcp, err)
		}
		b.write(in.Flow, strings.Replace(overTLS, "OPTIONS sip:bob", "OPTIONS sip:alice", 1))
		a.wants("a request by the same connection", 1)

		// Lost, it is made again, for the same domain.
		_ = f.Close()
		time.Sleep(time.Second)
		if f, err = a.Flow(t.Context(), tlsTarget("b.example")); err != nil || sni != "b.example" {
			t.Fatalf("again: %v, SNI %q", err, sni)
		}
		a.write(f, overTLS)
		b.wants("a request by the second connection", 2)
		if by := a.SentBy(f); by != f.Local() {
			t.Errorf("sent-by %v without a listener: want %v", by, f.Local())
		}
		if by := b.SentBy(in.Flow); by.Port() != 5061 {
			t.Errorf("sent-by %v of the server", by)
		}
	})
}

// RFC 5922 sections 7.1 and 7.2.
func TestRFC5922Identities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := testca.New(t, "the CA")
		for _, test := range []struct {
			names  string
			domain string
			want   bool
		}{
			{"b.example", "b.example", true},
			{"B.Example", "b.example", true},
			{"a.example b.example", "b.example", true},
			{"*.b.example", "sip.b.example", false}, // "MUST NOT match any form of wildcard"
			{"*.b.example", "*.b.example", true},
			{"b.example", "sip.b.example", false}, // "MUST NOT match suffixes"
			{"sip.b.example", "b.example", false},
			{"sip:b.example", "b.example", true},
			{"sip:b.example a.example", "a.example", false}, // DNS only without a SIP URI
			{"sip:bob@b.example", "b.example", false},       // a user is no domain
			{"sip:bob@b.example b.example", "b.example", true},
			{"sips:b.example", "b.example", false},
			{"https://b.example", "b.example", false},
			{"192.0.2.2", "192.0.2.2", true},
			{"192.0.2.2", "192.0.2.3", false},
			{"2001:db8::2", "2001:db8::2", true},
			{"b.example", "192.0.2.2", false},
			{"", "b.example", false}, // nor the subject's common name
		} {
			leaf, err := x509.ParseCertificate(ca.Issue(nil, strings.Fields(test.names)...).Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			_, err = verify([]*x509.Certificate{leaf}, test.domain, ca.Pool(), time.Now())
			if (err == nil) != test.want {
				t.Errorf("%q for %q: %v", test.names, test.domain, err)
			}
		}
	})
}

// Errors say what to do.
func TestHostileServers(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca, stranger := testca.New(t, "the CA"), testca.New(t, "a stranger")
		plain := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060")
		defer plain.Close()
		old := ca.Server("b.example")
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		with := func(change func(*x509.Certificate)) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{ca.Issue(change, "b.example")}}
		}
		wantsOne := ca.Server("b.example")
		wantsOne.ClientAuth = tls.RequireAndVerifyClientCert
		wantsOne.MaxVersion = tls.VersionTLS12 // of which the handshake tells already
		for _, test := range []struct {
			name   string
			server *tls.Config // nil: plain TCP
			client *tls.Config
			want   string
		}{
			{"another name", ca.Server("c.example", "*.b.example"), ca.Client(), "the certificate is for c.example, *.b.example, not for b.example: use the name"},
			{"unknown authority", stranger.Server("b.example"), ca.Client(), "the certificate of b.example is not trusted: it was signed by CN=a stranger; if that is right, put"},
			{"the machine's roots", ca.Server("b.example"), nil, "the certificate of b.example is not trusted"},
			{"expired", with(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), ca.Client(), "expired on 1999-12-31T23:59:00Z: the server's owner must renew it"},
			{"not yet valid", with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), ca.Client(), "valid from 2000-01-01T00:01:00Z on only: check this machine's clock"},
			{"no server's certificate", with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), ca.Client(), "not acceptable"},
			{"TLS 1.1", old, ca.Client(), ""},
			{"wants a client certificate", wantsOne, ca.Client(), "set Certificates of Config.TLS"},
			{"not TLS", nil, ca.Client(), "it may not speak TLS on this port"},
		} {
			addr, done := "192.0.2.2:5060", func() error { return nil }
			if test.server != nil {
				l, err := bob.Listen(t.Context(), "tcp", "192.0.2.2:5061")
				if err != nil {
					t.Fatal(err)
				}
				addr = "192.0.2.2:5061"
				go func() {
					for {
						c, err := l.Accept()
						if err != nil {
							return
						}
						_ = tls.Server(c, test.server).Handshake()
						_ = c.Close()
					}
				}()
				done = l.Close
			}
			a := listenTLS(t, alice, test.client, "udp://:0")
			_, err := a.ForRequest(t.Context(), Target{Addr: netip.MustParseAddrPort(addr), Transport: "TLS", Domain: "b.example"}, 100)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
			_ = errors.Join(a.Close(), done())
		}
	})
}

// "Never from TLS to anything else": a TLS port that does not answer is no reason for UDP.
func TestHostileDowngrade(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		b := listen(t, bob, Limits{}, "udp://192.0.2.2:5061", "tcp://192.0.2.2:5061")
		defer b.Close()
		a := listenTLS(t, alice, nil, "udp://:0", "tcp://:0")
		defer a.Close()
		for _, size := range []int{100, 5000} {
			if f, err := a.ForRequest(t.Context(), tlsTarget("b.example"), size); err == nil {
				t.Errorf("%d bytes go over %s", size, f.Transport())
			}
		}
		b.wants("nothing in clear", 0)
	})
}

func TestHostileTLSClients(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		b := listenTLS(t, bob, ca.Server("b.example"), "tls://192.0.2.2:5061")
		defer b.Close()
		begin := time.Now()
		dial := func() net.Conn {
			c, err := alice.Dial(t.Context(), "tcp", "192.0.2.2:5061")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for range 20 { // say nothing
			defer dial().Close()
		}
		half := dial()
		defer half.Close()
		_, _ = half.Write([]byte("\x16\x03\x01\x02\x00\x01")) // and half a ClientHello
		a := listenTLS(t, alice, ca.Client())
		defer a.Close()
		f, err := a.Flow(t.Context(), tlsTarget("b.example"))
		if err != nil || time.Since(begin) > 0 {
			t.Fatalf("idle clients block others: %v after %v", err, time.Since(begin))
		}
		a.write(f, overTLS)
		b.wants("a request beside idle clients", 1)
		clear := dial()
		defer clear.Close()
		_, _ = io.WriteString(clear, overTLS)
		answer, _ := io.ReadAll(clear)
		synctest.Wait()
		if s := b.Stats(); strings.Contains(string(answer), "SIP/2.0") || s.Received != 1 || s.Handshakes != 1 {
			t.Errorf("a request in clear to the TLS port was answered with %q; stats %+v", answer, s)
		}
		time.Sleep(11 * time.Second)
		if s := b.Stats(); s.Conns != 1 || s.TimedOut != 21 || s.Handshakes != 22 {
			t.Errorf("stats %+v: who does not shake hands goes after 10 s", s)
		}
		if n := len(b.ended()); n != 0 {
			t.Errorf("%d flows ended that nobody heard of", n)
		}
		// A peer that shook hands and says no more goes as one over TCP does.
		cfg := ca.Client()
		cfg.ServerName = "b.example"
		raw := tls.Client(dial(), cfg)
		if err := raw.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		time.Sleep(31 * time.Second)
		if s := b.Stats(); s.Conns != 1 || s.TimedOut != 22 {
			t.Errorf("stats %+v: a client that says nothing after the handshake", s)
		}
	})
}

func TestClientCertificates(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		cfg := ca.Server("b.example")
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
		b := listenTLS(t, bob, cfg, "tls://192.0.2.2:5061")
		defer b.Close()
		a := listenTLS(t, alice, ca.Server("a.example"))
		defer a.Close()
		f, err := a.Flow(t.Context(), tlsTarget("b.example"))
		if err != nil {
			t.Fatal(err)
		}
		a.write(f, overTLS)
		b.wants("a request of a client with a certificate", 1)
		none := listenTLS(t, alice, ca.Client(), "udp://:0")
		defer none.Close()
		if _, err = none.Flow(t.Context(), tlsTarget("b.example")); err == nil { // TLS 1.3 tells afterwards
			if ended := none.ended(); len(ended) != 1 || !strings.Contains(ended[0].Error(), "set Certificates of Config.TLS") {
				t.Errorf("without a certificate: %v", ended)
			}
		}
		b.wants("nothing of a client without", 1)
	})
}

// The caller's own callbacks are asked too, and his own word that he does not want to
// look is taken, but nothing is called secure then.
func TestOwnVerification(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		b := listenTLS(t, bob, ca.Server("b.example"), "tls://192.0.2.2:5061")
		defer b.Close()
		pinned := errors.New("not the pinned one")
		asked := 0
		for _, change := range []func(*tls.Config){
			func(c *tls.Config) {
				c.VerifyConnection = func(cs tls.ConnectionState) error { asked += len(cs.VerifiedChains); return pinned }
			},
			func(c *tls.Config) {
				c.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error { asked += len(chains); return pinned }
			},
		} {
			cfg := ca.Client()
			change(cfg)
			a := listenTLS(t, alice, cfg)
			if _, err := a.Flow(t.Context(), tlsTarget("b.example")); !errors.Is(err, pinned) {
				t.Errorf("got %v", err)
			}
			_ = a.Close()
		}
		if asked != 2 {
			t.Errorf("%d verified chains were shown", asked)
		}
		blind := listenTLS(t, alice, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // what is tested
		defer blind.Close()
		if f, err := blind.Flow(t.Context(), tlsTarget("c.example")); err != nil || blind.Secure(f) {
			t.Errorf("with InsecureSkipVerify: %v", err)
		}
	})
}

// Close ends handshakes under way, ours and theirs, and connections whose peer does not read.
func TestCloseDuringHandshake(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		silent, err := bob.Listen(t.Context(), "tcp", "192.0.2.2:5061") // accepts, and that is all
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		a := listenTLS(t, alice, ca.Server("a.example"), "tls://192.0.2.1:5061")
		idle, err := bob.Dial(t.Context(), "tcp", "192.0.2.1:5061")
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		begin := time.Now()
		if _, err := a.Flow(t.Context(), tlsTarget("b.example")); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
		failed := make(chan error, 1)
		go func() {
			_, err := a.Flow(t.Context(), tlsTarget("b.example"))
			failed <- err
		}()
		synctest.Wait()
		begin = time.Now()
		_ = a.Close()
		if err := <-failed; err == nil || time.Since(begin) > closeGrace {
			t.Errorf("Close took %v; the connect says %v", time.Since(begin), err)
		}
		if _, err := Listen(t.Context(), Config{Network: alice, Listen: []string{"tls://:5061"}, TLS: ca.Client(), Handle: func(Inbound) {}}); err == nil || !strings.Contains(err.Error(), "needs a certificate") {
			t.Errorf("listening without a certificate: %v", err)
		}
	})
}

// A peer that does not read keeps Close waiting no longer over TLS than over TCP, and one
// that reads is told that the connection ends.
func TestTLSEnds(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		ca := testca.New(t, "the CA")
		for _, deaf := range []bool{true, false} {
			b := listenTLS(t, bob, ca.Server("b.example"), "tls://192.0.2.2:5061")
			raw, err := alice.Dial(t.Context(), "tcp", "192.0.2.2:5061")
			if err != nil {
				t.Fatal(err)
			}
			cfg := ca.Client()
			cfg.ServerName = "b.example"
			c := tls.Client(raw, cfg)
			if _, err := io.WriteString(c, overTLS); err != nil {
				t.Fatal(err)
			}
			f := b.wants("a request", 1)[0].Flow
			ended := make(chan error, 1)
			if deaf {
				b.write(f, strings.Repeat("x", 900<<10)) // more than is on the way at once
			} else {
				go func() {
					_, err := io.ReadAll(c)
					ended <- err
				}()
			}
			synctest.Wait()
			begin := time.Now()
			_ = b.Close()
			if took := time.Since(begin); took > closeGrace {
				t.Errorf("Close took %v, deaf %v", took, deaf)
			}
			if !deaf {
				if err := <-ended; err != nil {
					t.Errorf("the peer is told %v, want a close_notify", err)
				}
			}
			_ = raw.Close()
		}
	})
}
