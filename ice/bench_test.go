package ice

import (
	"net"
	"net/netip"
	"sync"
	"testing"
)

// Gather, describe, check, nominate and close, both ends.
func BenchmarkConnectLoopback(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		x, err := NewGatherer(b.Context(), &Config{Addrs: loopback})
		if err != nil {
			b.Fatal(err)
		}
		y, err := NewGatherer(b.Context(), &Config{Addrs: loopback})
		if err != nil {
			b.Fatal(err)
		}
		pair(b, x, y, Controlling, Controlled)
		_, _ = x.Close(), y.Close()
	}
}

// One packet from Write to the peer's handler.
func BenchmarkPath(b *testing.B) {
	x, y := gather(b, &Config{Addrs: loopback}), gather(b, &Config{Addrs: loopback})
	px, py := pair(b, x, y, Controlling, Controlled)
	got := make(chan struct{}, 1)
	py.Handle(func([]byte, netip.AddrPort) { got <- struct{}{} })
	p := make([]byte, 172)
	p[0] = 0x80
	b.ReportAllocs()
	for b.Loop() {
		if _, err := px.Write(p); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}

// The floor: the same over bare sockets.
func BenchmarkSocket(b *testing.B) {
	x, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	y, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	got := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for buf := make([]byte, 1500); ; {
			if _, _, err := y.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
			got <- struct{}{}
		}
	})
	to, _ := addrPort(y.LocalAddr())
	p := make([]byte, 172)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.WriteToUDPAddrPort(p, to); err != nil {
			b.Fatal(err)
		}
		<-got
	}
	y.Close()
	wg.Wait()
}
