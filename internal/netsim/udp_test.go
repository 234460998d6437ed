package netsim

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestDatagram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		defer s.Close()
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		l := Link{Delay: 10 * time.Millisecond}
		a.SetLink(l, l)
		b.SetLink(l, l)
		ca, err := a.ListenPacket(t.Context(), "udp", "192.0.2.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cb, err := b.ListenPacket(t.Context(), "udp", ":5060")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := ca.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := cb.(*UDPConn).ReadFromUDPAddrPort(buf)
		if err != nil || string(buf[:n]) != "hello" || from != netip.MustParseAddrPort("192.0.2.1:50000") {
			t.Fatalf("got %q from %v, %v", buf[:n], from, err)
		}
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Fatalf("took %v, want 20ms", d)
		}
		ca.Close()
		cb.Close()
		if open := s.Open(); len(open) > 0 {
			t.Fatal(open)
		}
	})
}
