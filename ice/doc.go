// Package ice finds a datagram path between two peers: directly if the network
// lets them, through a TURN relay if not (RFC 8445, RFC 8839, RFC 7675).
//
// The package owns every socket. pion/ice's agents see STUN messages only, so
// that one set of sockets and allocations serves all the forks of an offer, ICE
// restarts make the new path before they break the old one, a peer without ICE
// is reached from the very port that was advertised, and media never passes
// through an agent.
//
// # Usage
//
// A [Gatherer] is one offer's (or answer's) side: it binds sockets, asks the
// configured servers for reflexive and relayed addresses and describes itself:
//
//	g, err := ice.NewGatherer(ctx, &ice.Config{Servers: servers})
//	local, err := g.Local(ctx)              // ufrag, pwd, candidates: to the peer, in its SDP
//	path, err := g.Connect(ctx, ice.Controlling, remote) // what the peer sent
//	path.Handle(func(p []byte, from netip.AddrPort) { ... })
//	path.Write(packet)
//
// Connect is called once per fork, that is per answer with a ufrag of its own.
// [Gatherer.Direct] gives the path to a peer that does not speak ICE.
// [Gatherer.Renew] and [Gatherer.Restart] restart ICE on a living path.
//
// # Concurrency
//
// All methods may be called from several goroutines. The function given to
// [Path.Handle] is called by one reader at a time, never twice at once. It must
// not call Close of its path or gatherer, which wait for it.
//
// # Cancellation
//
// The context given to [NewGatherer] bounds gathering, that of Connect and
// Restart the connectivity checks. Paths and sockets live on when those
// contexts end; [Path.Close] and [Gatherer.Close] end them and wait for every
// goroutine. A path ends by itself when consent is lost: no authenticated
// response from the peer for 30 seconds (RFC 7675 section 5.1).
//
// # Limitations
//
// Component 1 only: with ICE, RTCP is multiplexed with RTP. UDP candidates
// only; TURN over UDP only. No trickle. Candidates that are names (.local) are
// kept in descriptions and otherwise ignored. Two forks at the same remote
// address and port cannot be told apart.
package ice
