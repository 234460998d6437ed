package media

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"testing"
)

func TestRFC8122Fingerprint(t *testing.T) {
	cert, fp := newIdentity(t)
	again, err := ParseFingerprint(strings.ToLower(fp.String()))
	if err != nil || again != fp {
		t.Errorf("ParseFingerprint(%q) = %v, %v; want the same in canonical form", strings.ToLower(fp.String()), again, err)
	}
	if !fp.matches(cert.Certificate[0]) {
		t.Error("a certificate does not match its own fingerprint")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T, want ECDSA P-256", leaf.PublicKey)
	}
	other, _ := newIdentity(t)
	if x, _ := x509.ParseCertificate(other.Certificate[0]); x.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
		t.Error("two certificates with one serial number")
	}
	for _, bad := range []string{"", "sha-256", "sha-256 AB", "md5 AB:CD", "sha-1 AB:CD", fp.String() + ":00", "sha-256 " + strings.Repeat("GG:", 31) + "GG", "sha-512 " + fp.Value, strings.Replace(fp.String(), ":", "-", 1)} {
		if got, err := ParseFingerprint(bad); err == nil {
			t.Errorf("ParseFingerprint(%q) = %v, want an error", bad, got)
		}
	}
}

func FuzzParseFingerprint(f *testing.F) {
	f.Add("sha-256 " + strings.Repeat("AB:", 31) + "CD")
	f.Add("SHA-512  00")
	f.Fuzz(func(t *testing.T, s string) {
		fp, err := ParseFingerprint(s)
		if err != nil {
			return
		}
		if again, err := ParseFingerprint(fp.String()); err != nil || again != fp {
			t.Errorf("round trip of %q: %v, %v", fp, again, err)
		}
	})
}
