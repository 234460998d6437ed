package media

import (
	"encoding/binary"
	"time"
)

// RTCP packet types (RFC 3550 section 12.1).
const (
	typeSR   = 200
	typeRR   = 201
	typeSDES = 202
	typeBYE  = 203
)

// senderInfo is the sender's part of an SR (RFC 3550 section 6.4.1).
type senderInfo struct {
	ntp     uint64
	rtp     uint32
	packets uint32
	bytes   uint32
}

// reportBlock is a reception report (RFC 3550 section 6.4.1).
type reportBlock struct {
	ssrc     uint32
	fraction uint8
	lost     int32 // 24 bits, signed
	highest  uint32
	jitter   uint32
	lsr      uint32
	dlsr     uint32
}

// ntpTime is t as a 64-bit NTP timestamp.
func ntpTime(t time.Time) uint64 {
	const epoch = 2208988800 // seconds from 1900 to 1970
	s := uint64(t.Unix() + epoch)
	f := (uint64(t.Nanosecond()) << 32) / uint64(time.Second)
	return s<<32 | f
}

// middle is "the middle 32 bits out of 64 in the NTP timestamp".
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// appendReport appends an SR, or with info nil an RR, with at most one block.
func appendReport(b []byte, ssrc uint32, info *senderInfo, block *reportBlock) []byte {
	kind, words := byte(typeRR), 1
	if info != nil {
		kind, words = typeSR, 6
	}
	count := byte(0)
	if block != nil {
		count, words = 1, words+6
	}
	b = append(b, 0x80|count, kind, 0, byte(words))
	b = binary.BigEndian.AppendUint32(b, ssrc)
	if info != nil {
		b = binary.BigEndian.AppendUint64(b, info.ntp)
		b = binary.BigEndian.AppendUint32(b, info.rtp)
		b = binary.BigEndian.AppendUint32(b, info.packets)
		b = binary.BigEndian.AppendUint32(b, info.bytes)
	}
	if block != nil {
		b = binary.BigEndian.AppendUint32(b, block.ssrc)
		b = binary.BigEndian.AppendUint32(b, uint32(block.fraction)<<24|uint32(block.lost)&0xffffff)
		b = binary.BigEndian.AppendUint32(b, block.highest)
		b = binary.BigEndian.AppendUint32(b, block.jitter)
		b = binary.BigEndian.AppendUint32(b, block.lsr)
		b = binary.BigEndian.AppendUint32(b, block.dlsr)
	}
	return b
}

// appendCNAME appends an SDES packet with the one item that must be there.
func appendCNAME(b []byte, ssrc uint32, cname string) []byte {
	cname = cname[:min(len(cname), 255)]
	start := len(b)
	b = append(b, 0x81, typeSDES, 0, 0)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, 1, byte(len(cname)))
	b = append(b, cname...)
	b = append(b, 0) // ends the items; then padded to a word
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16((len(b)-start)/4-1))
	return b
}

// appendBye appends a BYE for ssrc.
func appendBye(b []byte, ssrc uint32) []byte {
	b = append(b, 0x81, typeBYE, 0, 1)
	return binary.BigEndian.AppendUint32(b, ssrc)
}

// rtcpHandler is told what a compound packet says.
type rtcpHandler interface {
	onSR(ssrc uint32, info senderInfo)
	onBlock(from uint32, b reportBlock)
	onBye(ssrc uint32)
}

// parseRTCP walks a compound packet after the checks of RFC 3550 appendix A.2,
// relaxed to allow reduced-size packets (RFC 5506) and types we do not know. It
// reports whether the packet is well formed as a whole; nothing is told otherwise.
func parseRTCP(p []byte, h rtcpHandler) bool {
	if !validRTCP(p) {
		return false
	}
	for len(p) >= 4 {
		size := 4 * (int(binary.BigEndian.Uint16(p[2:])) + 1)
		one := p[:size]
		p = p[size:]
		switch one[1] {
		case typeSR:
			parseReport(one, 28, h)
		case typeRR:
			parseReport(one, 8, h)
		case typeBYE:
			for i := range int(one[0] & 31) {
				if at := 4 + 4*i; at+4 <= len(one) {
					h.onBye(binary.BigEndian.Uint32(one[at:]))
				}
			}
		}
	}
	return true
}

// validRTCP checks versions and lengths: "the length fields of the individual
// RTCP packets must add up to the overall length of the compound RTCP packet".
func validRTCP(p []byte) bool {
	for n := 0; len(p) > 0; n++ {
		if len(p) < 4 || p[0]>>6 != 2 || p[1] < 192 || p[1] > 223 || n == maxRTCPCount {
			return false
		}
		size := 4 * (int(binary.BigEndian.Uint16(p[2:])) + 1)
		if size > len(p) {
			return false
		}
		if p[0]&0x20 != 0 && size != len(p) { // "Padding ... only in the last packet"
			return false
		}
		blocks := 24 * int(p[0]&31)
		if p[1] == typeSR && size < 28+blocks || p[1] == typeRR && size < 8+blocks {
			return false
		}
		p = p[size:]
	}
	return true
}

// parseReport reads an SR or RR whose fixed part has the given length.
func parseReport(p []byte, fixed int, h rtcpHandler) {
	from := binary.BigEndian.Uint32(p[4:])
	if p[1] == typeSR {
		h.onSR(from, senderInfo{
			ntp:     binary.BigEndian.Uint64(p[8:]),
			rtp:     binary.BigEndian.Uint32(p[16:]),
			packets: binary.BigEndian.Uint32(p[20:]),
			bytes:   binary.BigEndian.Uint32(p[24:]),
		})
	}
	for i := range int(p[0] & 31) {
		b := p[fixed+24*i:]
		h.onBlock(from, reportBlock{
			ssrc:     binary.BigEndian.Uint32(b),
			fraction: b[4],
			lost:     int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
			highest:  binary.BigEndian.Uint32(b[8:]),
			jitter:   binary.BigEndian.Uint32(b[12:]),
			lsr:      binary.BigEndian.Uint32(b[16:]),
			dlsr:     binary.BigEndian.Uint32(b[20:]),
		})
	}
}
