package negotiate

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
)

// attributes are those of the session or of one m-line that mean something
// to us. Of an attribute that stands twice and must not, the first counts.
type attributes struct {
	dir            Direction
	hasDir         bool
	mid            string
	bundle         []string
	mux, muxOnly   bool
	rtcp           string
	ptime          time.Duration
	maxptime       time.Duration
	setup          string
	fingerprints   []string
	hasFingerprint bool
	crypto         []Crypto
	hasCrypto      bool
	ufrag, pwd     string
	iceOptions     string
	lite           bool
	iceMismatch    bool
	endOfCands     bool
	candidates     []string
	rtpmap         map[uint8]Codec
	fmtp           map[uint8]string
}

func readAttributes(list []sdp.Attribute) attributes {
	a := attributes{rtpmap: map[uint8]Codec{}, fmtp: map[uint8]string{}}
	for _, at := range list {
		a.read(strings.TrimSpace(at.Key), strings.TrimSpace(at.Value))
	}
	return a
}

func (a *attributes) read(key, value string) {
	switch key {
	case "sendrecv":
		a.direction(SendRecv)
	case "sendonly":
		a.direction(SendOnly)
	case "recvonly":
		a.direction(RecvOnly)
	case "inactive":
		a.direction(Inactive)
	case "mid":
		if a.mid == "" && len(value) <= maxMid && isToken(value) {
			a.mid = value
		}
	case "group":
		if f := strings.Fields(value); a.bundle == nil && len(f) > 1 && f[0] == "BUNDLE" {
			a.bundle = f[1:]
		}
	case "rtcp-mux":
		a.mux = true
	case "rtcp-mux-only":
		a.muxOnly = true
	case "rtcp":
		first(&a.rtcp, value)
	case "ptime":
		packetTime(&a.ptime, value)
	case "maxptime":
		packetTime(&a.maxptime, value)
	case "setup":
		first(&a.setup, strings.ToLower(value))
	case "fingerprint":
		a.hasFingerprint = true
		if f, ok := fingerprint(value); ok && len(a.fingerprints) < maxFingerprints {
			a.fingerprints = append(a.fingerprints, f)
		}
	case "crypto":
		a.hasCrypto = true
		if c, err := ParseCrypto(value); err == nil && len(a.crypto) < maxCrypto {
			a.crypto = append(a.crypto, c)
		}
	case "rtpmap":
		a.readRTPMap(value)
	case "fmtp":
		a.readFMTP(value)
	default:
		a.readICE(key, value)
	}
}

func (a *attributes) readICE(key, value string) {
	switch key {
	case "ice-ufrag":
		credential(&a.ufrag, value, 4)
	case "ice-pwd":
		credential(&a.pwd, value, 22)
	case "ice-options":
		if isLine(value) {
			first(&a.iceOptions, value)
		}
	case "ice-lite":
		a.lite = true
	case "ice-mismatch":
		a.iceMismatch = true
	case "end-of-candidates":
		a.endOfCands = true
	case "candidate":
		if len(a.candidates) < maxCandidates && isLine(value) {
			a.candidates = append(a.candidates, value)
		}
	}
}

// iceText is the m-line's ICE description, with credentials, options and
// ice-lite of the session where the m-line has none of its own.
func (a *attributes) iceText(head *attributes) *ICE {
	ice := &ICE{
		Ufrag: a.ufrag, Pwd: a.pwd, Options: a.iceOptions, Candidates: a.candidates,
		Lite: head.lite || a.lite, End: a.endOfCands || head.endOfCands,
	}
	if ice.Ufrag == "" && ice.Pwd == "" {
		ice.Ufrag, ice.Pwd = head.ufrag, head.pwd
	}
	if ice.Ufrag == "" || ice.Pwd == "" {
		return nil
	}
	if ice.Options == "" {
		ice.Options = head.iceOptions
	}
	return ice
}

func (a *attributes) direction(d Direction) {
	if !a.hasDir {
		a.dir, a.hasDir = d, true
	}
}

func first(dst *string, value string) {
	if *dst == "" {
		*dst = value
	}
}

// credential keeps an ice-ufrag or ice-pwd: "ice-char"s, shortest to
// maxCredential of them (RFC 8839 section 5.4).
func credential(dst *string, value string, shortest int) {
	if *dst != "" || len(value) < shortest || len(value) > maxCredential {
		return
	}
	for i := range len(value) {
		// base64 without its "=", which some peers pad with all the same
		if !isBase64(value[i]) && value[i] != '-' && value[i] != '_' {
			return
		}
	}
	*dst = value
}

// packetTime reads a=ptime or a=maxptime, in milliseconds; what no RTP sender does is left out.
func packetTime(dst *time.Duration, value string) {
	whole, _, _ := strings.Cut(value, ".")
	ms, err := strconv.Atoi(whole)
	if *dst == 0 && err == nil && ms >= 1 && ms <= 1000 {
		*dst = time.Duration(ms) * time.Millisecond
	}
}

// fingerprint brings "SHA-256 ab:cd" to "sha-256 AB:CD". Only the SHA-2 hashes
// of 256 bits and up count (RFC 8122 section 5 leaves MD5 out, we SHA-1 too).
func fingerprint(value string) (string, bool) {
	hash, digits, ok := strings.Cut(value, " ")
	hash = strings.ToLower(hash)
	size := map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}[hash]
	digits = strings.ToUpper(strings.TrimSpace(digits))
	if !ok || size == 0 || len(digits) != 3*size-1 {
		return "", false
	}
	for i := 2; i < len(digits); i += 3 {
		if digits[i] != ':' {
			return "", false
		}
	}
	if raw, err := hex.DecodeString(strings.ReplaceAll(digits, ":", "")); err != nil || len(raw) != size {
		return "", false
	}
	return hash + " " + digits, true
}
