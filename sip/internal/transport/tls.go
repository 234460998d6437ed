package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// atLeast12 copies a configuration and raises what is older than TLS 1.2, also in what
// GetConfigForClient returns.
func atLeast12(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	if each := cfg.GetConfigForClient; each != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := each(hello)
			if c == nil || err != nil {
				return nil, err
			}
			c = c.Clone()
			c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
			return c, nil
		}
	}
	return cfg
}

func hasCertificate(cfg *tls.Config) bool {
	return len(cfg.Certificates) > 0 || cfg.GetCertificate != nil || cfg.GetConfigForClient != nil
}

// clientTLS is the configuration for a connection to domain. The verification is ours,
// because RFC 5922 differs from what crypto/tls does for the web: SIP URIs in
// certificates, and no wildcards.
func (t *Transport) clientTLS(domain string) *tls.Config {
	cfg := atLeast12(t.cfg.TLS)
	cfg.ServerName = domain // the SNI: "the SIP domain", never an address found for it; crypto/tls leaves out numeric ones
	if cfg.InsecureSkipVerify {
		return cfg // the caller's own wish
	}
	theirs, each := cfg.VerifyConnection, cfg.VerifyPeerCertificate
	cfg.VerifyPeerCertificate = nil
	cfg.InsecureSkipVerify = true // verified below, at every handshake, resumed ones too
	roots, now := cfg.RootCAs, cfg.Time
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		at := time.Now()
		if now != nil {
			at = now()
		}
		chains, err := verify(cs.PeerCertificates, domain, roots, at)
		if err != nil {
			return err
		}
		cs.VerifiedChains = chains
		if each != nil {
			raw := make([][]byte, len(cs.PeerCertificates))
			for i, c := range cs.PeerCertificates {
				raw[i] = c.Raw
			}
			if err := each(raw, chains); err != nil {
				return err
			}
		}
		if theirs != nil {
			return theirs(cs)
		}
		return nil
	}
	return cfg
}

// shakeHands makes a connection of ours a TLS connection to domain, or closes it.
func (t *Transport) shakeHands(ctx context.Context, conn net.Conn, domain string) (net.Conn, error) {
	if domain == "" {
		_ = conn.Close()
		return nil, errors.New("no domain to verify the certificate against")
	}
	c := tls.Client(&endingConn{Conn: conn}, t.clientTLS(domain))
	if err := c.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the other side closed the connection; it may not speak TLS on this port: %w", err)
		}
		return nil, fmt.Errorf("TLS handshake: %w", explain(err))
	}
	return c, nil
}

// greet is the TLS handshake of an accepted connection, on the flow's own goroutine, so
// that a client that says nothing keeps nobody waiting.
func (f *tcpFlow) greet() error {
	c, ok := f.conn.(*tls.Conn)
	if !ok || !f.accepted {
		return nil
	}
	ctx := context.Background() // Close ends it by closing the connection
	if limit := f.t.cfg.Limits.Handshake; limit > 0 {
		bound, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = bound
	}
	err := c.HandshakeContext(ctx)
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		f.t.count.timedOut.Add(1)
	}
	f.t.count.handshakes.Add(1)
	f.t.log("TLS handshake", "remote", f.remote, "err", err)
	return err
}

// explain adds to what crypto/tls reports what there is to do about it.
func explain(err error) error {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("the other side does not speak TLS on this port: %w", err)
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // an alert, which crypto/tls tells in words only
		switch words := alert.Err.Error(); {
		case strings.Contains(words, "certificate"):
			return fmt.Errorf("the other side does not take our certificate, or wants one: set Certificates of Config.TLS to one that it trusts: %w", err)
		case strings.Contains(words, "handshake failure"), strings.Contains(words, "protocol version"):
			return fmt.Errorf("no version of TLS (1.2 is the least) or no cipher suite in common, or the other side wants a certificate of ours (set Certificates of Config.TLS): %w", err)
		}
	}
	return err
}

// Secure tells of a TLS flow whether somebody verified a certificate: we, for the
// connections that we made, unless the caller's tls.Config forbade it, and the peer for
// those that we accepted, as far as we know.
func (t *Transport) Secure(f Flow) bool {
	c, ok := f.(*tcpFlow)
	return ok && c.key.secure && (c.accepted || t.Verifies())
}

// Verifies says that connections of ours over TLS are verified.
func (t *Transport) Verifies() bool { return !t.cfg.TLS.InsecureSkipVerify }

// DomainOf is whom the certificate of a TLS flow that we made names; empty otherwise.
func DomainOf(f Flow) string {
	if c, ok := f.(*tcpFlow); ok {
		return c.key.domain
	}
	return ""
}

// domainOf is a host as certificates name it.
func domainOf(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func (a *tcpAcceptor) name() string { return connKey{secure: a.tls != nil}.name() }

// endingConn is what crypto/tls writes to. crypto/tls waits five seconds for its last
// word to leave, which is too long for us.
type endingConn struct {
	net.Conn
	ending atomic.Bool
}

// SetWriteDeadline allows no more than closeGrace when the connection ends.
func (c *endingConn) SetWriteDeadline(t time.Time) error {
	if limit := time.Now().Add(closeGrace); c.ending.Load() && t.After(limit) {
		t = limit
	}
	return c.Conn.SetWriteDeadline(t)
}

// hangUp closes a connection; over TLS after a close_notify, or without it when that
// cannot leave.
func hangUp(conn net.Conn) {
	if c, ok := conn.(*tls.Conn); ok {
		if raw, ok := c.NetConn().(*endingConn); ok {
			raw.ending.Store(true)
		}
	}
	_ = conn.Close()
}

// cut closes a connection without a last word, for a peer that took none.
func cut(conn net.Conn) {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn()
	}
	_ = conn.Close()
}
