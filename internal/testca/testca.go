// Package testca is a certificate authority for tests: its certificates are made when
// they are needed, by the clock of the bubble that the test runs in.
package testca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New makes an authority of a name.
func New(tb testing.TB, name string) *CA {
	tb.Helper()
	ca := &CA{tb: tb, key: newKey(tb)}
	ca.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca.cert, ca.cert, ca.key.Public(), ca.key)
	if err != nil {
		tb.Fatal(err)
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		tb.Fatal(err)
	}
	return ca
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// DER is the authority's own certificate.
func (ca *CA) DER() []byte { return ca.cert.Raw }

// Pool trusts the authority and nobody else.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Client is the configuration of somebody who trusts the authority.
func (ca *CA) Client() *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
}

// Server is the configuration of somebody who trusts the authority and is known by names:
// "example.org", "192.0.2.1" or "sip:example.org".
func (ca *CA) Server(names ...string) *tls.Config {
	ca.tb.Helper()
	cfg := ca.Client()
	cfg.ClientCAs = ca.Pool()
	cfg.Certificates = []tls.Certificate{ca.Issue(nil, names...)}
	return cfg
}

// Issue makes a certificate for names; change, if set, alters it before it is signed.
func (ca *CA) Issue(change func(*x509.Certificate), names ...string) tls.Certificate {
	ca.tb.Helper()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
			continue
		}
		if !strings.Contains(name, ":") {
			cert.DNSNames = append(cert.DNSNames, name)
			continue
		}
		u, err := url.Parse(name)
		if err != nil {
			ca.tb.Fatal(err)
		}
		cert.URIs = append(cert.URIs, u)
	}
	if change != nil {
		change(cert)
	}
	key := newKey(ca.tb)
	der, err := x509.CreateCertificate(rand.Reader, cert, ca.cert, key.Public(), ca.key)
	if err != nil {
		ca.tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
