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
	AllowSDES                         // keys in SDP too, where our own hop is TLS with a verified certificate (RFC 4568)
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

// weakest is the negotiation's word for p. That SDES needs a hop of verified TLS is a
// question of its own: without one a machine has no suites for it.
func (p Protection) weakest() negotiate.Profile {
	switch p {
	case AllowPlain:
		return negotiate.Plain
	case AllowSDES:
		return negotiate.SDES
	}
	return negotiate.DTLS
}

// weaker lists the profiles below DTLS-SRTP that p allows, in the order to offer them.
func (p Protection) weaker(secure bool) (next []negotiate.Profile) {
	if p >= AllowSDES && secure {
		next = append(next, negotiate.SDES)
	}
	if p >= AllowPlain {
		next = append(next, negotiate.Plain)
	}
	return next
}

// Security is how a call is protected.
type Security struct {
	// Hop is the transport of our own signalling hop: "UDP", "TCP" or "TLS". Over the
	// first two someone on the way who can change messages can replace the
	// fingerprints: DTLS-SRTP then does not stop a man in the middle.
	Hop string
	// HopVerified reports whether the certificate of a TLS hop was verified: by us, or
	// by the peer when the peer connected to us. The hops beyond are the servers' word.
	HopVerified bool
	// Profile is "DTLS-SRTP", "SDES" or "RTP" (unencrypted). The keys of SDES are known
	// to every server on the way.
	Profile string
	// Suite is the SRTP protection profile, such as "AEAD_AES_128_GCM"; empty for RTP.
	Suite string
	// LocalFingerprint and RemoteFingerprint are those of the certificates of DTLS-SRTP.
	// Comparing them over another channel excludes a man in the middle.
	LocalFingerprint, RemoteFingerprint string
	// IdentityVerified reports whether the peer's identity was proven. It never is
	// yet: the From of a call is a claim.
	IdentityVerified bool
}

// Encrypted reports whether media is encrypted.
func (s Security) Encrypted() bool { return s.Suite != "" }
