package session_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
)

// The benchmarks of this package run whole calls, or their media alone, over real
// sockets on loopback, both ends in this process. docs/BENCHMARKS.md has the
// commands and what came of them.

// duo is two endpoints without a server.
type duo struct {
	alice  *session.Endpoint
	target string // bob
}

func newDuo(b *testing.B, cfg session.Config, bob session.HandlerFunc) *duo {
	b.Helper()
	cfg.Listen = []string{"udp://127.0.0.1:0"} // media, too, is on loopback then
	var eps [2]*session.Endpoint
	for i := range eps {
		c := cfg
		if i == 1 {
			c.Handler = bob
		}
		ep, err := session.Listen(b.Context(), &c)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := ep.Close(); err != nil {
				b.Error(err)
			}
		})
		eps[i] = ep
	}
	at, _ := eps[1].Addr("udp")
	return &duo{alice: eps[0], target: "sip:bob@" + at.String()}
}

// times collects durations of one kind.
type times []time.Duration

func (t times) report(b *testing.B, name string) {
	if len(t) == 0 {
		return
	}
	slices.Sort(t)
	b.ReportMetric(float64(t[len(t)/2].Microseconds())/1000, name)
}

// firstSound reads until a frame of the peer was decoded, and returns when the
// first packet was there and when that frame was played. Sound comes every 20 ms,
// so that reading paces the loop.
func firstSound(call *session.Call) (packet, frame time.Time, err error) {
	buf := make([]int16, 320)
	for frame.IsZero() {
		if _, err = call.Audio().ReadPCM(buf); err != nil {
			return packet, frame, err
		}
		if packet.IsZero() {
			packet = time.Now()
		}
		frame = call.Stats().Stream.FirstFrame
	}
	return packet, frame, nil
}

// BenchmarkCall is a whole encrypted call, one after the other: gathering, INVITE,
// 200, ACK, ICE, DTLS, sound both ways, BYE and its answer. The times are medians.
// Much of an operation is waiting: for the clock that sends sound every 20 ms, and
// for the jitter buffer.
func BenchmarkCall(b *testing.B) {
	type sound struct {
		frame time.Time
		err   error
	}
	heard := make(chan sound, 1)
	d := newDuo(b, session.Config{Codecs: []string{"PCMU"}}, func(ctx context.Context, in *session.Incoming) {
		call, err := in.Answer(ctx)
		if err != nil {
			heard <- sound{err: err}
			return
		}
		_, frame, err := firstSound(call)
		heard <- sound{frame, err}
		<-ctx.Done()
	})
	var answered, path, packet, both, over times
	b.ReportAllocs() // of both ends
	for b.Loop() {
		began := time.Now()
		call, err := d.alice.Dial(b.Context(), d.target, nil)
		if err != nil {
			b.Fatal(err)
		}
		up := time.Now()
		for ev := range call.Events(b.Context()) {
			if _, ok := ev.(session.PathReady); ok {
				break
			}
		}
		ready := time.Now()
		first, frame, err := firstSound(call)
		if err != nil {
			b.Fatal(err)
		}
		bob := <-heard
		if bob.err != nil {
			b.Fatal(bob.err)
		}
		if bob.frame.After(frame) {
			frame = bob.frame
		}
		bye := time.Now()
		if err := call.Hangup(b.Context()); err != nil {
			b.Fatal(err)
		}
		answered, path = append(answered, up.Sub(began)), append(path, ready.Sub(up))
		packet, both = append(packet, first.Sub(up)), append(both, frame.Sub(up))
		over = append(over, time.Since(bye))
	}
	answered.report(b, "dial-to-answered-ms")
	path.report(b, "answered-to-path-ms")
	packet.report(b, "answered-to-packet-ms")
	both.report(b, "answered-to-sound-both-ms")
	over.report(b, "hangup-ms")
}

// end is one end of a call without signalling: ICE, DTLS-SRTP and a stream for
// packets, what a program has that brings its own codec.
type end struct {
	gatherer  *ice.Gatherer
	transport *media.Transport
	stream    *media.Stream
	got       atomic.Uint64 // packets
	handle    func()        // called for each packet; may be nil
	h         rtp.Header
}

// party is what the ends on one side share, as the calls of an endpoint do.
type party struct {
	clock *media.Clock
	cert  tls.Certificate
	print media.Fingerprint
}

func newParty(b *testing.B) *party {
	b.Helper()
	p := &party{clock: media.NewClock(0)}
	b.Cleanup(p.clock.Close)
	var err error
	if p.cert, err = media.NewCertificate(); err != nil {
		b.Fatal(err)
	}
	if p.print, err = media.FingerprintOf(p.cert); err != nil {
		b.Fatal(err)
	}
	return p
}

var payload = make([]byte, 160) // 20 ms of PCMU; read only

// connect makes the two ends of a call. It returns when each has had a packet of
// the other, and says how long that took from before gathering.
func connect(ctx context.Context, x, y *party, handle [2]func()) (ends [2]*end, took time.Duration, err error) {
	began := time.Now()
	var local [2]ice.Description
	for i := range ends {
		ends[i] = &end{handle: handle[i], h: rtp.Header{PayloadType: 0}}
		cfg := &ice.Config{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
		if ends[i].gatherer, err = ice.NewGatherer(ctx, cfg); err != nil {
			return ends, 0, err
		}
	}
	for i, e := range ends {
		if local[i], err = e.gatherer.Local(ctx); err != nil {
			return ends, 0, err
		}
	}
	var wg sync.WaitGroup
	var errs [2]error
	var heard atomic.Int32
	both := make(chan struct{})
	hello := func() {
		if heard.Add(1) == 2 {
			took = time.Since(began)
			close(both)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for i, e := range ends {
		wg.Go(func() {
			parties := [2]*party{x, y}
			if errs[i] = e.open(ctx, parties[i], parties[1-i], i == 0, local[1-i], hello); errs[i] == nil {
				errs[i] = e.greet(ctx, both)
			}
			if errs[i] != nil {
				cancel() // the other one
			}
		})
	}
	wg.Wait()
	return ends, took, errors.Join(errs[:]...)
}

// open connects one end. hello is called when its first packet comes.
func (e *end) open(ctx context.Context, own, peer *party, first bool, remote ice.Description, hello func()) error {
	role := ice.Controlled
	if first {
		role = ice.Controlling
	}
	path, err := e.gatherer.Connect(ctx, role, remote)
	if err != nil {
		return err
	}
	e.transport, err = media.NewTransport(ctx, &media.TransportConfig{
		RTP: path, Clock: own.clock,
		Keys: media.Keys{DTLS: &media.DTLS{Certificate: own.cert, Client: !first, Remote: []media.Fingerprint{peer.print}}},
	})
	if err != nil {
		return err
	}
	codec := media.Codec{Name: "PCMU", ClockRate: 8000, Channels: 1}
	e.stream, err = e.transport.NewStream(&media.StreamConfig{
		Send: codec, Receive: []media.Codec{codec}, Sending: true, Receiving: true,
		OnPacket: func(*rtp.Header, []byte) {
			if e.got.Add(1) == 1 {
				hello()
			} else if e.handle != nil {
				e.handle()
			}
		},
	})
	return err
}

// greet sends a packet every 20 ms, as a caller who speaks, until both have heard.
func (e *end) greet(ctx context.Context, both <-chan struct{}) error {
	for {
		if err := e.send(); err != nil {
			return err
		}
		select {
		case <-both:
			return nil
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// send sends one packet, 20 ms later than the one before by its timestamp.
func (e *end) send() error {
	e.h.SequenceNumber++
	e.h.Timestamp += 160
	return e.stream.WritePacket(&e.h, payload)
}

func (e *end) close() {
	if e.transport != nil {
		_ = e.transport.Close()
	}
	if e.gatherer != nil {
		_ = e.gatherer.Close()
	}
}

func closeAll(ends [2]*end) {
	for _, e := range ends {
		if e != nil {
			e.close()
		}
	}
}

// BenchmarkConnect is a call's media without signalling, set up and torn down:
// gathering, ICE, DTLS, a packet each way. first-packets-ms is the median from
// before gathering until both ends have had a packet.
func BenchmarkConnect(b *testing.B) {
	x, y := newParty(b), newParty(b)
	var both times
	b.ReportAllocs() // of both ends
	for b.Loop() {
		ends, took, err := connect(b.Context(), x, y, [2]func(){})
		closeAll(ends)
		if err != nil {
			b.Fatal(err)
		}
		both = append(both, took)
	}
	both.report(b, "first-packets-ms")
}

// BenchmarkPacket is one packet from the sender's WritePacket to the receiver's
// OnPacket: protect, ICE path, socket, demultiplex, authenticate, decrypt.
func BenchmarkPacket(b *testing.B) {
	got := make(chan struct{}, 1)
	ends, _, err := connect(b.Context(), newParty(b), newParty(b), [2]func(){nil, func() { got <- struct{}{} }})
	defer closeAll(ends)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := ends[0].send(); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
