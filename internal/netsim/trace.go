package netsim

import (
	"net/netip"
	"sync"
	"time"
)

// Packet is what a trace tells of one datagram or one segment of a stream.
type Packet struct {
	Time    time.Time
	What    What
	TCP     bool
	Src     netip.AddrPort // as seen on the network: after the sender's NAT
	Dst     netip.AddrPort // Sent, Lost, Filtered: as the sender wrote it; otherwise as the receiving host sees it
	Payload []byte         // not to be changed or kept past the call
}

// What says what happened to a packet.
type What uint8

// A datagram that arrives is told twice: when it is sent and when it is put
// into the receiving socket's queue. Segments of streams are told as Sent only.
const (
	Sent        What = iota // left its host
	Lost                    // by a link: loss, link down, too large, queue full
	Filtered                // by the function given to Filter
	Refused                 // by the receiver's NAT: no mapping, or not from an allowed peer
	Unreachable             // nobody has the address, or the host is down
	NoSocket                // the port is not bound
	Overflow                // the socket's receive buffer was full
	Received                // queued for the reader
)

func (w What) String() string {
	return [...]string{"sent", "lost", "filtered", "refused", "unreachable", "no socket", "overflow", "received"}[w]
}

// hooks are the functions of the test that look at packets.
type hooks struct {
	call sync.Mutex // held while a hook runs, so that hooks run one at a time

	// Guarded by Sim.mu.
	trace   func(Packet)
	filter  func(src, dst netip.AddrPort, p []byte) bool
	pending []Packet // for trace, in order
}

// Trace has f told of every packet from now on; nil ends it. Calls come one at
// a time, soon after the fact and in order, without any lock of the network: f
// may call SetLink, Crash, Rebind and the like. It must not wait, send or
// call Close.
func (s *Sim) Trace(f func(Packet)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.trace, s.hooks.pending = f, nil
}

// Filter has f asked about every datagram that is about to leave its host; nil
// ends it. The datagram is lost when f returns true. src is the source address
// after the sender's NAT. The rules for f are those of Trace.
func (s *Sim) Filter(f func(src, dst netip.AddrPort, p []byte) (drop bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.filter = f
}

// note adds to what the trace will be told. mu must be held.
func (s *Sim) note(what What, f flow, p []byte) {
	if s.hooks.trace != nil {
		s.hooks.pending = append(s.hooks.pending, Packet{time.Now(), what, f.tcp, f.src, f.dst, p})
	}
}

// deliverTraces calls the trace with all that was noted. mu must not be held.
func (s *Sim) deliverTraces() {
	s.mu.Lock()
	idle := len(s.hooks.pending) == 0
	s.mu.Unlock()
	if idle {
		return
	}
	s.hooks.call.Lock()
	defer s.hooks.call.Unlock()
	s.mu.Lock()
	f, told := s.hooks.trace, s.hooks.pending
	s.hooks.pending = nil
	s.mu.Unlock()
	for _, p := range told {
		f(p)
	}
}

// filtered asks the filter. mu must not be held.
func (s *Sim) filtered(f func(src, dst netip.AddrPort, p []byte) bool, fl flow, p []byte) bool {
	s.hooks.call.Lock()
	defer s.hooks.call.Unlock()
	return f(fl.src, fl.dst, p)
}
