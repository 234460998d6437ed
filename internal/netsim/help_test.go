package netsim

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) {
	WarmResolver()
	os.Exit(m.Run())
}

// bubble runs a test with a network of its own, at whose end no socket may be
// open.
func bubble(t *testing.T, f func(t *testing.T, s *Sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		defer s.Close()
		f(t, s)
		synctest.Wait()
		if open := s.Open(); len(open) > 0 {
			t.Errorf("left open: %v", open)
		}
	})
}

// udp binds a socket that is closed at the end of the test's body.
func udp(t *testing.T, h *Host, address string) *UDPConn {
	t.Helper()
	c, err := h.ListenPacket(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*UDPConn)
}

func (c *UDPConn) put(t *testing.T, what, to string) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(what), netip.MustParseAddrPort(to)); err != nil {
		t.Fatal(err)
	}
}

// got reads all that arrives within ten seconds.
func (c *UDPConn) got(t *testing.T) (whats []string, from netip.AddrPort) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	defer c.SetReadDeadline(time.Time{})
	buf := make([]byte, 2000)
	for {
		n, src, err := c.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return whats, from
		}
		if err != nil {
			t.Fatal(err)
		}
		whats, from = append(whats, string(buf[:n])), src
	}
}

// wantOne reads one datagram and nothing else.
func (c *UDPConn) wantOne(t *testing.T, what, from string) {
	t.Helper()
	whats, src := c.got(t)
	if len(whats) != 1 || whats[0] != what || src.String() != from {
		t.Fatalf("%v got %q from %v, want %q from %v", c.local.addr, whats, src, what, from)
	}
}

func (c *UDPConn) wantNone(t *testing.T, why string) {
	t.Helper()
	if whats, src := c.got(t); len(whats) > 0 {
		t.Fatalf("%v got %q from %v, want nothing: %s", c.local.addr, whats, src, why)
	}
}
