package ice

import (
	"net/netip"
	"time"
)

// Pair is the pair of candidates that a path uses.
type Pair struct{ Local, Remote Candidate }

// PathStats counts what crossed a path. STUN is not counted.
type PathStats struct {
	PacketsSent, BytesSent         uint64
	PacketsReceived, BytesReceived uint64
	Dropped                        uint64        // packets that came before Handle and found no room
	RTT                            time.Duration // of the last check that the peer answered; 0 if unknown
	Consent                        time.Time     // when the peer last answered a check; zero without ICE
}

// Path carries datagrams to one peer. It lives through ICE restarts.
type Path struct{}

// Write sends one datagram to wherever the path points now. It allocates
// nothing and does not keep p.
func (p *Path) Write(b []byte) (int, error) { return 0, ErrClosed }

// Handle sets the function that receives the peer's datagrams. It is called by
// one goroutine at a time; p is reused after it returns. The first packets that
// came before Handle are kept, 32 at most, and delivered now, on the caller's
// goroutine. A nil function discards what arrives.
func (p *Path) Handle(f func(p []byte, from netip.AddrPort)) {}

// Close ends the path. After it returns the handler is not called any more.
func (p *Path) Close() error { return nil }

// Done is closed when the path has ended.
func (p *Path) Done() <-chan struct{} { return nil }

// Err says why the path ended: nil while it lives, a *ConsentError, or
// ErrClosed.
func (p *Path) Err() error { return nil }

// Retarget makes a path of Direct write to another address. Paths of Connect
// ignore it: they never latch.
func (p *Path) Retarget(to netip.AddrPort) {}

// Selected is the pair in use.
func (p *Path) Selected() Pair { return Pair{} }

// Relayed says whether the path goes through a relay of ours or, as far as its
// candidate tells, the peer's.
func (p *Path) Relayed() bool { return false }

// Role is the role of the path's agent now, after any conflict was resolved.
// It is zero for paths of Direct.
func (p *Path) Role() Role { return 0 }

// Stats returns the counters so far.
func (p *Path) Stats() PathStats { return PathStats{} }
