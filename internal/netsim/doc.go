// Package netsim is a simulated network for tests: hosts, links with delay,
// jitter, loss, reordering, duplication and limited rate, NATs of four kinds,
// UDP, TCP streams, names, crashes and rebinding. Everything on it runs in the
// virtual time of a testing/synctest bubble, or in real time outside of one.
//
// # Usage
//
//	synctest.Test(t, func(t *testing.T) {
//		sim := netsim.New(1)
//		defer sim.Close()
//		home := sim.NewNAT(netsim.PortRestricted, "192.0.2.1")
//		alice := sim.NewHost("10.0.0.2", home)
//		bob := sim.NewHost("198.51.100.7", nil)
//		slow := netsim.Link{Delay: 40 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.05}
//		alice.SetLink(slow, slow)
//		// A *Host has the methods of the Network interfaces of sip and ice:
//		agent, err := sip.Listen(ctx, &sip.Config{Network: alice})
//		// alice.Transport() is the same for pion's modules.
//	})
//
// A real socket in a bubble stops its clock for ever, so all that a test starts
// must be given a Host.
//
// # Seeds
//
// The seed decides the fate of the n-th datagram of a class (STUN, DTLS, RTP,
// SIP by the first byte) on one direction of one link, whatever the other
// links and classes carry. It does not make runs the same byte for byte:
// goroutines run in any order, maps are random, keys are drawn. Assert
// invariants and bounds, not traces.
//
// # Concurrency
//
// Everything is safe for concurrent use. All state is under one mutex, which is
// never held while something waits; all waits are on channels and so durable
// in a bubble. The network has one goroutine, ended by Close.
//
// # Traps of bubbles
//
//   - Make the Sim in the bubble that uses it: a channel from outside is not a
//     durable wait.
//
//   - A mutex of the code under test that is held across a wait for the network
//     freezes the bubble's clock as soon as another goroutine wants it: waiting
//     for a mutex is not durable. crypto/tls does so when a connection is shared
//     before its handshake: call HandshakeContext first.
//
//   - pion/ice needs WithNet(host.Transport()), WithMulticastDNSMode(disabled)
//     and WithDisableActiveTCP, or it opens real sockets. pion/turn needs a
//     RelayAddressGeneratorStatic with the host's Net.
//
//   - If the first DNS look-up of a process is made inside a bubble, by anything
//     that uses net.Resolver, the next bubble dies ("send on synctest channel
//     from outside bubble"), because package net keeps a channel made then. Have
//     TestMain call WarmResolver before m.Run: it makes one that fails.
//
//   - A bubble that hangs hangs until go test's -timeout: only then are the
//     goroutines shown. When anything in it has a repeating timer it does not
//     even hang, it runs at full speed through the years: bound every wait by a
//     context or a deadline, t.Context() is not one.
//
//   - A test should end with nothing in Open; Close closes what is left so that
//     the bubble can end.
//
// # Limitations
//
// One NAT between a host and the public network. No ICMP but port unreachable to
// connected UDP sockets, no multicast, no IPv6 zones, no TCP keep-alive probes
// (an idle stream whose other side is gone never learns it), no simultaneous
// open. Loss and limited rate are delays to a stream; its throughput has no
// congestion control. A packet costs virtual time only.
package netsim
