package g722

import "slices"

// Mode says how many bits of each byte are audio (G.722 table 1).
type Mode uint8

const (
	Mode64 Mode = iota // mode 1: all 8 bits, 64 kbit/s; the only one in RTP
	Mode56             // mode 2: the lowest bit is other data
	Mode48             // mode 3: the two lowest bits are other data
)

// Decoder turns G.722 into samples. The zero value is ready to use.
type Decoder struct {
	// Mode may be changed between frames; zero is 64 kbit/s.
	Mode Mode

	low, high band
	history   [22]int16 // the end of the sub-band signals, for the filter
}

// Decode appends two samples to dst for every byte of p. Any bytes are a valid stream.
func (d *Decoder) Decode(dst []int16, p []byte) []int16 {
	if d.low.det == 0 {
		d.low.begin(beginLow)
		d.high.begin(beginHigh)
	}
	dst = slices.Grow(dst, 2*len(p))
	for len(p) > 0 {
		n := min(len(p), block)
		dst = d.decode(dst, p[:n])
		p = p[n:]
	}
	return dst
}

func (d *Decoder) decode(dst []int16, p []byte) []int16 {
	var x [22 + 2*block]int16
	copy(x[:], d.history[:])
	for i, code := range p {
		low := d.low.s + d.low.det*d.Mode.output(code)>>15 // INVQBL, RECONS
		rl := clip15(clip16(low))
		dh := d.high.det * outputs2[code>>6] >> 15
		rh := clip15(clip16(d.high.s + dh))
		d.low.low(code)
		d.high.high(code>>6, dh)
		pair := (*[24]int16)(x[2*i:])
		pair[22], pair[23] = int16(rl+rh), int16(rl-rh)
		even, odd := mirror(pair)
		dst = append(dst, int16(clip16(even>>11)), int16(clip16(odd>>11)))
	}
	copy(d.history[:], x[2*len(p):])
	return dst
}

// output is the low band's quantizer value for a byte.
func (m Mode) output(code byte) int32 {
	switch m {
	default:
		return outputs6[code&63]
	case Mode56:
		return outputs5[code>>1&31]
	case Mode48:
		return outputs4[code>>2&15]
	}
}

// Reset forgets the stream, as for a new one. Mode stays.
func (d *Decoder) Reset() { *d = Decoder{Mode: d.Mode} }
