package negotiate

import "errors"

// Limits of what we read. What is over a limit marked "kept" is dropped
// without a word, what is over another is refused.
const (
	maxSize         = 64 << 10 // bytes of one SDP body
	maxLineLength   = 4 << 10  // bytes of one line
	maxLines        = 2048     // lines of one SDP body
	maxMedia        = 32       // m-lines: an answer repeats them all
	maxFormats      = 128      // formats of one m-line
	maxCandidates   = 64       // kept
	maxFingerprints = 8        // kept
	maxCrypto       = 16       // kept
	maxCryptoLength = 512
	maxMid          = 64  // bytes of a=mid that we repeat
	maxCredential   = 256 // characters of ice-ufrag and ice-pwd (RFC 8839 section 5.4)
	maxFMTP         = 512 // kept, bytes of a=fmtp
)

var errCrypto = errors.New("negotiate: parse crypto attribute: not a single inline key of RFC 4568")
