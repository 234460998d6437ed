package media

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// end is one end of an in-memory path, for use inside a synctest bubble or out.
type end struct {
	addr  netip.AddrPort
	other *end
	queue chan sentPacket
	done  chan struct{}
	wg    sync.WaitGroup

	mu      sync.Mutex // guards what follows
	handler func([]byte, netip.AddrPort)
	closed  bool
	delay   time.Duration
	drop    func(p []byte) bool   // of what this end sends
	edit    func(p []byte) []byte // what this end sends
	sent    [][]byte              // copies, when tap is set
	tap     bool
	from    netip.AddrPort // overrides addr as the source
	target  netip.AddrPort // last Retarget
}

type sentPacket struct {
	p    []byte
	from netip.AddrPort
	at   time.Time
}

func newPipe(tb testing.TB) (a, b *end) {
	a = &end{addr: netip.MustParseAddrPort("192.0.2.1:4000")}
	b = &end{addr: netip.MustParseAddrPort("192.0.2.2:4000")}
	for _, e := range []*end{a, b} {
		e.queue, e.done = make(chan sentPacket, 4096), make(chan struct{})
		e.wg.Go(e.run)
		tb.Cleanup(func() { _ = e.Close() })
	}
	a.other, b.other = b, a
	return a, b
}

// run delivers what the other end sent.
func (e *end) run() {
	for {
		select {
		case p := <-e.queue:
			if d := time.Until(p.at); d > 0 {
				select {
				case <-time.After(d):
				case <-e.done:
					return
				}
			}
			e.inject(p.p, p.from)
		case <-e.done:
			return
		}
	}
}

// inject delivers a packet to this end as if it came from from.
func (e *end) inject(p []byte, from netip.AddrPort) {
	e.mu.Lock()
	h := e.handler
	e.mu.Unlock()
	if h != nil {
		h(p, from)
	}
}

func (e *end) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, net.ErrClosed
	}
	n := len(p)
	p = append([]byte(nil), p...)
	if e.tap {
		e.sent = append(e.sent, p)
	}
	if e.drop != nil && e.drop(p) {
		return n, nil
	}
	if e.edit != nil {
		p = e.edit(append([]byte(nil), p...))
	}
	from := e.addr
	if e.from.IsValid() {
		from = e.from
	}
	select {
	case e.other.queue <- sentPacket{append([]byte(nil), p...), from, time.Now().Add(e.delay)}:
	default:
	}
	return n, nil
}

func (e *end) Handle(f func([]byte, netip.AddrPort)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handler = f
}

func (e *end) Retarget(to netip.AddrPort) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.target = to
}

func (e *end) Close() error {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.done)
	}
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}

func (e *end) set(f func(*end)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// packets returns what was sent since tap was set.
func (e *end) packets(k kind) (all [][]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.sent {
		if classify(p) == k {
			all = append(all, p)
		}
	}
	return all
}

// lossy drops packets at the given rate, always in the same way.
func lossy(rate float64, seed uint64) func([]byte) bool {
	r := rand.New(rand.NewPCG(seed, 1))
	return func([]byte) bool { return r.Float64() < rate }
}

// keyPair returns the DTLS keys of two ends that know each other.
func keyPair(tb testing.TB) (a, b Keys) {
	tb.Helper()
	ca, fa := newIdentity(tb)
	cb, fb := newIdentity(tb)
	return Keys{DTLS: &DTLS{Certificate: ca, Client: true, Remote: []Fingerprint{fb}}},
		Keys{DTLS: &DTLS{Certificate: cb, Remote: []Fingerprint{fa}}}
}

// connect runs two transports against each other.
func connect(tb testing.TB, ca, cb TransportConfig) (a, b *Transport) {
	tb.Helper()
	a, b, errA, errB := tryConnect(ca, cb)
	if errA != nil || errB != nil {
		tb.Fatalf("transports: %v, %v", errA, errB)
	}
	tb.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

func tryConnect(ca, cb TransportConfig) (a, b *Transport, errA, errB error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { a, errA = NewTransport(ctx, &ca) })
	wg.Go(func() { b, errB = NewTransport(ctx, &cb) })
	wg.Wait()
	return a, b, errA, errB
}
