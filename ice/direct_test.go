package ice

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestDirect(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled) // beside a fork with ICE
		at := local(t, x).Default
		old := w.attacker("192.0.2.3")
		p, err := x.Direct(netip.MustParseAddrPort(old.pc.LocalAddr().String()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Direct(at); err == nil {
			t.Error("two direct paths at once")
		}
		in := receive(p)
		old.sends(at, []byte("\x80 plain"))
		in.wants(t, "\x80 plain")
		send(t, p, "\x80 back")
		if n := old.hears(); n != 1 {
			t.Errorf("the peer heard %d packets, want 1", n)
		}
		// It sends from elsewhere: that is received, and followed only when told.
		moved := w.attacker("192.0.2.4")
		moved.sends(at, []byte("\x80 moved"))
		in.wants(t, "\x80 moved")
		p.Retarget(netip.MustParseAddrPort(moved.pc.LocalAddr().String()))
		send(t, p, "\x80 there")
		if a, b := old.hears(), moved.hears(); a != 0 || b != 1 {
			t.Errorf("heard %d at the old and %d at the new address, want 0 and 1", a, b)
		}
		bothWays(t, px, py) // an ICE path's media stays its own
		silent(t, in, "an ICE path's media")
		px.Retarget(at)
		if px.Selected().Remote.Addr == at {
			t.Error("an ICE path was retargeted")
		}
		if p.Role() != 0 || p.Err() != nil || p.Relayed() {
			t.Errorf("role %v, err %v, relayed %v", p.Role(), p.Err(), p.Relayed())
		}
		_ = p.Close()
		moved.sends(at, []byte("\x80 too late"))
		time.Sleep(time.Second)
		silent(t, in, "the path was closed")
		if _, err := p.Write([]byte{0x80}); err == nil {
			t.Error("write after Close")
		}
		if _, err := x.Direct(at); err != nil {
			t.Errorf("the next direct path: %v", err)
		}
	})
}

func TestRFC3550_11_RTCPIsOnTheNextPort(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		h := w.host("192.0.2.1", nil)
		// The first even port's neighbour is taken.
		taken, err := h.ListenPacket(t.Context(), "udp", "192.0.2.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		x := gather(t, &Config{Network: h, RTCP: true})
		d := local(t, x)
		if d.Default.Port()%2 != 0 || d.DefaultRTCP.Port() != d.Default.Port()+1 || d.DefaultRTCP.Addr() != d.Default.Addr() {
			t.Fatalf("RTP %v, RTCP %v; want an even port and the next", d.Default, d.DefaultRTCP)
		}
		peer := w.attacker("192.0.2.3")
		p, err := x.DirectRTCP(netip.MustParseAddrPort(peer.pc.LocalAddr().String()))
		if err != nil {
			t.Fatal(err)
		}
		in := receive(p)
		peer.sends(d.DefaultRTCP, []byte("\x80\xc8 report"))
		in.wants(t, "\x80\xc8 report")
		x.ReleaseRTCP()
		if p.Err() == nil {
			t.Error("the RTCP path outlived its socket")
		}
		if _, err := x.DirectRTCP(d.Default); err == nil {
			t.Error("an RTCP path on a released socket")
		}
		again, err := h.ListenPacket(t.Context(), "udp", d.DefaultRTCP.String())
		if err != nil {
			t.Fatalf("the port is still taken: %v", err)
		}
		_ = again.Close()
	})
}

// The packet path allocates nothing: socket to handler, Write to socket.
func TestPacketPathAllocatesNothing(t *testing.T) {
	x, y := gather(t, &Config{Addrs: loopback}), gather(t, &Config{Addrs: loopback})
	px, py := pair(t, x, y, Controlling, Controlled)
	got := make(chan struct{}, 1)
	py.Handle(func([]byte, netip.AddrPort) { got <- struct{}{} })
	p := make([]byte, 172)
	p[0] = 0x80
	if n := testing.AllocsPerRun(500, func() {
		if _, err := px.Write(p); err != nil {
			t.Error(err)
		}
		<-got
	}); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
	_ = py.Close()
	dp, err := y.Direct(local(t, x).Default)
	if err != nil {
		t.Fatal(err)
	}
	dp.Handle(func([]byte, netip.AddrPort) { got <- struct{}{} })
	plain, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	to := local(t, y).Default
	if n := testing.AllocsPerRun(500, func() {
		if _, err := plain.WriteToUDPAddrPort(p, to); err != nil {
			t.Error(err)
		}
		<-got
	}); n != 0 {
		t.Errorf("%v allocations per packet of a direct path, want none", n)
	}
}
