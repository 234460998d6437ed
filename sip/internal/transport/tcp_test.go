package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

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
		for _, piece := range []string{"\r", "\n", "\r", "\n"} { // in pieces
			if _, err := c.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if n, _ := c.Read(buf); string(buf[:n]) != "\r\n" {
			t.Errorf("a ping in four pieces was answered with %q", buf[:n])
		}
	})
}

// Two of us that ping each other answer each ping once and no answer.
func TestPing(t *testing.T) {
	bubble(t, func(t *testing.T, _ *netsim.Sim, alice, bob *netsim.Host) {
		a := listen(t, alice, Limits{}, "tcp://192.0.2.1:5060", "udp://192.0.2.1:5060")
		defer a.Close()
		b := listen(t, bob, Limits{}, "tcp://192.0.2.2:5060", "udp://192.0.2.2:5060")
		defer b.Close()
		f := a.flow("tcp", "192.0.2.2:5060")
		a.write(f, options)
		back := b.wants("the first message", 1)[0].Flow
		for range 3 {
			if err := errors.Join(a.Ping(f), b.Ping(back)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n, m := a.Stats().Keepalives, b.Stats().Keepalives; n != 3 || m != 3 {
			t.Errorf("answered %d and %d pings, want 3 and 3", n, m)
		}
		if err := a.Ping(a.flow("udp", "192.0.2.2:5060")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := b.Stats().Keepalives; n != 4 {
			t.Errorf("%d keep-alives after one datagram, want 4", n)
		}
		_ = f.Close()
		if a.Open(f) || a.Ping(f) == nil {
			t.Error("a closed connection is open")
		}
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
