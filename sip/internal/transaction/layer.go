package transaction

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// Errors of transactions.
var (
	ErrTimeout    = fmt.Errorf("sip: no answer: %w", os.ErrDeadlineExceeded) // timer B or F
	ErrClosed     = fmt.Errorf("sip: transaction layer: %w", net.ErrClosed)
	ErrTooMany    = errors.New("sip: too many transactions")
	ErrTerminated = errors.New("sip: the transaction has ended")
)

const shards = 8

// Config configures a Layer. Request is required.
type Config struct {
	MaxServer int // server transactions at once; default 16384; negative: no limit. Over it: 503 with Retry-After, stateless
	MaxClient int // client transactions at once; default 65536; negative: no limit. Over it: ErrTooMany
	// Request takes each new request on the goroutine that called Receive. tx is
	// nil for an ACK (to a 2xx, or one that matches nothing); any other
	// transaction must be given a final response. in.Msg is a *sipmsg.Request.
	Request func(in transport.Inbound, tx *Server)
	// Stray, if set, takes responses that match no transaction, such as a 2xx
	// retransmitted after the 64*T1 of the Accepted state.
	Stray func(in transport.Inbound)
	// Hold, if set, is called when the first transaction of a reliable flow
	// starts; release when the last one ended (transport.Transport.Hold).
	Hold func(transport.Flow) (release func())
	// Reply sends a 503 for MaxServer and what Refuse is given; nil: Flow.Write (transport.Transport.Reply).
	Reply func(transport.Flow, []byte)
	Log   *slog.Logger // nil: silent
}

// Event tells a client what happened to its request: exactly one of Response and
// Err is set. Provisional responses may come any number of times; then one final
// response or error. After a 2xx to INVITE further 2xx (retransmitted, or from
// other legs of a fork) may follow for 64*T1 (RFC 6026), nothing else.
type Event struct {
	Response *sipmsg.Response
	Err      error             // ErrTimeout, ErrClosed, or what the transport said
	In       transport.Inbound // where Response came from
}

// Layer owns the transactions of one agent. It is safe for concurrent use.
type Layer struct {
	cfg    Config
	epoch  time.Time
	seed   maphash.Seed
	shards [shards]shard

	waitFor atomic.Int64 // the tick the timer goroutine sleeps until
	wake    chan struct{}
	stop    chan struct{}
	closing sync.Once
	loop    sync.WaitGroup
	turn    atomic.Uint32 // the shard of the next After

	holds struct { // transactions per reliable flow
		sync.Mutex
		m map[transport.Flow]*hold
	}
	count struct {
		clients, servers                                             atomic.Int64
		retransmitted, absorbed, timeouts, refused, strays, unwanted atomic.Uint64
	}
}

type hold struct {
	n       int
	release func()
}

// New starts a layer and its timer goroutine, which Close ends.
func New(cfg Config) *Layer {
	if cfg.MaxServer == 0 {
		cfg.MaxServer = 16384
	}
	if cfg.MaxClient == 0 {
		cfg.MaxClient = 65536
	}
	if cfg.Reply == nil {
		cfg.Reply = func(f transport.Flow, b []byte) { _ = f.Write(b) } // when it fails the client asks again
	}
	l := &Layer{
		cfg:   cfg,
		epoch: time.Now().Add(-tick), // so that no time is 0
		seed:  maphash.MakeSeed(),
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
	}
	for i := range l.shards {
		l.shards[i].txs = make(map[string]*record)
	}
	l.holds.m = make(map[transport.Flow]*hold)
	l.waitFor.Store(never)
	l.loop.Go(l.timers)
	return l
}

func (l *Layer) now() time.Duration { return time.Since(l.epoch) }

func (l *Layer) shard(key []byte) *shard {
	return &l.shards[maphash.Bytes(l.seed, key)%shards]
}

// timers fires what is due and sleeps until something is, without an end while there
// is nothing. Close stops it.
func (l *Layer) timers() {
	sleep := time.NewTimer(0)
	defer sleep.Stop()
	var out []todo
	for {
		l.waitFor.Store(never) // whoever arms a timer from here on wakes us
		next := never
		for i := range l.shards {
			s := &l.shards[i]
			s.mu.Lock()
			now := l.now()
			s.wheel.advance(int64(now/tick), func(e *entry) {
				out = append(out, todo{})
				t := &out[len(out)-1]
				if e.tx != nil {
					e.tx.fire(now, t)
				} else {
					t.call = e.call
				}
			})
			next = min(next, s.wheel.nextTick())
			s.mu.Unlock()
			for j := range out {
				_ = l.run(&out[j]) // reported to the user by failed
			}
			clear(out)
			out = out[:0]
		}
		l.waitFor.Store(next)
		if next != never {
			sleep.Reset(time.Duration(next)*tick - l.now())
		} else {
			sleep.Stop()
		}
		select {
		case <-sleep.C:
		case <-l.wake:
		case <-l.stop:
			return
		}
	}
}

// wakeFor wakes the timer goroutine when it sleeps longer than until due.
func (l *Layer) wakeFor(due int64) {
	if due < l.waitFor.Load() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Close ends all transactions and timers and waits for the layer's goroutine.
// Clients without a final answer get ErrClosed. It must not be called from a
// callback.
func (l *Layer) Close() error {
	l.closing.Do(func() {
		close(l.stop)
		l.loop.Wait()
		for i := range l.shards {
			s := &l.shards[i]
			s.mu.Lock()
			s.closed = true
			out := make([]todo, len(s.txs))
			n := 0
			for _, r := range s.txs {
				t := &out[n]
				n++
				if !r.kind.server() && r.state < accepted {
					r.tell(Event{Err: ErrClosed}, t)
				}
				r.drop(t)
			}
			s.wheel = wheel{}
			s.mu.Unlock()
			for j := range out {
				_ = l.run(&out[j]) // writes nothing
			}
		}
	})
	return nil
}

// add registers a new record whose machine was not started; false when the key is
// taken or the layer closed.
func (s *shard) add(r *record) bool {
	if s.closed || s.txs[r.key] != nil {
		return false
	}
	r.shard, r.tx = s, r
	s.txs[r.key] = r
	return true
}

// hold counts a record's flow; unhold takes it back.
func (l *Layer) hold(flow transport.Flow) {
	if !flow.Reliable() {
		return
	}
	l.holds.Lock()
	h := l.holds.m[flow]
	if h == nil {
		h = &hold{}
		l.holds.m[flow] = h
		if l.cfg.Hold != nil {
			h.release = l.cfg.Hold(flow)
		}
	}
	h.n++
	l.holds.Unlock()
}

func (l *Layer) unhold(flow transport.Flow) {
	if !flow.Reliable() {
		return
	}
	l.holds.Lock()
	h := l.holds.m[flow]
	h.n--
	if h.n > 0 {
		h = nil
	} else {
		delete(l.holds.m, flow)
	}
	l.holds.Unlock()
	if h != nil && h.release != nil {
		h.release()
	}
}

// release is for a record that ended, or never began: its place and its flow.
func (l *Layer) release(k kind, flow transport.Flow) {
	if k.server() {
		l.count.servers.Add(-1)
	} else {
		l.count.clients.Add(-1)
	}
	l.unhold(flow)
}

// Broken tells the layer that a flow ended: the client transactions on it fail.
func (l *Layer) Broken(flow transport.Flow, err error) {
	l.holds.Lock()
	used := l.holds.m[flow] != nil
	l.holds.Unlock()
	if !used {
		return
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, r := range s.txs {
			if r.flow == flow && !r.kind.server() {
				r.err = err
				r.arm()
			}
		}
		s.mu.Unlock()
	}
}

// Receive takes a message off the wire.
func (l *Layer) Receive(in transport.Inbound) {
	switch m := in.Msg.(type) {
	case *sipmsg.Request:
		l.request(in, m)
	case *sipmsg.Response:
		l.response(in, m)
	}
}

// Stats is a snapshot.
func (l *Layer) Stats() Stats {
	c := &l.count
	return Stats{
		Clients: int(c.clients.Load()), Servers: int(c.servers.Load()),
		Retransmitted: c.retransmitted.Load(), Absorbed: c.absorbed.Load(),
		Timeouts: c.timeouts.Load(), Refused: c.refused.Load(), Strays: c.strays.Load(),
	}
}

// Stats counts what the layer did.
type Stats struct {
	Clients, Servers int    // transactions alive
	Retransmitted    uint64 // requests, responses and ACKs sent again
	Absorbed         uint64 // retransmissions received and kept from the user
	Timeouts         uint64 // B, F and H
	Refused          uint64 // 503 for MaxServer
	Strays           uint64 // responses without a transaction
}

func (l *Layer) logf(msg string, r *record, err error) {
	if l.cfg.Log != nil {
		l.cfg.Log.Debug("sip: "+msg, "transaction", r.kind.String(), "state", r.state.String(), "remote", r.flow.Remote(), "err", err)
	}
}
