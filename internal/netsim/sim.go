package netsim

import (
	"cmp"
	"container/heap"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Sim is one simulated network: hosts, the links that join them to it, NATs
// and names. Its methods and those of everything it makes are safe for
// concurrent use.
type Sim struct {
	hooks hooks

	mu      sync.Mutex // guards everything below, in hosts, links, NATs and sockets; never held across a wait
	seed    uint64
	queue   events
	seq     uint64
	closed  bool
	public  map[netip.Addr]*iface // addresses that anyone can reach
	nats    map[netip.Addr]*NAT   // by public address
	hosts   []*Host
	names   names
	packets uint64

	wake  chan struct{} // an event earlier than the others was queued
	done  chan struct{} // closed by Close
	ended chan struct{} // closed when the dispatcher has ended
}

// New makes an empty network. The seed decides which packets are lost, how
// long each takes and so on; see the package comment for what it does not
// decide. Inside a synctest bubble the network runs in the bubble's time,
// elsewhere in real time. Close must be called.
func New(seed uint64) *Sim {
	s := &Sim{
		seed:   seed,
		public: make(map[netip.Addr]*iface),
		nats:   make(map[netip.Addr]*NAT),
		names:  names{addrs: make(map[string][]netip.Addr)},
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go s.dispatch()
	return s
}

// Close ends the network at once: packets in flight vanish, all open sockets
// are closed and every call that waits on one returns net.ErrClosed. It waits
// for the network's own goroutine. Call Open before to learn what was
// forgotten.
func (s *Sim) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		s.queue = nil
		for _, h := range s.hosts {
			h.closeSockets(false)
		}
	}
	s.mu.Unlock()
	<-s.ended
}

// Open names the sockets that are open now, sorted: the host's first address,
// the kind of socket, the local and for a connected one the remote address. A
// test that ends with anything here has forgotten to close something.
func (s *Sim) Open() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []string
	for _, h := range s.hosts {
		for _, at := range h.udp {
			for _, c := range at {
				open = append(open, c.describe())
			}
		}
		for _, at := range h.listeners {
			for _, l := range at {
				open = append(open, fmt.Sprintf("%s tcp %s listening", h.name, l.local))
			}
		}
		for c := range h.conns {
			open = append(open, fmt.Sprintf("%s tcp %s to %s", h.name, c.local, c.remote))
		}
	}
	slices.Sort(open)
	return open
}

// Packets is the number of datagrams sent so far.
func (s *Sim) Packets() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets
}

// dispatch runs the events in the order of their times until Close.
func (s *Sim) dispatch() {
	defer close(s.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.runDue())
		s.deliverTraces()
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.done:
			return
		}
	}
}

// runDue runs the events whose time has come and tells how long the next has.
func (s *Sim) runDue() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.queue) > 0 && !s.queue[0].at.After(now) {
		heap.Pop(&s.queue).(event).run()
	}
	if len(s.queue) == 0 {
		return time.Hour
	}
	return s.queue[0].at.Sub(now)
}

// after queues run, which is called with mu held. mu must be held.
func (s *Sim) after(d time.Duration, run func()) { s.at(time.Now().Add(d), run) }

func (s *Sim) at(t time.Time, run func()) {
	if s.closed {
		return
	}
	s.seq++
	first := len(s.queue) == 0 || t.Before(s.queue[0].at)
	heap.Push(&s.queue, event{t, s.seq, run})
	if !first {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// event is something that happens on the network at a time.
type event struct {
	at  time.Time
	seq uint64 // keeps the order of events of the same time
	run func()
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }

func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].seq, e[j].seq)) < 0
}

func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// signal wakes all that wait for a change of some state. Its wait is durable in
// synctest. Guarded by Sim.mu.
type signal struct{ ch chan struct{} }

// wait returns a channel that is closed at the next broadcast.
func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// deadline is one of a socket's deadlines: when it passes, sig is broadcast.
// Guarded by Sim.mu.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(s *Sim, t time.Time, sig *signal) {
	d.stop()
	d.at = t
	if t.IsZero() {
		return
	}
	if d.passed() {
		sig.broadcast()
		return
	}
	d.timer = time.AfterFunc(time.Until(t), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		sig.broadcast()
	})
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
