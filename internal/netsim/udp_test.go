package netsim

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDatagramTakesTheDelayOfBothLinks(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		a.SetLink(Link{Delay: 10 * time.Millisecond}, Link{Delay: time.Hour})
		b.SetLink(Link{Delay: time.Hour}, Link{Delay: 15 * time.Millisecond})
		ca, cb := udp(t, a, "192.0.2.1:0"), udp(t, b, ":5060")
		defer ca.Close()
		defer cb.Close()
		start := time.Now()
		if _, err := ca.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 3)
		n, from, err := cb.ReadFrom(buf)
		if err != nil || string(buf[:n]) != "hel" || from.String() != "192.0.2.1:50000" {
			t.Fatalf("got %q from %v, %v; want what fits of it", buf[:n], from, err)
		}
		if d := time.Since(start); d != 25*time.Millisecond {
			t.Fatalf("took %v, want 25ms", d)
		}
	})
}

func TestReadEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(s *Sim, h *Host, c *UDPConn)
		want error
	}{
		{"deadline", func(_ *Sim, _ *Host, c *UDPConn) { c.SetReadDeadline(time.Now().Add(time.Second)) }, os.ErrDeadlineExceeded},
		{"deadline passed", func(_ *Sim, _ *Host, c *UDPConn) { c.SetDeadline(time.Now().Add(-1)) }, os.ErrDeadlineExceeded},
		{"close", func(_ *Sim, _ *Host, c *UDPConn) { c.Close() }, net.ErrClosed},
		{"crash", func(_ *Sim, h *Host, _ *UDPConn) { h.Crash(true) }, net.ErrClosed},
		{"end of the network", func(s *Sim, _ *Host, _ *UDPConn) { s.Close() }, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				h := s.NewHost("192.0.2.1", nil)
				c := udp(t, h, ":0")
				defer c.Close()
				got := make(chan error)
				for range 2 { // two readers, both end
					go func() {
						_, err := c.Read(make([]byte, 10))
						got <- err
					}()
				}
				synctest.Wait()
				tc.end(s, h, c)
				for range 2 {
					err := <-got
					if !errors.Is(err, tc.want) {
						t.Errorf("got %v, want %v", err, tc.want)
					}
					if ne, ok := errors.AsType[net.Error](err); !ok || ne.Timeout() != errors.Is(tc.want, os.ErrDeadlineExceeded) {
						t.Errorf("%v: Timeout() is wrong", err)
					}
				}
			})
		})
	}
}

func TestDeadlineCanBeMoved(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		c := udp(t, s.NewHost("192.0.2.1", nil), ":0")
		defer c.Close()
		start := time.Now()
		c.SetReadDeadline(start.Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { c.SetReadDeadline(start.Add(3 * time.Second)) })
		if _, err := c.Read(nil); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
	})
}

func TestClosedSocket(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		c := udp(t, s.NewHost("192.0.2.1", nil), ":0")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		_, werr := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("192.0.2.1:1"))
		for _, err := range []error{werr, c.Close(), c.SetDeadline(time.Time{})} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want net.ErrClosed", err)
			}
		}
	})
}

func TestReceiveBufferIsFull(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		ca, cb := udp(t, a, ":0"), udp(t, b, ":1000")
		defer ca.Close()
		defer cb.Close()
		fill := func() int {
			for range 2000 {
				ca.put(t, strings.Repeat("x", 172), "192.0.2.2:1000")
			}
			synctest.Wait()
			whats, _ := cb.got(t)
			return len(whats)
		}
		if n := fill(); n != 212992/(172+576) {
			t.Errorf("%d packets of audio fit into the default buffer, want 284", n)
		}
		if err := cb.SetReadBuffer(4 << 20); err != nil {
			t.Fatal(err)
		}
		if n := fill(); n != 2*212992/(172+576) {
			t.Errorf("%d packets of audio fit into the largest buffer, want 569", n)
		}
		ca.put(t, "again", "192.0.2.2:1000")
		cb.wantOne(t, "again", "192.0.2.1:50000")
	})
}

func TestConnectedSocket(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b, x := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil), s.NewHost("192.0.2.3", nil)
		s.AddName("b.example", "192.0.2.2")
		c, err := a.Dial(t.Context(), "udp", "b.example:7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.LocalAddr().String() != "192.0.2.1:50000" || c.RemoteAddr().String() != "192.0.2.2:7" {
			t.Fatalf("%v to %v", c.LocalAddr(), c.RemoteAddr())
		}
		cb, cx := udp(t, b, ":7"), udp(t, x, ":7")
		defer cx.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		cb.wantOne(t, "hello", "192.0.2.1:50000")
		cx.put(t, "not for you", "192.0.2.1:50000")
		cb.put(t, "for you", "192.0.2.1:50000")
		c.(*UDPConn).wantOne(t, "for you", "192.0.2.2:7")

		if _, err := c.(*UDPConn).WriteTo([]byte("x"), c.RemoteAddr()); !errors.Is(err, net.ErrWriteToConnected) {
			t.Errorf("WriteTo: %v", err)
		}
		cb.Close()
		c.Write([]byte("nobody there"))
		if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after a port unreachable: %v", err)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h := s.NewHost("192.0.2.1", nil)
		any4, loop := udp(t, h, ":0"), udp(t, h, "127.0.0.1:0")
		defer any4.Close()
		defer loop.Close()
		for _, tc := range []struct {
			c    *UDPConn
			size int
			to   string
			want error
		}{
			{any4, 65508, "192.0.2.9:1", syscall.EMSGSIZE},
			{any4, 1, "192.0.2.9:0", syscall.EINVAL},
			{any4, 1, "[2001:db8::1]:1", syscall.EAFNOSUPPORT},
			{loop, 1, "192.0.2.9:1", syscall.EINVAL},
		} {
			_, err := tc.c.WriteToUDPAddrPort(make([]byte, tc.size), netip.MustParseAddrPort(tc.to))
			if !errors.Is(err, tc.want) {
				t.Errorf("%d bytes from %v to %s: got %v, want %v", tc.size, tc.c.LocalAddr(), tc.to, err, tc.want)
			}
		}
	})
}

func TestLoopback(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		slow := Link{Delay: time.Second, Loss: 1}
		a.SetLink(slow, slow)
		for _, h := range []*Host{a, b} { // the same ports on both: own namespaces
			for _, tc := range [][3]string{
				{"127.0.0.1:1000", "127.0.0.1:1001", "127.0.0.1:1000"},
				{"[::1]:1000", "[::1]:1001", "[::1]:1000"},
				{h.name + ":1000", h.name + ":1001", h.name + ":1000"},
				{":1000", "127.0.0.1:1001", "127.0.0.1:1000"}, // any address: sends from the one sent to
				{":1000", h.name + ":1001", h.name + ":1000"},
			} {
				from, to := udp(t, h, tc[0]), udp(t, h, tc[1])
				from.put(t, "x", tc[1])
				to.wantOne(t, "x", tc[2])
				from.Close()
				to.Close()
			}
		}
	})
}

func TestIPv6(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("2001:db8::1", nil), s.NewHost("2001:db8::2", nil)
		b.AddAddress("192.0.2.2", nil)
		c := s.NewHost("192.0.2.3", nil)
		ca, cb, cc := udp(t, a, "[2001:db8::1]:9"), udp(t, b, ":9"), udp(t, c, ":9")
		defer ca.Close()
		defer cb.Close()
		defer cc.Close()
		if got := cb.LocalAddr().String(); got != "[::]:9" {
			t.Errorf("a host with IPv6 binds %v, want [::]:9", got)
		}
		ca.put(t, "six", "[2001:db8::2]:9")
		cb.wantOne(t, "six", "[2001:db8::1]:9")
		cb.put(t, "six", "[2001:db8::1]:9")
		ca.wantOne(t, "six", "[2001:db8::2]:9")
		cc.put(t, "four", "192.0.2.2:9")
		cb.wantOne(t, "four", "[::ffff:192.0.2.3]:9") // as a real socket of both families
		cb.put(t, "four", "[::ffff:192.0.2.3]:9")
		cc.wantOne(t, "four", "192.0.2.2:9")
	})
}
