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
			start, _, _ := p.Summary()
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
	f, err := a.Flow(a.t.Context(), Target{Transport: transport, Addr: netip.MustParseAddrPort(remote)})
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
		if in.Source.String() != "192.0.2.1:5070" || in.Flow.Remote() != in.Source || req.Transport() != "UDP" {
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
		if a.traced[0] != "true UDP OPTIONS sip:bob@example.org" || b.traced[len(b.traced)-1] != "false UDP OPTIONS sip:bob@example.org" {
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
			f, err := b.Flow(t.Context(), Target{Transport: transport, Addr: netip.MustParseAddrPort("192.0.2.1:5060")})
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
		if _, err := a.Flow(ctx, Target{Transport: "tcp", Addr: netip.MustParseAddrPort("192.0.2.99:5060")}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if _, err := a.Flow(t.Context(), Target{Transport: "tcp", Addr: netip.MustParseAddrPort("192.0.2.99:5060")}); err == nil || time.Since(begin) != 13*time.Second {
			t.Errorf("after %v: %v, want the limit of 10 s", time.Since(begin), err)
		}
		go func() {
			time.Sleep(time.Second)
			_ = a.Close()
		}()
		begin = time.Now()
		if _, err := a.Flow(t.Context(), Target{Transport: "tcp", Addr: netip.MustParseAddrPort("192.0.2.99:5060")}); err == nil || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v, want the end with Close", time.Since(begin), err)
		}
		synctest.Wait()
	})
}
