package ice

import (
	"encoding/binary"

	"github.com/pion/stun/v4"
)

// What the demultiplexer needs of STUN (RFC 8489 section 5), without decoding:
// these functions take any bytes, allocate nothing and never panic.

const (
	stunHeader = 20
	stunCookie = 0x2112A442
	maxSTUN    = 1280 // longer ones are not STUN of ours: checks are some 100 bytes

	attrUsername       = 0x0006
	attrErrorCode      = 0x0009
	attrUseCandidate   = 0x0025
	attrICEControlling = 0x802A
)

type txID [12]byte

// isSTUN says whether p is framed as a STUN message: magic cookie, and a length
// that does not include the header of 20 bytes (RFC 8489 section 5).
func isSTUN(p []byte) bool {
	return len(p) >= stunHeader && len(p) <= maxSTUN && p[0] < 4 && len(p)%4 == 0 &&
		binary.BigEndian.Uint32(p[4:]) == stunCookie && int(binary.BigEndian.Uint16(p[2:])) == len(p)-stunHeader
}

// The class is bits 8 and 4 of the type. p is a STUN message.
func isRequest(p []byte) bool       { return p[0]&1 == 0 && p[1]&0x10 == 0 }
func isResponse(p []byte) bool      { return p[0]&1 == 1 }
func isErrorResponse(p []byte) bool { return p[0]&1 == 1 && p[1]&0x10 != 0 }
func isBinding(p []byte) bool       { return p[0]&0x3e == 0 && p[1]&0xef == 1 }
func transactionID(p []byte) txID   { return txID(p[8:20]) }

// attribute finds an attribute of a STUN message. What follows a broken length
// is not looked at.
func attribute(p []byte, typ uint16) ([]byte, bool) {
	for a := p[min(stunHeader, len(p)):]; len(a) >= 4; {
		t, n := binary.BigEndian.Uint16(a), int(binary.BigEndian.Uint16(a[2:]))
		if 4+n > len(a) {
			return nil, false
		}
		if t == typ {
			return a[4 : 4+n], true
		}
		a = a[min(4+(n+3)&^3, len(a)):]
	}
	return nil, false
}

func hasAttribute(p []byte, typ uint16) bool { _, ok := attribute(p, typ); return ok }

// errorCode reads ERROR-CODE (RFC 8489 section 14.8); 0 if there is none.
func errorCode(p []byte) (code int, reason string) {
	v, ok := attribute(p, attrErrorCode)
	if !ok || len(v) < 4 {
		return 0, ""
	}
	return int(v[2]&7)*100 + int(v[3])%100, string(v[4:])
}

// authentic says whether MESSAGE-INTEGRITY matches the short-term password.
func authentic(p []byte, pwd string) bool {
	m := &stun.Message{Raw: append([]byte(nil), p...)}
	return m.Decode() == nil && stun.MessageIntegrity([]byte(pwd)).Check(m) == nil
}
