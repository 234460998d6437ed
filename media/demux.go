package media

import "encoding/binary"

// kind is what a datagram holds, told from its first bytes.
type kind uint8

const (
	kindUnknown kind = iota // STUN, ZRTP, TURN channels, noise: not ours
	kindDTLS
	kindRTP
	kindRTCP
)

const (
	rtpHeader    = 12   // RFC 3550 section 5.1, fixed part
	rtcpHeader   = 8    // header and SSRC
	maxDatagram  = 2048 // larger ones are dropped
	maxRTCPCount = 64   // RTCP packets looked at in one compound packet
)

// classify demultiplexes by the first byte (RFC 7983 section 7) and tells RTCP
// from RTP by the packet type: "payload type values in the range 64-95 MUST NOT
// be used" for RTP when multiplexed (RFC 5761 section 4).
func classify(p []byte) kind {
	switch {
	case len(p) == 0 || len(p) > maxDatagram:
		return kindUnknown
	case p[0] >= 20 && p[0] <= 63:
		return kindDTLS
	case p[0] < 128 || p[0] > 191 || len(p) < rtcpHeader:
		return kindUnknown
	case p[1] >= 192 && p[1] <= 223:
		return kindRTCP
	case len(p) < rtpHeader:
		return kindUnknown
	}
	return kindRTP
}

// headerLen returns the length of p's RTP header with CSRCs and extension, and
// whether it lies within the packet.
func headerLen(p []byte) (int, bool) {
	if len(p) < rtpHeader || p[0]>>6 != 2 {
		return 0, false
	}
	n := rtpHeader + 4*int(p[0]&15)
	if p[0]&0x10 != 0 {
		if len(p) < n+4 {
			return 0, false
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(p[n+2:]))
	}
	return n, n <= len(p)
}

// unpad takes the padding off the payload of a packet whose P bit is set. "The
// last octet of the padding contains a count of how many padding octets should
// be ignored, including itself" (RFC 3550 section 5.1).
func unpad(payload []byte) ([]byte, bool) {
	if len(payload) == 0 {
		return nil, false
	}
	n := int(payload[len(payload)-1])
	if n == 0 || n > len(payload) {
		return nil, false
	}
	return payload[:len(payload)-n], true
}
