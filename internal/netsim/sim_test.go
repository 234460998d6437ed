package netsim

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestOpenNamesWhatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1)
		x := connect(t, s, Link{})
		udp(t, x.a, ":5060")
		if _, err := x.a.Dial(t.Context(), "udp", "192.0.2.1:9"); err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, x.dialed) // ended by Close
		want := []string{
			"10.0.0.2 tcp 10.0.0.2:50000 to 192.0.2.1:80",
			"10.0.0.2 udp 0.0.0.0:5060",
			"10.0.0.2 udp 10.0.0.2:50001 to 192.0.2.1:9",
			"192.0.2.1 tcp 0.0.0.0:80 listening",
			"192.0.2.1 tcp 192.0.2.1:80 to 198.51.100.1:20000",
		}
		if got := s.Open(); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		s.Close()
		s.Close() // allowed
		if got := s.Open(); len(got) != 0 {
			t.Errorf("after Close: %q", got)
		}
	})
}

// The same network outside of a bubble.
func TestRealTime(t *testing.T) {
	s := New(1)
	defer s.Close()
	a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
	a.SetLink(Link{Delay: time.Millisecond}, Link{})
	ca, cb := udp(t, a, ":1"), udp(t, b, ":1")
	ca.put(t, "hello", "192.0.2.2:1")
	buf := make([]byte, 10)
	if n, err := cb.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	ca.Close()
	cb.Close()
}

func TestTrace(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		nat := s.NewNAT(PortRestricted, "198.51.100.1")
		in, out := s.NewHost("10.0.0.2", nat), s.NewHost("192.0.2.1", nil)
		in.SetLink(Link{Delay: time.Second}, Link{})
		c, p := udp(t, in, ":5000"), udp(t, out, ":1000")
		var got []string
		start := time.Now()
		s.Trace(func(p Packet) {
			got = append(got, fmt.Sprint(p.Time.Sub(start), " ", p.What, " ", p.Src, " ", p.Dst, " ", string(p.Payload)))
			if string(p.Payload) == "crash" { // a hook may do this
				out.Crash(true)
			}
		})
		c.put(t, "hello", "192.0.2.1:1000")
		c.put(t, "nobody", "192.0.2.1:1001")
		c.put(t, "nowhere", "192.0.2.9:1000")
		time.Sleep(2 * time.Second)
		p.put(t, "stranger", "198.51.100.1:30000")
		p.put(t, "hi", "198.51.100.1:20000")
		out.SetLink(Link{Down: true}, Link{})
		p.put(t, "lost", "198.51.100.1:20000")
		c.put(t, "crash", "192.0.2.1:1000")
		time.Sleep(time.Minute)
		s.Trace(nil)
		c.put(t, "not told", "192.0.2.1:1000")
		c.Close()
		want := []string{
			"0s sent 198.51.100.1:20000 192.0.2.1:1000 hello",
			"0s sent 198.51.100.1:20000 192.0.2.1:1001 nobody",
			"0s sent 198.51.100.1:20000 192.0.2.9:1000 nowhere",
			"1s unreachable 198.51.100.1:20000 192.0.2.9:1000 nowhere",
			"1s received 198.51.100.1:20000 192.0.2.1:1000 hello",
			"1s no socket 198.51.100.1:20000 192.0.2.1:1001 nobody",
			"2s sent 192.0.2.1:1000 198.51.100.1:30000 stranger",
			"2s sent 192.0.2.1:1000 198.51.100.1:20000 hi",
			"2s lost 192.0.2.1:1000 198.51.100.1:20000 lost",
			"2s sent 198.51.100.1:20000 192.0.2.1:1000 crash",
			"2s refused 192.0.2.1:1000 198.51.100.1:30000 stranger",
			"2s received 192.0.2.1:1000 10.0.0.2:5000 hi",
			"3s unreachable 198.51.100.1:20000 192.0.2.1:1000 crash",
		}
		slices.Sort(got) // what happens at one time may come in any order
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// The one message that a test needs to be lost.
func TestFilter(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		ca, cb := udp(t, a, ":1"), udp(t, b, ":1")
		defer ca.Close()
		defer cb.Close()
		oks := 0
		s.Filter(func(src, dst netip.AddrPort, p []byte) bool {
			if src.String() != "192.0.2.1:1" || dst.String() != "192.0.2.2:1" {
				t.Errorf("%v to %v", src, dst)
			}
			if string(p) != "200 OK" {
				return false
			}
			oks++
			return oks == 1
		})
		for _, m := range []string{"180 Ringing", "200 OK", "200 OK"} {
			ca.put(t, m, "192.0.2.2:1")
		}
		if got, _ := cb.got(t); !slices.Equal(got, []string{"180 Ringing", "200 OK"}) {
			t.Errorf("got %q", got)
		}
		s.Filter(nil)
		if n := s.Packets(); n != 3 {
			t.Errorf("%d packets", n)
		}
	})
}

func BenchmarkDatagram(b *testing.B) {
	s := New(1)
	defer s.Close()
	x, y := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
	cx, err := x.listenUDP("udp", netip.AddrPort{}, netip.AddrPort{})
	if err != nil {
		b.Fatal(err)
	}
	cy, err := y.listenUDP("udp", netip.AddrPort{}, netip.AddrPort{})
	if err != nil {
		b.Fatal(err)
	}
	to := netip.MustParseAddrPort("192.0.2.2:50000")
	p := make([]byte, 172)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cx.WriteToUDPAddrPort(p, to); err != nil {
			b.Fatal(err)
		}
		if _, err := cy.Read(p); err != nil {
			b.Fatal(err)
		}
	}
}
