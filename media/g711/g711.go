package g711

import (
	"math/bits"
	"slices"
)

// The codes of the quietest sample: what a sender of silence repeats.
const (
	SilenceULaw byte = 0xFF
	SilenceALaw byte = 0xD5
)

// EncodeULaw appends the mu-law code of each sample to dst.
func EncodeULaw(dst []byte, pcm []int16) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(pcm))[:n+len(pcm)]
	out := dst[n:]
	for i, s := range pcm[:len(out)] {
		out[i] = encodeULaw(s)
	}
	return dst
}

// DecodeULaw appends the sample of each mu-law code to dst.
func DecodeULaw(dst []int16, p []byte) []int16 {
	n := len(dst)
	dst = slices.Grow(dst, len(p))[:n+len(p)]
	out := dst[n:]
	for i, c := range p[:len(out)] {
		out[i] = fromULaw[c]
	}
	return dst
}

// EncodeALaw appends the A-law code of each sample to dst.
func EncodeALaw(dst []byte, pcm []int16) []byte {
	n := len(dst)
	dst = slices.Grow(dst, len(pcm))[:n+len(pcm)]
	out := dst[n:]
	for i, s := range pcm[:len(out)] {
		out[i] = encodeALaw(s)
	}
	return dst
}

// DecodeALaw appends the sample of each A-law code to dst.
func DecodeALaw(dst []int16, p []byte) []int16 {
	n := len(dst)
	dst = slices.Grow(dst, len(p))[:n+len(p)]
	out := dst[n:]
	for i, c := range p[:len(out)] {
		out[i] = fromALaw[c]
	}
	return dst
}

const (
	biasULaw = 33 << 2   // moves the decision values to powers of two (G.711 table 2a)
	maxULaw  = 8191 << 2 // "virtual decision value" of the table, biased: louder samples clip
	evenBits = 0x55      // A-law inverts the even bits of the character signal (G.711 table 1a, note 2)
)

// encodeULaw builds the code from sign, chord and step. On a decision value, which lies half-way
// between two samples, it takes the upper one.
func encodeULaw(s int16) byte {
	sign := s >> 15                                      // 0 or -1
	mag := min(uint32(uint16(s^sign))+biasULaw, maxULaw) // the one's complement of a negative sample
	chord := uint32(bits.Len32(mag)) - 8                 // 0-7
	code := chord<<4 | mag>>((chord+3)&31)&0xF
	return ^byte(code | uint32(sign)&0x80)
}

// encodeALaw does the same for A-law, whose two lowest chords have the same step.
func encodeALaw(s int16) byte {
	sign := s >> 15
	mag := uint32(uint16(s^sign)) >> 4 // 0-2047, in steps of the lowest chord
	chord := uint32(max(bits.Len32(mag)-4, 0))
	code := chord<<4 | mag>>(max(chord, 1)-1)&0xF
	return byte(code|^uint32(sign)&0x80) ^ evenBits
}
