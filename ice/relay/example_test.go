package relay_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/ice/relay"
)

// A relay on loopback, for an example or a test: peers on loopback are opened.
func Example() {
	ctx := context.Background()
	s, err := relay.Listen(ctx, &relay.Config{
		Listen:     []string{"udp://127.0.0.1:0"},
		Users:      map[string]string{"alice": "a password"},
		AllowPeers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	g, err := ice.NewGatherer(ctx, &ice.Config{
		Addrs:     []netip.Addr{netip.MustParseAddr("127.0.0.1")},
		Servers:   []ice.Server{{URL: "turn:" + s.Addr().String(), Username: "alice", Password: "a password"}},
		RelayOnly: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	d, err := g.Local(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range d.Candidates {
		fmt.Println(c.Type, c.Addr.Addr())
	}
	fmt.Println("allocations:", s.Stats().Allocations)
	// Output:
	// relay 127.0.0.1
	// allocations: 1
}
