package media

import (
	"context"
	"log/slog"
	"net/netip"
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
	RTCP  Path // nil: RTCP is multiplexed with RTP (RFC 5761)
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
}

// Transport carries streams to one peer: it owns the paths it was given, one DTLS
// association and one SRTP context per direction.
type Transport struct{}

// NewTransport takes over the paths (it closes them when it fails, too), runs the
// DTLS handshake if that is how it is keyed, and returns when packets can flow.
// ctx bounds the handshake only. Errors: *HandshakeError, ErrFingerprint inside it.
func NewTransport(ctx context.Context, cfg *TransportConfig) (*Transport, error) {
	return &Transport{}, nil
}

// Suite names the SRTP cipher, "AEAD_AES_128_GCM"; "" for plain RTP.
func (t *Transport) Suite() string { return "" }

// Profile is "DTLS-SRTP", "SDES" or "RTP".
func (t *Transport) Profile() string { return "" }

// LocalFingerprint is that of our certificate; zero without DTLS.
func (t *Transport) LocalFingerprint() Fingerprint { return Fingerprint{} }

// RemoteFingerprint is the announced fingerprint that the peer's certificate
// matched; zero without DTLS.
func (t *Transport) RemoteFingerprint() Fingerprint { return Fingerprint{} }

// Stats counts what the transport dropped and why.
func (t *Transport) Stats() TransportStats { return TransportStats{} }

// Done is closed when the transport ended: by Close, or because a path broke.
func (t *Transport) Done() <-chan struct{} { return nil }

// Err says why the transport ended; net.ErrClosed after Close, nil before the end.
func (t *Transport) Err() error { return nil }

// Close says goodbye by RTCP (BYE), closes the streams, the paths and waits for
// all goroutines of the transport.
func (t *Transport) Close() error { return nil }
