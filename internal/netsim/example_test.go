package netsim_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

// A host behind a NAT asks one outside. In a test this stands in
// synctest.Test and takes no real time.
func Example() {
	sim := netsim.New(1)
	defer sim.Close()
	home := sim.NewNAT(netsim.PortRestricted, "192.0.2.1")
	alice := sim.NewHost("10.0.0.2", home)
	bob := sim.NewHost("198.51.100.7", nil)
	alice.SetLink(netsim.Link{Delay: time.Millisecond}, netsim.Link{Delay: time.Millisecond})

	ctx := context.Background()
	a, err := alice.Dial(ctx, "udp", "198.51.100.7:7")
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := bob.ListenPacket(ctx, "udp", ":7")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(a, "hello")
	p := make([]byte, 100)
	n, from, err := b.(*netsim.UDPConn).ReadFromUDPAddrPort(p)
	fmt.Printf("%s from %v, %v\n", p[:n], from, err)
	fmt.Println(from.Addr() == netip.MustParseAddr("192.0.2.1"))
	fmt.Println(sim.Open())
	// Output:
	// hello from 192.0.2.1:20000, <nil>
	// true
	// [10.0.0.2 udp 10.0.0.2:50000 to 198.51.100.7:7 198.51.100.7 udp 0.0.0.0:7]
}
