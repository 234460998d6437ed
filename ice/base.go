package ice

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// base is an ICE base (RFC 8445 section 4): a socket or an allocation. All
// forks, all generations of ICE and the peer without ICE share it.
//
// One reader goroutine per base demultiplexes: requests by their full USERNAME,
// responses by the transaction ID recorded when the request was written, the
// rest by its source address.
type base struct {
	addr  netip.AddrPort // the host or relayed address
	relay bool
	pref  uint16 // local preference

	// Of an allocation only:
	server     string         // the URL of the TURN server
	turnServer netip.AddrPort // its address
	host       *base          // the socket it was made on
	related    netip.AddrPort // the mapped address
	settle     func()         // waits for its writers, after the host's socket was closed
	mute       func()         // lets its client send no more: another allocation has its 5-tuple

	out    packetWriter
	g      *Gatherer
	closer func() error
	done   chan struct{} // closed when the reader has ended

	routes atomic.Pointer[map[netip.AddrPort]*Path] // copy on write under mu
	static atomic.Pointer[Path]                     // what no route takes: a peer without ICE
	turns  atomic.Pointer[[]turnHook]               // copy on write under mu

	mu     sync.Mutex
	tx     [2]map[txID]transaction // two generations: an ID lives 10 to 20 s
	txTurn time.Time
}

// transaction is a request of ours that waits for its response: an agent's
// check, or a request to a server.
type transaction struct {
	v    *vconn
	sent time.Time
	f    func(p []byte, from netip.AddrPort)
}

// turnHook gives a TURN client what its server sends to this base.
type turnHook struct {
	server netip.AddrPort
	owner  *turnConn
	input  func(p []byte)
}

const (
	readBuffer   = 2048
	txGeneration = 10 * time.Second
	maxRoutes    = 256 // per base
)

func newBase(g *Gatherer, addr netip.AddrPort, out packetWriter, closer func() error) *base {
	b := &base{g: g, addr: addr, out: out, closer: closer, done: make(chan struct{})}
	b.tx[0], b.tx[1] = map[txID]transaction{}, map[txID]transaction{}
	b.routes.Store(&map[netip.AddrPort]*Path{})
	b.turns.Store(&[]turnHook{})
	return b
}

// read is the one reader of a base. It ends when the socket is closed.
func (b *base) read(from func([]byte) (int, netip.AddrPort, error)) {
	defer close(b.done)
	buf := make([]byte, readBuffer)
	for failures := 0; ; {
		n, src, err := from(buf)
		if err == nil {
			failures = 0
			b.input(buf[:n], unmap(src))
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// An ICMP message for an earlier packet shows up here as an error and
		// means nothing; a socket that has nothing but errors must not spin.
		if failures++; failures > 8 && !b.g.pause(min(time.Duration(failures)*time.Millisecond, time.Second)) {
			return
		}
	}
}

// close ends the base and waits for its reader.
func (b *base) close() error {
	err := b.closer()
	<-b.done
	return err
}

// input demultiplexes one datagram (RFC 7983). It runs on the reader goroutine.
func (b *base) input(p []byte, from netip.AddrPort) {
	if len(p) == 0 {
		return
	}
	for _, h := range *b.turns.Load() {
		if from != h.server {
			continue
		}
		if p[0] >= 64 && p[0] < 80 || p[0] < 4 && !(isSTUN(p) && b.ours(p)) {
			h.input(p)
			return
		}
	}
	if p[0] < 4 {
		if isSTUN(p) && isBinding(p) {
			b.inputSTUN(p, from)
		}
		return
	}
	if r, ok := (*b.routes.Load())[from]; ok {
		r.deliver(p, from)
	} else if s := b.static.Load(); s != nil {
		s.deliver(p, from)
	}
}

func (b *base) inputSTUN(p []byte, from netip.AddrPort) {
	switch {
	case isResponse(p):
		t, ok := b.take(p)
		if !ok {
			return
		}
		if t.v != nil {
			t.v.response(p, from, t.sent)
		} else {
			t.f(p, from)
		}
	case isRequest(p):
		user, _ := attribute(p, attrUsername)
		b.g.check(b, user, p, from)
	}
	// An indication is an unauthenticated keep-alive: nothing to do.
}

// ours says whether p answers a request that did not come from the TURN client.
func (b *base) ours(p []byte) bool {
	if !isResponse(p) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	id := transactionID(p)
	_, ok := b.tx[0][id]
	if !ok {
		_, ok = b.tx[1][id]
	}
	return ok
}

// take finds the transaction of a response. It is kept: retransmitted requests
// may be answered more than once, and only an authenticated response counts.
func (b *base) take(p []byte) (transaction, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := transactionID(p)
	t, ok := b.tx[0][id]
	if !ok {
		t, ok = b.tx[1][id]
	}
	return t, ok
}

// remember records a request before it is written.
func (b *base) remember(p []byte, t transaction) {
	t.sent = time.Now()
	b.mu.Lock()
	if t.sent.Sub(b.txTurn) > txGeneration {
		b.tx[1], b.tx[0], b.txTurn = b.tx[0], map[txID]transaction{}, t.sent
	}
	b.tx[0][transactionID(p)] = t
	b.mu.Unlock()
}

// hook sets the TURN client of a server and returns the one it replaces.
func (b *base) hook(h turnHook) (before turnHook) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hs := []turnHook{h}
	for _, o := range *b.turns.Load() {
		if o.server == h.server {
			before = o
		} else {
			hs = append(hs, o)
		}
	}
	b.turns.Store(&hs)
	return before
}

// unhook removes a TURN client, unless another took its place.
func (b *base) unhook(owner *turnConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hs := slices.DeleteFunc(slices.Clone(*b.turns.Load()), func(h turnHook) bool { return h.owner == owner })
	b.turns.Store(&hs)
}

// route gives what comes from an address to a path. It refuses an address that
// another path has: two forks there cannot be told apart, and a peer must not
// take over another's media.
func (b *base) route(from netip.AddrPort, p *Path) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := *b.routes.Load()
	if owner, ok := old[from]; ok {
		return owner == p
	}
	if len(old) >= maxRoutes {
		return false
	}
	m := maps.Clone(old)
	m[from] = p
	b.routes.Store(&m)
	return true
}

// unroute drops the routes of a path, but for those that keep wants.
func (b *base) unroute(p *Path, keep func(netip.AddrPort) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := maps.Clone(*b.routes.Load())
	maps.DeleteFunc(m, func(a netip.AddrPort, owner *Path) bool {
		return owner == p && (keep == nil || !keep(a))
	})
	b.routes.Store(&m)
}
