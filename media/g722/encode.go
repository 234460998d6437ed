package g722

import "slices"

// Encoder turns samples into G.722 at 64 kbit/s. The zero value is ready to use.
type Encoder struct {
	low, high band
	history   [22]int16 // the end of the samples seen, for the filter
	odd       int16     // a sample without a partner yet
	waits     bool      // odd holds one
}

// Encode appends one byte to dst for every two samples of pcm. An odd last sample is kept and
// goes first the next time.
func (e *Encoder) Encode(dst []byte, pcm []int16) []byte {
	if e.low.det == 0 {
		e.low.begin(beginLow)
		e.high.begin(beginHigh)
	}
	if e.waits && len(pcm) > 0 {
		e.waits = false
		dst = e.encode(dst, []int16{e.odd, pcm[0]})
		pcm = pcm[1:]
	}
	dst = slices.Grow(dst, len(pcm)/2)
	for len(pcm) > 1 {
		n := min(len(pcm)&^1, 2*block)
		dst = e.encode(dst, pcm[:n])
		pcm = pcm[n:]
	}
	if len(pcm) == 1 {
		e.odd, e.waits = pcm[0], true
	}
	return dst
}

// encode takes whole pairs, at most a block of them.
func (e *Encoder) encode(dst []byte, pcm []int16) []byte {
	var x [22 + 2*block]int16
	copy(x[:], e.history[:])
	n := copy(x[22:], pcm)
	for i := 0; i < n; i += 2 {
		even, odd := mirror((*[24]int16)(x[i:]))
		low := encodeLow(clip16(clip15((even+odd)>>14)-e.low.s), e.low.det)
		high, d := encodeHigh(clip16(clip15((even-odd)>>14)-e.high.s), e.high.det)
		e.low.low(low)
		e.high.high(high, d)
		dst = append(dst, high<<6|low)
	}
	copy(e.history[:], x[n:])
	return dst
}

// encodeLow is the 6 bit quantizer (block QUANTL): the first interval i for which the magnitude is
// less than Q6[i]*det>>12, found by halving.
func encodeLow(el, det int32) uint8 {
	sign := el >> 31
	mag := el ^ sign // -el-1 for negative el, as the recommendation has it
	var i int32      // without branches: they would be mispredicted half of the time
	i += 16 &^ ((mag - decisions6[16]*det>>12) >> 31)
	i += 8 &^ ((mag - decisions6[(i+8)&31]*det>>12) >> 31)
	i += 4 &^ ((mag - decisions6[(i+4)&31]*det>>12) >> 31)
	i += 2 &^ ((mag - decisions6[(i+2)&31]*det>>12) >> 31)
	i += 1 &^ ((mag - decisions6[(i+1)&31]*det>>12) >> 31)
	return codes6[(i+32+sign&-32)&63]
}

// encodeHigh is the 2 bit quantizer and its inverse (blocks QUANTH and INVQAH).
func encodeHigh(eh, det int32) (code uint8, d int32) {
	sign := eh >> 31
	mag := eh ^ sign
	code = uint8(3 + 2*sign) // 3 or 1: the inner interval
	if mag >= decision2*det>>12 {
		code--
	}
	return code, det * outputs2[code&3] >> 15
}

// Reset forgets the stream, as for a new one.
func (e *Encoder) Reset() { *e = Encoder{} }
