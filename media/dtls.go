package media

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"
)

const (
	// Handshake flights are sent again after 300 ms, then twice that, and so on:
	// RFC 6347 section 4.2.4.1 advises 1 s and allows less where latency matters.
	flightInterval = 300 * time.Millisecond
	// How long DTLS lives on after the first authenticated packet: longer than a
	// peer goes on repeating its last flight.
	dtlsLinger = 5 * time.Second
	dtlsMTU    = 1200
)

// association is one DTLS association. Its goroutines end with close.
type association struct {
	facade *facade
	conn   *dtls.Conn
	once   sync.Once
}

// profiles is what we offer and accept, best first (RFC 7714 section 14.2, RFC
// 5764 section 4.1.2). The 32-bit tags are left out.
var profiles = [...]dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_128_GCM,
	dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

// keyed is what a handshake yields.
type keyed struct {
	profile srtp.ProtectionProfile
	keys    srtp.SessionKeys
	remote  Fingerprint
}

// handshake runs DTLS over f. verifiedPath says that the path checked where
// the peer is (ICE), so that the server needs no cookie round trip.
func handshake(ctx context.Context, f *facade, k *DTLS, mtu int, verifiedPath bool, log *slog.Logger, suites []dtls.SRTPProtectionProfile) (*association, keyed, error) {
	// "If the offer/answer has no fingerprint, there is nothing to check the
	// certificate against" (after RFC 5763 section 5): refuse before a packet is sent.
	if len(k.Remote) == 0 {
		_ = f.Close()
		return nil, keyed{}, &HandshakeError{Err: ErrFingerprint}
	}
	var remote Fingerprint
	verify := func(der [][]byte) error {
		if len(der) > 0 {
			for _, fp := range k.Remote {
				if fp.matches(der[0]) {
					remote = fp
					return nil
				}
			}
		}
		return ErrFingerprint
	}
	conn, err := open(f, k, mtu, verifiedPath, log, suites, verify)
	if err != nil {
		_ = f.Close()
		return nil, keyed{}, &HandshakeError{Err: err}
	}
	a := &association{facade: f, conn: conn}
	if err := conn.HandshakeContext(ctx); err != nil {
		a.close()
		return nil, keyed{}, handshakeError(ctx, err)
	}
	got, err := a.export(k.Client)
	if err == nil {
		// Once more on what the connection settled on, whatever callbacks DTLS made.
		state, ok := conn.ConnectionState()
		if !ok {
			err = errors.New("media: no connection state")
		} else {
			err = verify(state.PeerCertificates)
		}
	}
	if err != nil {
		a.close()
		return nil, keyed{}, &HandshakeError{Err: err}
	}
	got.remote = remote
	return a, got, nil
}

func open(f *facade, k *DTLS, mtu int, verifiedPath bool, log *slog.Logger, suites []dtls.SRTPProtectionProfile, verify func([][]byte) error) (*dtls.Conn, error) {
	options := []dtls.Option{
		dtls.WithCertificates(k.Certificate),
		dtls.WithSRTPProtectionProfiles(suites...),
		dtls.WithInsecureSkipVerify(true), // chains mean nothing here: the fingerprint does
		dtls.WithVerifyConnection(func(s *dtls.State) error { return verify(s.PeerCertificates) }),
		dtls.WithFlightInterval(flightInterval),
		dtls.WithMTU(min(mtu, dtlsMTU)),
		dtls.WithLoggerFactory(pionLog{log}),
	}
	if k.Client {
		all := make([]dtls.ClientOption, 0, len(options))
		for _, o := range options {
			all = append(all, o)
		}
		return dtls.ClientWithOptions(f, peer{}, all...)
	}
	all := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert),
		dtls.WithInsecureSkipVerifyHello(verifiedPath),
	}
	for _, o := range options {
		all = append(all, o)
	}
	return dtls.ServerWithOptions(f, peer{}, all...)
}

// export derives the SRTP keys (RFC 5764 section 4.2).
func (a *association) export(client bool) (keyed, error) {
	p, ok := a.conn.SelectedSRTPProtectionProfile()
	if !ok {
		return keyed{}, errors.New("media: the peer did not negotiate use_srtp (RFC 5764)")
	}
	cfg := srtp.Config{Profile: srtp.ProtectionProfile(p)}
	state, ok := a.conn.ConnectionState()
	if !ok {
		return keyed{}, errors.New("media: no connection state")
	}
	if err := cfg.ExtractSessionKeysFromDTLS(&state, client); err != nil {
		return keyed{}, err
	}
	return keyed{profile: cfg.Profile, keys: cfg.Keys}, nil
}

// close ends the association without a word to the peer: SRTP goes on, and a
// close_notify would make some peers drop the call. It waits for its goroutines.
func (a *association) close() {
	a.once.Do(func() {
		a.facade.mute()
		_ = a.conn.Close()
		_ = a.facade.Close()
		a.conn = nil // its handshake state is many times larger than a stream
	})
}

// handshakeError prefers the context's word and ErrFingerprint over DTLS's wrapping.
func handshakeError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrFingerprint):
		err = ErrFingerprint
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		// One level of wrapping says "handshake error" again.
		if he, ok := errors.AsType[*dtls.HandshakeError](err); ok && he.Err != nil {
			err = he.Err
		}
	}
	return &HandshakeError{Err: err}
}
