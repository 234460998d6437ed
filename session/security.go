package session

import (
	"fmt"

	"github.com/peercall/peercall/session/internal/negotiate"
)

// Protection is the weakest protection of media that is allowed. Each value
// allows what is stronger too, and the strongest that both sides have is used.
type Protection uint8

// The protections, strongest first.
const (
	RequireDTLS Protection = 1 + iota // DTLS-SRTP only (RFC 5763)
	AllowSDES                         // keys in SDP over certificate-verified TLS too (RFC 4568)
	AllowPlain                        // unencrypted RTP too: anyone on the way can listen
)

func (p Protection) String() string {
	switch p {
	case RequireDTLS:
		return "require DTLS-SRTP"
	case AllowSDES:
		return "allow SDES"
	case AllowPlain:
		return "allow plain RTP"
	}
	return fmt.Sprintf("protection %d", uint8(p))
}

// weakest is the negotiation's word for p. SDES needs a hop of verified TLS
// (DESIGN: encrypted or refused), which sip does not offer yet, so AllowSDES
// means DTLS for now.
func (p Protection) weakest() negotiate.Profile {
	if p == AllowPlain {
		return negotiate.Plain
	}
	return negotiate.DTLS
}

// Security is how a call is protected.
type Security struct {
	// Hop is the transport of our own signalling hop: "UDP" or "TCP". Over both of
	// them someone on the way who can change messages can replace the
	// fingerprints: DTLS-SRTP then does not stop a man in the middle.
	Hop string
	// Profile is "DTLS-SRTP" or "RTP" (unencrypted).
	Profile string
	// Suite is the SRTP protection profile, such as "AEAD_AES_128_GCM"; empty for RTP.
	Suite string
	// LocalFingerprint and RemoteFingerprint are those of the DTLS certificates.
	// Comparing them over another channel excludes a man in the middle.
	LocalFingerprint, RemoteFingerprint string
	// IdentityVerified reports whether the peer's identity was proven. It never is
	// yet: the From of a call is a claim.
	IdentityVerified bool
}

// Encrypted reports whether media is encrypted.
func (s Security) Encrypted() bool { return s.Suite != "" }
