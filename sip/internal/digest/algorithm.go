package digest

import (
	"crypto/md5" // RFC 3261 section 22.4 obliges every SIP element to know it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// Algorithm is a hash function of RFC 8760 section 2.2.
type Algorithm uint8

// The algorithms, weakest first.
const (
	MD5 Algorithm = iota
	SHA256
	SHA512256
)

// ParseAlgorithm reads the algorithm parameter; "" is MD5.
func ParseAlgorithm(s string) (Algorithm, bool) {
	switch strings.ToUpper(s) {
	case "", "MD5":
		return MD5, true
	case "SHA-256":
		return SHA256, true
	case "SHA-512-256":
		return SHA512256, true
	}
	return 0, false
}

// String returns the name that goes on the wire.
func (a Algorithm) String() string {
	switch a {
	case SHA256:
		return "SHA-256"
	case SHA512256:
		return "SHA-512-256"
	default:
		return "MD5"
	}
}

func (a Algorithm) new() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case SHA512256:
		return sha512.New512_256()
	default:
		return md5.New()
	}
}

// hash is the RFC's H(a ":" b ":" ...), in lower-case hexadecimal.
func (a Algorithm) hash(parts ...string) string {
	h := a.new()
	for i, p := range parts {
		if i > 0 {
			_, _ = h.Write([]byte{':'})
		}
		_, _ = h.Write([]byte(p)) // a hash.Hash never fails
	}
	var sum [sha512.Size256]byte
	return hex.EncodeToString(h.Sum(sum[:0]))
}
