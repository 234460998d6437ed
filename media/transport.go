package media

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Path is a datagram pipe to one peer.
type Path interface {
	// Write sends one datagram to wherever the path points now. It does not keep p.
	Write(p []byte) (int, error)
	// Handle sets the function that takes inbound datagrams. It is called one at a
	// time; p may be written to, and is reused after it returns. nil: drop.
	Handle(func(p []byte, from netip.AddrPort))
	Close() error
}

// retargeter is what a Path without ICE also has: Retarget points it at the
// source of a packet that authenticated (symmetric RTP).
type retargeter interface{ Retarget(netip.AddrPort) }

// TransportConfig says what a transport is made of.
type TransportConfig struct {
	RTP   Path
	RTCP  Path // nil: RTCP is multiplexed with RTP (RFC 5761). With DTLS keys RTCP on a path of its own is not spoken
	Keys  Keys
	Clock *Clock       // nil: a clock of its own
	CNAME string       // RTCP SDES CNAME; empty: random (RFC 7022)
	Log   *slog.Logger // nil: silent
	MTU   int          // largest datagram to send, default 1200
	// Remote is the peer's address from SDP when the path has no ICE. Plain RTP is
	// then taken from there, from other ports of its host or of the Signalling host,
	// or, when Remote is a private address, from a host that keeps sending the agreed
	// payload types. Zero: the path checks its sources (ICE), all packets count.
	Remote     netip.AddrPort
	Signalling netip.Addr // where SIP messages of the call come from; may be zero

	suites []dtls.SRTPProtectionProfile // tests: what DTLS offers
}

// Transport carries streams to one peer: it owns the paths it was given, one DTLS
// association and one SRTP context per direction.
type Transport struct {
	rtp, rtcp Path // rtcp nil: multiplexed
	noRTCP    bool // RTCP has no path to go
	clock     *Clock
	ownClock  bool
	cname     string
	mtu       int
	log       *slog.Logger

	profile, suite string
	local, remote  Fingerprint
	dtls           *association // nil without DTLS
	facade         *facade      // set before the handshake

	count counters

	out outbound
	in  inbound

	end    sync.Once
	done   chan struct{}
	linger *time.Timer // closes DTLS; guarded by in.mu
}

// outbound is the sending direction; its mutex guards all.
type outbound struct {
	mu     sync.Mutex
	srtp   *srtp.Context // nil: plain
	hdr    rtp.Header
	ssrcs  []uint32 // ever used by streams
	closed bool
}

// NewTransport takes over the paths (it closes them when it fails, too), runs the
// DTLS handshake if that is how it is keyed, and returns when packets can flow.
// ctx bounds the handshake only. Errors: *HandshakeError, ErrFingerprint inside it.
func NewTransport(ctx context.Context, cfg *TransportConfig) (*Transport, error) {
	if cfg.RTP == nil {
		return nil, errors.New("media: NewTransport: no path")
	}
	t := &Transport{
		rtp: cfg.RTP, rtcp: cfg.RTCP, clock: cfg.Clock, cname: cfg.CNAME, mtu: cfg.MTU, log: cfg.Log,
		done: make(chan struct{}),
	}
	t.count.began = time.Now()
	t.in.sources = sources{sdp: unmap(cfg.Remote), signalling: cfg.Signalling}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.mtu <= 0 {
		t.mtu = 1200
	}
	if t.cname == "" {
		t.cname = randomName()
	}
	if t.clock == nil {
		t.clock, t.ownClock = NewClock(1), true
	}
	if err := t.key(ctx, cfg); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// key gets the keys and lets packets in.
func (t *Transport) key(ctx context.Context, cfg *TransportConfig) error {
	if err := cfg.Keys.check(); err != nil {
		return err
	}
	var k keyed
	var err error
	switch keys := cfg.Keys; {
	case keys.Plain:
		t.profile = "RTP"
	case keys.SDES != nil:
		t.profile = "SDES"
		if k, err = sdesKeys(keys.SDES); err != nil {
			return err
		}
	default:
		t.profile = "DTLS-SRTP"
		// "there MUST be a separate DTLS-SRTP session for each" of RTP and RTCP (RFC 5764
		// section 4): with one association, RTCP on a path of its own has no keys.
		t.noRTCP = t.rtcp != nil
		t.facade = newFacade(t.rtp)
		if t.local, err = FingerprintOf(keys.DTLS.Certificate); err != nil {
			return err
		}
		t.listen()
		suites := cfg.suites
		if suites == nil {
			suites = profiles[:]
		}
		t.dtls, k, err = handshake(ctx, t.facade, keys.DTLS, t.mtu, !cfg.Remote.IsValid(), cfg.Log, suites)
		if err != nil {
			return err
		}
		t.remote = k.remote
	}
	if t.profile != "RTP" {
		t.suite = suiteNames[k.profile]
		out, in, err := contexts(k)
		if err != nil {
			return err
		}
		t.out.mu.Lock()
		t.out.srtp = out
		t.out.mu.Unlock()
		t.in.mu.Lock()
		t.in.srtp = in
		t.in.mu.Unlock()
	}
	t.in.mu.Lock()
	t.in.ready = true
	t.in.mu.Unlock()
	if t.facade == nil {
		t.listen()
	}
	t.log.Info("media: transport ready", "profile", t.profile, "suite", t.suite)
	return nil
}

func (t *Transport) listen() {
	t.rtp.Handle(t.receive)
	if t.rtcp != nil {
		t.rtcp.Handle(t.receiveControl)
	}
}

// Suite names the SRTP cipher, "AEAD_AES_128_GCM"; "" for plain RTP.
func (t *Transport) Suite() string { return t.suite }

// Profile is "DTLS-SRTP", "SDES" or "RTP".
func (t *Transport) Profile() string { return t.profile }

// LocalFingerprint is that of our certificate; zero without DTLS.
func (t *Transport) LocalFingerprint() Fingerprint { return t.local }

// RemoteFingerprint is the announced fingerprint that the peer's certificate
// matched; zero without DTLS.
func (t *Transport) RemoteFingerprint() Fingerprint { return t.remote }

// Stats counts what the transport carried and dropped, and why.
func (t *Transport) Stats() TransportStats { return t.count.snapshot() }

// Done is closed by Close.
func (t *Transport) Done() <-chan struct{} { return t.done }

// Err is net.ErrClosed after Close, nil before.
func (t *Transport) Err() error {
	select {
	case <-t.done:
		return net.ErrClosed
	default:
		return nil
	}
}

// Close says goodbye by RTCP (BYE), closes the streams, the paths and waits for
// all goroutines of the transport.
func (t *Transport) Close() error {
	t.end.Do(func() {
		t.in.mu.Lock()
		t.in.closed = true
		streams := t.in.streams
		t.in.streams = nil
		if t.linger != nil {
			t.linger.Stop()
		}
		t.in.mu.Unlock()
		for _, s := range streams {
			_ = s.Close()
		}
		t.out.mu.Lock()
		t.out.closed = true
		t.out.mu.Unlock()
		if t.dtls != nil {
			t.dtls.close()
		}
		_ = t.rtp.Close()
		if t.rtcp != nil {
			_ = t.rtcp.Close()
		}
		if t.ownClock {
			t.clock.Close()
		}
		close(t.done)
	})
	return nil
}

// writeRTP protects and sends one RTP packet. It encrypts in place: p has
// maxTag bytes of capacity to spare.
func (t *Transport) writeRTP(p []byte) error {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	if t.out.closed {
		return net.ErrClosed
	}
	if t.out.srtp != nil {
		var err error
		if p, err = t.out.srtp.EncryptRTP(p, p, &t.out.hdr); err != nil {
			return fmt.Errorf("media: protect: %w", err)
		}
	}
	return t.write(t.rtp, p)
}

// writeRTCP protects and sends one compound RTCP packet, like writeRTP.
func (t *Transport) writeRTCP(p []byte) error {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	switch {
	case t.out.closed:
		return net.ErrClosed
	case t.noRTCP:
		return nil
	}
	if t.out.srtp != nil {
		var hdr rtcp.Header
		var err error
		if p, err = t.out.srtp.EncryptRTCP(nil, p, &hdr); err != nil {
			return fmt.Errorf("media: protect: %w", err)
		}
	}
	if t.rtcp != nil {
		return t.write(t.rtcp, p)
	}
	return t.write(t.rtp, p)
}

func (t *Transport) write(path Path, p []byte) error {
	n, err := path.Write(p)
	if err != nil {
		t.count.writeErrors.Add(1)
		return err
	}
	t.count.packetsSent.Add(1)
	t.count.bytesSent.Add(uint64(n))
	return nil
}

// randomName makes a CNAME that tells nothing and never repeats (RFC 7022 section 4.2).
func randomName() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
