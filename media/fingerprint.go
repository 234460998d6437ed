package media

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha256" // hash functions of RFC 8122 section 5
	_ "crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Fingerprint is the value of an a=fingerprint attribute (RFC 8122 section 5): a
// hash of the certificate that the peer will show in the DTLS handshake. It is
// comparable; ParseFingerprint and FingerprintOf give the canonical form, a
// lower-case Hash and an upper-case Value.
type Fingerprint struct {
	Hash  string // "sha-256", "sha-384" or "sha-512"
	Value string // "AB:CD:..."
}

// ParseFingerprint reads "sha-256 AB:CD:...". Hash functions other than
// SHA-256, SHA-384 and SHA-512 are refused: SHA-1 and MD5 do not identify anyone.
func ParseFingerprint(s string) (Fingerprint, error) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), " ")
	if !ok {
		return Fingerprint{}, errors.New("media: parse fingerprint: want a hash name and a value")
	}
	name = strings.ToLower(name)
	h, ok := hashByName(name)
	if !ok {
		return Fingerprint{}, fmt.Errorf("media: parse fingerprint: hash function %.16q not supported", name)
	}
	value = strings.TrimSpace(value)
	if len(value) != 3*h.Size()-1 {
		return Fingerprint{}, fmt.Errorf("media: parse fingerprint: %d characters for %s", len(value), name)
	}
	sum := make([]byte, h.Size())
	for i := range sum {
		if i > 0 && value[3*i-1] != ':' {
			return Fingerprint{}, errors.New("media: parse fingerprint: bytes not separated by colons")
		}
		if _, err := hex.Decode(sum[i:i+1], []byte(value[3*i:3*i+2])); err != nil {
			return Fingerprint{}, fmt.Errorf("media: parse fingerprint: %w", err)
		}
	}
	return Fingerprint{Hash: name, Value: colonHex(sum)}, nil
}

// FingerprintOf returns the SHA-256 fingerprint of the leaf of cert.
func FingerprintOf(cert tls.Certificate) (Fingerprint, error) {
	if len(cert.Certificate) == 0 {
		return Fingerprint{}, errors.New("media: fingerprint of an empty certificate")
	}
	return fingerprint("sha-256", crypto.SHA256, cert.Certificate[0]), nil
}

// String returns the attribute's value, "sha-256 AB:CD:...".
func (f Fingerprint) String() string { return f.Hash + " " + f.Value }

// matches reports whether f is the fingerprint of a certificate in DER form.
func (f Fingerprint) matches(der []byte) bool {
	h, ok := hashByName(strings.ToLower(f.Hash))
	if !ok {
		return false
	}
	want := fingerprint(f.Hash, h, der).Value
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToUpper(f.Value))) == 1
}

func fingerprint(name string, h crypto.Hash, der []byte) Fingerprint {
	w := h.New()
	w.Write(der)
	return Fingerprint{Hash: name, Value: colonHex(w.Sum(nil))}
}

func hashByName(name string) (crypto.Hash, bool) {
	switch name {
	case "sha-256":
		return crypto.SHA256, true
	case "sha-384":
		return crypto.SHA384, true
	case "sha-512":
		return crypto.SHA512, true
	}
	return 0, false
}

func colonHex(sum []byte) string {
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 3*len(sum))
	for i, c := range sum {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}

// NewCertificate makes a self-signed ECDSA P-256 certificate with a random
// serial number. Make one per endpoint: its fingerprint then stays the same over
// all calls, so that peers can recognise it.
func NewCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("media: new certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("media: new certificate: %w", err)
	}
	// The subject says nothing about the user. The validity is wide because the
	// peer's clock may be wrong; what counts is the fingerprint.
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: "peercall"},
		NotBefore:    now.AddDate(0, 0, -30),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("media: new certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
