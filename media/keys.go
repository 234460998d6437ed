package media

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
)

// Keys says how a transport is protected. Exactly one field is set.
type Keys struct {
	DTLS  *DTLS
	SDES  *SDES
	Plain bool // RTP/AVP: no protection at all
}

// DTLS keys a transport by a DTLS handshake on the media path (RFC 5763).
type DTLS struct {
	Certificate tls.Certificate
	Client      bool          // we are a=setup:active
	Remote      []Fingerprint // the peer's certificate must match one of these; none: refused
}

// SDES keys a transport by the a=crypto lines of signalling (RFC 4568).
type SDES struct {
	Suite         string // "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", ...
	Local, Remote []byte // master key followed by master salt
}

// LogValue keeps the keys out of logs.
func (s *SDES) LogValue() slog.Value {
	if s == nil {
		return slog.StringValue("none")
	}
	return slog.StringValue(s.Suite + " REDACTED")
}

// String keeps the keys out of formatted output.
func (s *SDES) String() string { return s.LogValue().String() }

// GoString does the same for %#v.
func (s *SDES) GoString() string { return s.String() }

// ErrFingerprint says that the peer's certificate is not the one that signalling
// announced, or that signalling announced none: somebody may be in the middle.
var ErrFingerprint = errors.New("media: the peer's certificate does not match its fingerprint")

// HandshakeError says why the DTLS handshake failed. It unwraps to its cause:
// ErrFingerprint, the context's error, net.ErrClosed, or what DTLS reported.
type HandshakeError struct {
	Err error
}

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("media: DTLS handshake: %v", e.Err)
}

func (e *HandshakeError) Unwrap() error { return e.Err }

// check reports whether exactly one way of keying is chosen.
func (k *Keys) check() error {
	n := 0
	if k.DTLS != nil {
		n++
	}
	if k.SDES != nil {
		n++
	}
	if k.Plain {
		n++
	}
	if n != 1 {
		return errors.New("media: Keys: set exactly one of DTLS, SDES and Plain")
	}
	return nil
}
