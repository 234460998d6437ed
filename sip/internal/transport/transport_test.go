package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/netsim"
)

// agent is a transport whose messages are kept.
type agent struct {
	*Transport
	t *testing.T

	mu     sync.Mutex
	in     []Inbound
	traced []string
	broken []error
	flows  []Flow // of broken
	onMsg  func(Inbound)
}

func (a *agent) config(n Network, listen ...string) Config {
	return Config{
		Network: n, Listen: listen,
		Handle: func(in Inbound) {
			a.mu.Lock()
			a.in = append(a.in, in)
			on := a.onMsg
			a.mu.Unlock()
			if on != nil {
				on(in)
			}
		},
		Broken: func(f Flow, err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.broken = append(a.broken, err)
			a.flows = append(a.flows, f)
		},
		Trace: func(p Packet) {
			start, _, _ := Summary(p.Raw)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.traced = append(a.traced, fmt.Sprintf("%v %s %s", p.Sent, p.Flow.Transport(), start))
		},
	}
}

func listen(t *testing.T, n Network, limits Limits, addrs ...string) *agent {
	t.Helper()
	a := &agent{t: t}
	cfg := a.config(n, addrs...)
	cfg.Limits = limits
	tr, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Transport = tr
	return a
}

func (a *agent) wants(what string, n int) []Inbound {
	a.t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.in) != n {
		a.t.Errorf("%s: got %d messages, want %d", what, len(a.in), n)
	}
	return a.in
}

func (a *agent) ended() []error {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.broken
}

func (a *agent) flow(transport, remote string) Flow {
	a.t.Helper()
	f, err := a.Flow(a.t.Context(), transport, netip.MustParseAddrPort(remote))
	if err != nil {
		a.t.Fatal(err)
	}
	return f
}

func (a *agent) write(f Flow, raw string) {
	a.t.Helper()
	if err := f.Write([]byte(raw)); err != nil {
		a.t.Fatal(err)
	}
}

// bubble runs a test on a simulated network with two hosts.
func bubble(t *testing.T, f func(t *testing.T, s *netsim.Sim, alice, bob *netsim.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := netsim.New(1)
		defer s.Close()
		f(t, s, s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil))
		synctest.Wait()
		if open := s.Open(); len(open) > 0 {
			t.Errorf("left open: %v", open)
		}
	})
}

func TestMessagesOverUDP(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:5070")
		b := listen(t, bob, Limits{}, "udp://:5060")
		defer a.Close()
		defer b.Close()
		f := a.flow("udp", "192.0.2.2:5060")
		if f != a.flow("UDP", "192.0.2.2:5060") || f.Reliable() || f.Close() != nil {
			t.Error("two flows to one target must be equal, and not reliable")
		}
		a.write(f, options)
		a.write(f, "\r\n\r\n")
		a.write(f, "\x00\x01\x00\x00 not SIP")
		a.write(f, "\r\n"+options)
		in := b.wants("requests", 2)[0]
		req := in.Msg.(*sipmsg.Request)
		if got, want := req.Via().Value(), "SIP/2.0/UDP 192.0.2.1:5070;rport=5070;branch=z9hG4bKx;received=192.0.2.1"; got != want {
			t.Errorf("Via\n got %s\nwant %s", got, want)
		}
		if in.Source.String() != "192.0.2.1:5070" || in.Flow.Remote() != in.Source || req.Source() != "192.0.2.1:5070" || req.Transport() != "UDP" {
			t.Errorf("source %v, flow to %v", in.Source, in.Flow.Remote())
		}
		if got := in.Flow.Local().String(); got != "192.0.2.2:5060" {
			t.Errorf("the local address of a socket on the unspecified one is %s", got)
		}
		b.write(in.Flow, string(Bytes(sipmsg.NewResponseFromRequest(req, 200, "OK", nil))))
		if res, ok := a.wants("response", 1)[0].Msg.(*sipmsg.Response); !ok || res.StatusCode != 200 {
			t.Error("no 200 came back")
		}
		s := b.Stats()
		if s.Received != 2 || s.Sent != 1 || s.Keepalives != 1 || s.Garbage != 1 {
			t.Errorf("stats %+v", s)
		}
		if got, err := b.ForResponse(t.Context(), in); err != nil || got != in.Flow {
			t.Errorf("the response's flow: %v, %v", got, err)
		}
		// "response ... to the address in the "received" parameter, using the port
		// indicated in the "sent-by" value" (RFC 3261 section 18.2.2)
		a.write(f, strings.Replace(options, "192.0.2.1:5070;rport", "host.example:5099", 1))
		if in = b.wants("without rport", 3)[2]; in.Flow.Remote().String() != "192.0.2.1:5099" {
			t.Errorf("without rport the responses go to %v", in.Flow.Remote())
		}
		if v, _ := in.Msg.Via().Params.Get("received"); v != "192.0.2.1" {
			t.Errorf("received is %q for a host name in sent-by", v)
		}
		if a.traced[0] != "true UDP OPTIONS sip:bob@example.org SIP/2.0" || b.traced[len(b.traced)-1] != "false UDP OPTIONS sip:bob@example.org SIP/2.0" {
			t.Errorf("traces %q, %q", a.traced, b.traced)
		}
	})
}

func TestRFC3261BadRequestsAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:5070")
		b := listen(t, bob, Limits{}, "udp://192.0.2.2:5060", "tcp://192.0.2.2:5060")
		defer a.Close()
		defer b.Close()
		f := a.flow("udp", "192.0.2.2:5060")
		badOnes := strings.Replace(options, "Call-ID: a@192.0.2.1\r\n", "", 1)
		a.write(f, badOnes)
		a.write(f, strings.ReplaceAll(badOnes, "OPTIONS", "ACK"))
		a.write(f, "SIP/2.0 200 OK\r\n\r\n")
		synctest.Wait()
		tcp := a.flow("tcp", "192.0.2.2:5060")
		a.write(tcp, badOnes)
		a.write(tcp, options)
		b.wants("valid requests", 1)
		// The response has no Call-ID to copy: it is a bad response at our end.
		if s := a.Stats(); s.BadResponses != 2 {
			t.Errorf("stats of the sender %+v", s)
		}
		if s := b.Stats(); s.BadRequests != 2 || s.Unanswerable != 1 || s.BadResponses != 1 || s.Conns != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestMessagesOverTCP(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "udp://192.0.2.1:0", "tcp://192.0.2.1:0")
		b := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060")
		defer b.Close()
		defer a.Close()
		ua, _ := a.Addr("udp")
		ta, _ := a.Addr("TCP")
		if ua != ta || len(a.Addrs()) != 2 {
			t.Errorf("port 0 for UDP and TCP gave %v and %v", ua, ta)
		}
		// Many at once share one connection.
		flows := make([]Flow, 10)
		var all sync.WaitGroup
		for i := range flows {
			all.Go(func() { flows[i] = a.flow("tcp", "192.0.2.2:5060") })
		}
		all.Wait()
		for _, f := range flows {
			if f != flows[0] {
				t.Fatal("more than one connection to one target")
			}
		}
		f := flows[0]
		if got := a.SentBy(f); got != ta || !f.Reliable() {
			t.Errorf("sent-by %v, want the listening address %v", got, ta)
		}
		for range 5 {
			a.write(f, options)
		}
		in := b.wants("requests", 5)[0]
		if in.Flow.Remote() != in.Source || in.Flow.Transport() != "TCP" || b.flow("tcp", in.Source.String()) != in.Flow {
			t.Errorf("the accepted connection must serve the way back: %v", in.Flow.Remote())
		}
		b.write(in.Flow, string(Bytes(sipmsg.NewResponseFromRequest(in.Msg.(*sipmsg.Request), 200, "OK", nil))))
		a.wants("response", 1)

		// A connection that ended is replaced, towards received and sent-by.
		f.Close()
		if errs := a.ended(); len(errs) != 1 || !errors.Is(errs[0], net.ErrClosed) {
			t.Errorf("Broken at our end: %v, want net.ErrClosed", errs)
		}
		if errs := b.ended(); len(errs) != 1 || !errors.Is(errs[0], io.EOF) || b.flows[0] != in.Flow {
			t.Errorf("Broken at the other end: %v, want EOF", errs)
		}
		if err := f.Write([]byte(options)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write to a closed flow: %v", err)
		}
		in.Msg.Via().Port = int(ta.Port())
		back, err := b.ForResponse(t.Context(), in)
		if err != nil || back == in.Flow || back.Remote() != ta {
			t.Errorf("the response goes to %v, %v; want a new connection to %v", back, err, ta)
		}
	})
}

// "The client ... ping ... double-CRLF ... pong ... single CRLF" (RFC 5626 section 3.5.1).
func TestRFC5626KeepAlive(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		b := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060")
		defer b.Close()
		c, err := alice.Dial(t.Context(), "tcp", "192.0.2.2:5060")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		buf := make([]byte, 100)
		for _, ping := range []string{"\r\n\r\n", "\r\n", options + "\r\n\r\n" + options} {
			if _, err := c.Write([]byte(ping)); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := c.Read(buf)
			if want := map[bool]string{true: "\r\n", false: ""}[strings.Contains(ping, "\r\n\r\n")]; string(buf[:n]) != want {
				t.Errorf("%q was answered with %q, want %q", ping, buf[:n], want)
			}
		}
		b.wants("messages around keep-alives", 2)
	})
}

func TestStreamsOfSlowAndHostilePeers(t *testing.T) {
	for _, test := range []struct {
		name, send string
		drip       bool
		after      time.Duration // when the connection ends
		answer     string
		stats      func(Stats) bool
	}{
		{"silent from the beginning", "", false, 30 * time.Second, "", func(s Stats) bool { return s.TimedOut == 1 }},
		{"keep-alives only", "\r\n\r\n", false, 30 * time.Second, "\r\n", func(s Stats) bool { return s.TimedOut == 1 }},
		{"half a message", options[:50], false, 30 * time.Second, "", func(s Stats) bool { return s.TimedOut == 1 }},
		{"half a second message", options + options[:50], false, 20 * time.Second, "", func(s Stats) bool { return s.TimedOut == 1 && s.Received == 1 }},
		{"a second message byte by byte", options + options[:50], true, 20 * time.Second, "", func(s Stats) bool { return s.TimedOut == 1 }},
		{"nothing after a message", options, false, 15 * time.Minute, "", func(s Stats) bool { return s.TimedOut == 1 && s.Received == 1 }},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", false, 0, "", func(s Stats) bool { return s.Garbage == 1 }},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", false, 0, "", func(s Stats) bool { return s.Garbage == 1 }},
		{"no Content-Length", strings.Replace(options, "Content-Length: 0\r\n", "", 1), false, 0, "SIP/2.0 400 Missing Content-Length\r\n", func(s Stats) bool { return s.BadRequests == 1 }},
		{"negative Content-Length", strings.Replace(options, "Content-Length: 0", "Content-Length: -1", 1), false, 0, "SIP/2.0 400 Malformed Content-Length\r\n", func(s Stats) bool { return s.BadRequests == 1 }},
		{"too large a body", strings.Replace(options, "Content-Length: 0", "Content-Length: 999999", 1), false, 0, "SIP/2.0 513 Message Too Large\r\n", func(s Stats) bool { return s.TooLarge == 1 }},
		{"headers without end", "OPTIONS sip:a SIP/2.0\r\n" + strings.Repeat("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 2000), false, 0, "", func(s Stats) bool { return s.TooLarge == 1 }},
		{"a line without end", "OPTIONS sip:a SIP/2.0\r\nX: " + strings.Repeat("y", 70000), false, 0, "", func(s Stats) bool { return s.TooLarge == 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
				b := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060")
				defer b.Close()
				begin := time.Now()
				c, err := alice.Dial(t.Context(), "tcp", "192.0.2.2:5060")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := io.WriteString(c, test.send); err != nil && !test.drip {
					t.Log(err)
				}
				if test.drip {
					go func() {
						for err == nil {
							time.Sleep(time.Second)
							_, err = c.Write([]byte("x"))
						}
					}()
				}
				answer, _ := io.ReadAll(c)
				if took := time.Since(begin); took.Round(time.Millisecond) != test.after {
					t.Errorf("ended after %v, want %v", took, test.after)
				}
				if line, _, _ := strings.Cut(string(answer), "\r\n"); line+"\r\n" != test.answer && test.answer != string(answer) {
					t.Errorf("answered %q, want %q", line, test.answer)
				}
				synctest.Wait()
				if s := b.Stats(); !test.stats(s) || s.Conns != 0 {
					t.Errorf("stats %+v", s)
				}
				time.Sleep(2 * time.Second)
			})
		})
	}
}

func TestIdleFlowInUseStays(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{Idle: -1}, "tcp://192.0.2.1:5060")
		b := listen(t, bob, Limits{Idle: time.Minute}, "tcp://192.0.2.2:5060")
		defer a.Close()
		defer b.Close()
		a.write(a.flow("tcp", "192.0.2.2:5060"), options)
		in := b.wants("request", 1)[0]
		release := b.Hold(in.Flow)
		time.Sleep(3 * time.Hour)
		if len(b.ended()) != 0 {
			t.Fatal("a held flow was closed for idleness")
		}
		release()
		release()
		begin := time.Now()
		for len(b.ended()) == 0 && time.Since(begin) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(begin); took < time.Minute || took > 2*time.Minute+time.Second {
			t.Errorf("closed %v after its release, want a minute or two", took)
		}
		b.Hold(udpFlow{})()
	})
}

func TestConnectionLimits(t *testing.T) {
	bubble(t, func(t *testing.T, s *netsim.Sim, alice, bob *netsim.Host) {
		b := listen(t, bob, Limits{Conns: 3, ConnsPerSource: 2}, "tcp://192.0.2.2:5060")
		defer b.Close()
		carol := s.NewHost("192.0.2.3", nil)
		open := func(h *netsim.Host) net.Conn {
			c, err := h.Dial(t.Context(), "tcp", "192.0.2.2:5060")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return c
		}
		conns := []net.Conn{open(alice), open(alice), open(alice), open(carol), open(carol)}
		defer func() {
			for _, c := range conns {
				_ = c.Close()
			}
		}()
		if st := b.Stats(); st.Conns != 3 || st.Refused != 2 {
			t.Fatalf("stats %+v: want 2 of one source, 3 in all", st)
		}
		_ = conns[0].Close()
		synctest.Wait()
		conns = append(conns, open(carol))
		if st := b.Stats(); st.Conns != 3 || st.Refused != 2 {
			t.Errorf("stats %+v: a place that was given up must be free", st)
		}
	})
	if a, b := sourceOf(netip.MustParseAddr("2001:db8::1")), sourceOf(netip.MustParseAddr("2001:db8::ffff:1:2:3")); a != b {
		t.Errorf("%v and %v are one /64", a, b)
	}
}

// A peer that does not read holds up nobody and ends its own flow.
func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range []Limits{{Write: 5 * time.Second}, {Queue: 10000}} {
			near, far := net.Pipe()
			a := &agent{t: t}
			cfg := a.config(pipeNetwork{near}, "tcp://x:1")
			cfg.Limits = limits
			tr, err := Listen(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			a.Transport = tr
			f := a.flow("tcp", "192.0.2.9:5060")
			begin := time.Now()
			n := 0
			for ; n < 100 && err == nil; n++ {
				err = f.Write([]byte(options))
			}
			if time.Since(begin) != 0 {
				t.Error("Write waited for the peer")
			}
			time.Sleep(time.Minute)
			if errs := a.ended(); len(errs) != 1 {
				t.Errorf("ended %v, want once", errs)
			}
			if limits.Queue != 0 && (n > 80 || !errors.Is(err, errQueueFull)) {
				t.Errorf("%d messages queued, %v", n, err)
			}
			if limits.Write != 0 && a.Stats().TimedOut != 1 {
				t.Errorf("stats %+v", a.Stats())
			}
			_ = a.Close()
			_ = far.Close()
		}
	})
}

// pipeNetwork dials one net.Pipe and accepts nothing.
type pipeNetwork struct{ conn net.Conn }

func (n pipeNetwork) Dial(context.Context, string, string) (net.Conn, error) { return n.conn, nil }
func (pipeNetwork) Listen(context.Context, string, string) (net.Listener, error) {
	return deaf(make(chan struct{})), nil
}

func (pipeNetwork) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	return nil, errors.New("no UDP")
}

func (pipeNetwork) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errors.New("no names")
}

type deaf chan struct{}

func (d deaf) Accept() (net.Conn, error) { <-d; return nil, net.ErrClosed }
func (d deaf) Close() error              { close(d); return nil }
func (d deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5060} }

// What was written before Close still leaves.
func TestCloseSendsWhatIsQueued(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "tcp://192.0.2.1:5060")
		b := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060", "udp://192.0.2.2:5060")
		f := a.flow("tcp", "192.0.2.2:5060")
		for range 20 {
			a.write(f, options)
		}
		_ = a.Close()
		b.wants("written before Close", 20)
		_ = b.Close()
		_ = b.Close()
		for _, transport := range []string{"tcp", "udp"} {
			f, err := b.Flow(t.Context(), transport, netip.MustParseAddrPort("192.0.2.1:5060"))
			if err == nil {
				err = f.Write([]byte(options))
			}
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v, want net.ErrClosed", transport, err)
			}
		}
	})
}

func TestDialsEndWithTheirContextAndWithClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *netsim.Sim, alice, _ *netsim.Host) {
		a := listen(t, alice, Limits{}, "tcp://192.0.2.1:5060")
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		lost := s.NewHost("192.0.2.99", nil)
		lost.SetLink(netsim.Link{Down: true}, netsim.Link{Down: true})
		if _, err := a.Flow(ctx, "tcp", netip.MustParseAddrPort("192.0.2.99:5060")); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if _, err := a.Flow(t.Context(), "tcp", netip.MustParseAddrPort("192.0.2.99:5060")); err == nil || time.Since(begin) != 13*time.Second {
			t.Errorf("after %v: %v, want the limit of 10 s", time.Since(begin), err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = a.Close()
		}()
		begin = time.Now()
		if _, err := a.Flow(t.Context(), "tcp", netip.MustParseAddrPort("192.0.2.99:5060")); err == nil || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v, want the end with Close", time.Since(begin), err)
		}
		synctest.Wait()
	})
}
