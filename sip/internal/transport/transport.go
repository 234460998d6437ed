package transport

import (
	"context"
	"crypto/tls"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Network is what the flows need of the machine's network.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config configures a Transport. Network and Handle are required.
type Config struct {
	Network Network
	// Listen holds addresses like "udp://127.0.0.1:0", "tcp://[::1]:5060" and
	// "tls://127.0.0.1:5061", of which the last needs a certificate in TLS.
	// nil is "udp://:0" and "tcp://:0". Entries with port 0 and the same host
	// share one port number.
	Listen []string
	// TLS holds our certificates and whom we trust; nil: none, and the machine's
	// roots. It is copied. A connection of ours is verified as RFC 5922 says.
	TLS *tls.Config
	// Handle takes every valid message, on the goroutine that reads the socket:
	// in order per flow, and it must return quickly. A Transport keeps working
	// while Handle runs.
	Handle func(Inbound)
	// Broken, if set, learns of each TCP flow that ended, on a goroutine of the
	// flow, after its last message was handled. err is never nil; it is
	// net.ErrClosed when we closed it.
	Broken func(f Flow, err error)
	// Trace, if set, sees each message sent or received, whole and also those
	// that are refused, in order per flow. It must return quickly.
	Trace func(Packet)
	// Log takes what goes wrong with sockets. nil: silent.
	Log *slog.Logger
	// Limits may be left zero.
	Limits Limits
}

// Limits bounds what peers can make a Transport hold. Zero fields are the
// defaults, negative ones switch a limit off.
type Limits struct {
	MessageSize    int           // bytes of one message on a stream; default 65535
	Headers        int           // header lines of one message; default 256
	Conns          int           // accepted TCP connections; default 1024
	ConnsPerSource int           // accepted connections per IPv4 address or IPv6 /64 but loopback; default 64
	Queue          int           // bytes waiting to be written on one connection; default 1 MiB
	Idle           time.Duration // closes a TCP flow that is not held and saw no message; default 15 min
	Greeting       time.Duration // until the first message of an accepted connection is whole; default 30 s
	Partial        time.Duration // from the first byte of a message on a stream to its last; default 20 s
	Write          time.Duration // a peer that takes nothing for so long has gone; default 10 s
	Connect        time.Duration // a TCP connect, TLS handshake included; default 10 s
	Handshake      time.Duration // the TLS handshake of an accepted connection; default 10 s
	Replies        int           // answers without state over UDP per second, in bursts of twice as many; default 500
}

func (l *Limits) defaults() {
	set(&l.MessageSize, 65535)
	set(&l.Headers, 256)
	set(&l.Conns, 1024)
	set(&l.ConnsPerSource, 64)
	set(&l.Queue, 1<<20)
	set(&l.Idle, 15*time.Minute)
	set(&l.Greeting, 30*time.Second)
	set(&l.Partial, 20*time.Second)
	set(&l.Write, 10*time.Second)
	set(&l.Connect, 10*time.Second)
	set(&l.Handshake, 10*time.Second)
	set(&l.Replies, 500)
}

func set[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Transport owns the sockets of one agent. It is safe for concurrent use.
type Transport struct {
	cfg       Config
	seed      maphash.Seed
	udp       []*udpSocket   // fixed after Listen
	listeners []*tcpAcceptor // fixed after Listen
	stop      chan struct{}
	running   sync.WaitGroup // every goroutine of the transport; Close waits
	closing   sync.Once

	conns    connTable
	fallback fallback
	locals   localAddrs
	replies  bucket
	count    counters
}

type counters struct {
	received, sent, keepalives, garbage, badRequests, unanswerable, badResponses, tooLarge, refused, timedOut, unreplied, handshakes atomic.Uint64
}

// Listen binds the sockets of cfg. ctx bounds the binding only.
func Listen(ctx context.Context, cfg Config) (*Transport, error) {
	cfg.Limits.defaults()
	cfg.TLS = atLeast12(cfg.TLS)
	t := &Transport{cfg: cfg, seed: maphash.MakeSeed(), stop: make(chan struct{})}
	t.conns.init()
	t.replies.rate = cfg.Limits.Replies
	if err := t.bind(ctx); err != nil {
		return nil, err
	}
	for _, s := range t.udp {
		t.running.Go(s.read)
	}
	for _, a := range t.listeners {
		t.running.Go(a.accept)
	}
	return t, nil
}

// Close ends all sockets and flows at once and waits for their goroutines. It
// must not be called from Handle, Broken or Trace. What was written to a connection
// before has a fifth of a second to leave.
func (t *Transport) Close() error {
	t.closing.Do(func() {
		close(t.stop)
		for _, a := range t.listeners {
			_ = a.l.Close()
		}
		for _, f := range t.conns.shut() {
			_ = f.Close()
		}
		for _, s := range t.udp {
			_ = s.pc.Close()
		}
	})
	t.running.Wait()
	return nil
}

// Stats counts messages and what was dropped, by cause.
type Stats struct {
	Received, Sent uint64
	Keepalives     uint64 // CRLF pings answered or ignored
	Garbage        uint64 // not SIP: dropped
	BadRequests    uint64 // answered with a 4xx or 505
	Unanswerable   uint64 // bad requests that cannot be answered, bad ACKs
	BadResponses   uint64 // dropped
	TooLarge       uint64 // messages over a limit
	Refused        uint64 // TCP connections over a limit
	TimedOut       uint64 // TCP connections closed by Greeting, Partial, Idle or Write
	Unreplied      uint64 // answers without state left out for Limits.Replies
	Handshakes     uint64 // TLS handshakes of accepted connections that failed
	Conns          int    // TCP connections now
}

// Stats is a snapshot of the counters.
func (t *Transport) Stats() Stats {
	c := &t.count
	return Stats{
		Received: c.received.Load(), Sent: c.sent.Load(), Keepalives: c.keepalives.Load(),
		Garbage: c.garbage.Load(), BadRequests: c.badRequests.Load(), Unanswerable: c.unanswerable.Load(),
		BadResponses: c.badResponses.Load(), TooLarge: c.tooLarge.Load(), Refused: c.refused.Load(),
		TimedOut: c.timedOut.Load(), Unreplied: c.unreplied.Load(), Handshakes: c.handshakes.Load(), Conns: t.conns.size(),
	}
}

// take passes one raw message up. answer writes a response to a request that has a
// defect; over UDP to may differ from the source.
func (t *Transport) take(p *parser, raw []byte, from Flow, source netip.AddrPort, stream bool, answer func(res []byte, to netip.AddrPort)) {
	t.trace(from, raw, false)
	msg, d := p.parse(raw, stream)
	if d != nil {
		t.refuse(&p.head, raw, d, source, answer)
		return
	}
	t.count.received.Add(1)
	in := Inbound{Msg: msg, Flow: from, Source: source}
	if req, ok := msg.(*sipmsg.Request); ok {
		v := req.Via()
		if u, ok := from.(udpFlow); ok {
			u.remote = replyTo(hasParam(v.Params, "rport"), v.Port, source)
			in.Flow = u
		}
		markSource(v, source)
		req.SetTransport(from.Transport())
	}
	t.cfg.Handle(in)
}

// refuse answers, or drops and counts, a message with a defect.
func (t *Transport) refuse(h *head, raw []byte, d *defect, source netip.AddrPort, answer func([]byte, netip.AddrPort)) {
	if d.code == 0 {
		t.count.garbage.Add(1)
		return
	}
	if !h.request {
		t.count.badResponses.Add(1)
		return
	}
	res, to := h.reply(raw, d, source, t.seed)
	if res == nil {
		t.count.unanswerable.Add(1)
		return
	}
	t.count.badRequests.Add(1)
	answer(res, to)
}

func (t *Transport) trace(f Flow, raw []byte, sent bool) {
	if t.cfg.Trace != nil {
		t.cfg.Trace(Packet{Time: time.Now(), Sent: sent, Flow: f, Raw: raw})
	}
}

func (t *Transport) log(msg string, args ...any) {
	if t.cfg.Log != nil {
		t.cfg.Log.Debug("sip: "+msg, args...)
	}
}

// pause waits d, or less when the transport closes: false.
func (t *Transport) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.stop:
		return false
	}
}

func (t *Transport) closed() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// Bytes serialises a message into a slice of its own.
func Bytes(m sipmsg.Message) []byte {
	b := make(writer, 0, 512+len(m.Body()))
	m.StringWrite(&b)
	return b
}

// writer is the io.StringWriter sipgo's messages write to.
type writer []byte

func (w *writer) WriteString(s string) (int, error) {
	*w = append(*w, s...)
	return len(s), nil
}
