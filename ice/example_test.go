package ice_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/peercall/peercall/ice"
)

// Two sides in one program. Between two programs the descriptions travel in SDP.
func Example() {
	ctx := context.Background()
	cfg := &ice.Config{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}} // leave it empty for real networks
	alice, err := ice.NewGatherer(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	bob, err := ice.NewGatherer(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()

	offer, err := alice.Local(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := bob.Local(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}

	heard := make(chan string)
	go func() {
		path, err := bob.Connect(ctx, ice.Controlled, offer)
		if err != nil {
			fmt.Println(err)
			return
		}
		path.Handle(func(p []byte, from netip.AddrPort) { heard <- string(p) })
	}()
	path, err := alice.Connect(ctx, ice.Controlling, answer)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := path.Write([]byte("hello, bob")); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("bob heard:", <-heard)
	fmt.Println("over a", path.Selected().Remote.Type, "candidate, relayed:", path.Relayed())
	// Output:
	// bob heard: hello, bob
	// over a host candidate, relayed: false
}

func ExampleParseCandidate() {
	c, err := ice.ParseCandidate("candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998")
	fmt.Println(c.Type, c.Addr, c.Related, err)
	// Output: srflx 192.0.2.3:45664 203.0.113.141:8998 <nil>
}
