// Package relay is a small STUN and TURN server (RFC 8489, RFC 8656) for one
// machine: development, tests, a local network. In production run coturn.
//
// # Usage
//
//	s, err := relay.Listen(ctx, &relay.Config{
//		Listen: []string{"udp://192.0.2.1:3478"},
//		Users:  map[string]string{"alice": password},
//	})
//	defer s.Close()
//
// Allocations always need long-term credentials; plain Binding requests, which
// only tell a client its own address, do not.
//
// A relay is a way into the network it stands in. It refuses, as peers, every
// address that is not a public unicast one: loopback, link-local, private,
// shared, unique-local, multicast and reserved addresses, also written as
// IPv4-mapped, NAT64 or 6to4 addresses, and the machine's own addresses but for
// its live relayed ones. Config.AllowPeers opens ranges.
//
// # Concurrency
//
// All methods may be called from several goroutines.
//
// # Cancellation
//
// The context given to Listen bounds the start only. Close ends the server and
// every allocation.
//
// # Limitations
//
// UDP only, between client and server and between server and peers. No
// redirection, no bandwidth limits; the number of allocations is limited per
// user and in total.
package relay
