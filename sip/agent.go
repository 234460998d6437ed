package sip

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peercall/peercall/internal/sysnet"
	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

const defaultMaxTransactions = 16384

// Agent is a SIP user agent: sockets, transactions and dialogs. It is safe for
// concurrent use.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	tr     *transport.Transport
	tx     *transaction.Layer
	ready  chan struct{} // closed when tr and tx are set
	done   chan struct{} // closed when Close begins
	closed chan struct{} // closed when Close ends
	seed   maphash.Seed

	droppedPolicy, droppedStray atomic.Uint64

	mu      sync.Mutex // guards what follows
	closing bool       // Close was called
	running int        // goroutines
	idle    *sync.Cond // on mu: running is 0
	stopped bool       // no goroutine starts any more
	regs    map[*Registration]struct{}
	dialogs map[dialogID]*Dialog
	serving map[*transaction.Server]*IncomingInvite // INVITEs without a final response
	merged  recent                                  // requests without a To tag (RFC 3261 section 8.2.2.2)
	past    recent                                  // dialogs that ended, whose crossing BYE is answered 200
	known   map[Account]*credentials
	public  map[publicKey]netip.AddrPort
}

// Listen binds the addresses of cfg and starts the agent. ctx bounds the binding
// only. A nil cfg is the zero Config.
func Listen(ctx context.Context, cfg *Config) (*Agent, error) {
	a := &Agent{
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		closed:  make(chan struct{}),
		seed:    maphash.MakeSeed(),
		regs:    make(map[*Registration]struct{}),
		dialogs: make(map[dialogID]*Dialog),
		serving: make(map[*transaction.Server]*IncomingInvite),
		known:   make(map[Account]*credentials),
		public:  make(map[publicKey]netip.AddrPort),
	}
	a.idle = sync.NewCond(&a.mu)
	if cfg != nil {
		a.cfg = *cfg
	}
	if a.cfg.Network == nil {
		a.cfg.Network = sysnet.Network{}
	}
	if a.cfg.UserAgent == "" {
		a.cfg.UserAgent = "peercall"
	}
	a.cfg.Listen = slices.Clone(a.cfg.Listen)
	a.cfg.Supported = slices.Clone(a.cfg.Supported)
	if a.cfg.MaxTransactions == 0 {
		a.cfg.MaxTransactions = defaultMaxTransactions
	}
	if a.log = a.cfg.Log; a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.tx = transaction.New(transaction.Config{
		MaxServer: a.cfg.MaxTransactions,
		Request:   a.receive,
		Stray:     func(transport.Inbound) { a.droppedStray.Add(1) },
		Hold:      func(f transport.Flow) func() { return a.tr.Hold(f) },
		Reply:     func(f transport.Flow, b []byte) { a.tr.Reply(f, b) },
		Log:       a.log,
	})
	var err error
	tc := transport.Config{
		Network: a.cfg.Network,
		Listen:  a.cfg.Listen,
		TLS:     a.cfg.TLS,
		Handle:  a.handle,
		Broken:  a.broken,
		Log:     a.log,
	}
	if a.cfg.Trace != nil {
		tc.Trace = a.trace
	}
	if a.tr, err = transport.Listen(ctx, tc); err != nil {
		_ = a.tx.Close()
		return nil, fmt.Errorf("sip: listen: %w", err)
	}
	close(a.ready)
	return a, nil
}

// Close ends all transactions, dialogs, registrations and flows at once, without
// sending anything, and waits for every goroutine of the agent. It must not be
// called from a callback of the agent. Later calls return nil.
func (a *Agent) Close() error {
	a.mu.Lock()
	if a.closing {
		a.mu.Unlock()
		<-a.closed
		return nil
	}
	a.closing = true
	defer close(a.closed)
	dialogs := make([]*Dialog, 0, len(a.dialogs))
	for _, d := range a.dialogs {
		dialogs = append(dialogs, d)
	}
	a.mu.Unlock()

	close(a.done)
	err := a.tr.Close()
	_ = a.tx.Close() // its clients learn ErrClosed
	for _, d := range dialogs {
		d.finish(DialogEnded{Err: ErrClosed})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.running > 0 { // what they begin is still done: the last events
		a.idle.Wait()
	}
	a.stopped = true
	clear(a.dialogs) // those that waited for an ACK
	clear(a.serving)
	return err
}

// handle takes a message from a flow.
func (a *Agent) handle(in transport.Inbound) {
	<-a.ready
	if a.admit(in) {
		a.tx.Receive(in)
	}
}

// broken learns of each connection that ended.
func (a *Agent) broken(f transport.Flow, err error) {
	<-a.ready
	a.tx.Broken(f, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.regs {
		r.flowEnded(f, err)
	}
}

// spawn runs f on a goroutine that Close waits for; false when it is too late.
func (a *Agent) spawn(f func()) bool {
	a.mu.Lock()
	if a.stopped {
		a.mu.Unlock()
		return false
	}
	a.running++
	a.mu.Unlock()
	go func() {
		defer a.ended()
		f()
	}()
	return true
}

func (a *Agent) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running--; a.running == 0 {
		a.idle.Broadcast()
	}
}

// isClosing says that Close was called: what a user begins now fails.
func (a *Agent) isClosing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closing
}

// life is a context that ends when Close begins.
func (a *Agent) life() context.Context { return lifetime{a.done} }

type lifetime struct{ done <-chan struct{} }

func (l lifetime) Deadline() (time.Time, bool) { return time.Time{}, false }
func (l lifetime) Done() <-chan struct{}       { return l.done }
func (l lifetime) Value(any) any               { return nil }
func (l lifetime) Err() error {
	select {
	case <-l.done:
		return context.Canceled
	default:
		return nil
	}
}

// Addrs lists the bound addresses, UDP first.
func (a *Agent) Addrs() []netip.AddrPort { return a.tr.Addrs() }

// Addr is the first bound address of a transport, "udp", "tcp" or "tls".
func (a *Agent) Addr(transport string) (netip.AddrPort, bool) {
	return a.tr.Addr(strings.ToUpper(transport))
}

// Stats counts what happened since Listen.
func (a *Agent) Stats() Stats {
	tr, tx := a.tr.Stats(), a.tx.Stats()
	a.mu.Lock()
	dialogs := len(a.dialogs)
	a.mu.Unlock()
	return Stats{
		Received:           tr.Received,
		Sent:               tr.Sent,
		Retransmissions:    tx.Retransmitted,
		Absorbed:           tx.Absorbed,
		DroppedMalformed:   tr.Garbage + tr.Unanswerable + tr.BadResponses + tr.TooLarge,
		DroppedPolicy:      a.droppedPolicy.Load(),
		DroppedStray:       a.droppedStray.Load(),
		Overload:           tx.Refused,
		ClientTransactions: tx.Clients,
		ServerTransactions: tx.Servers,
		Dialogs:            dialogs,
	}
}

// trace summarises a packet for Config.Trace.
func (a *Agent) trace(p transport.Packet) {
	start, cseq, callID := p.Summary()
	a.cfg.Trace(Trace{
		Time: p.Time, Sent: p.Sent, Transport: p.Flow.Transport(), Local: p.Flow.Local(), Remote: p.Flow.Remote(),
		Start: start, CSeq: cseq, CallID: callID, Size: len(p.Raw),
	})
}

// token is a random name for a tag, a branch or a Call-ID: 80 bits.
func token() string { return rand.Text()[:16] }
