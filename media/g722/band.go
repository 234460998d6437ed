package g722

// band is the adaptive part of one sub-band, the same in encoder and decoder: the predictor
// (blocks 4L and 4H of G.722 section 6.2) and the quantizer's scale (blocks 3L and 3H). Names are
// those of the recommendation: SL is s, DETL is det, and so on.
type band struct {
	nb, det int32 // scale factor, logarithmic and linear; det is never 0 once begun
	s, sz   int32 // predicted sample; its share from the zeros
	r1      int32 // last reconstructed sample
	p1, p2  int32 // last two partially reconstructed ones
	a1, a2  int32 // poles
	b       [6]int32
	d       [6]int32 // last six quantized differences
}

// The scale factor follows the codes: log is the step of the code just seen, top the limit of nb,
// shift what makes the linear value (blocks LOGSCL, SCALEL and their twins for the high band).
func (f *band) rescale(log, top, shift int32) {
	f.nb = max(min(f.nb-(f.nb+127)>>7+log, top), 0) // (nb*127)>>7 + log
	f.det = inverseLog[f.nb>>6&31] << 1 >> uint32((shift-f.nb>>11)&31) << 2
}

// predict takes the quantized difference d into the history, adapts the predictor to it and leaves
// the prediction of the next sample in s.
//
// Products with 32640/32768 and 32512/32768, the leakage of the recommendation, are written
// x + -x>>8 and x + -x>>7, which is exactly the same. Where a saturation of the recommendation
// cannot happen there is none: the b of block UPZERO stay in 16 bits by their leakage, and twice
// d does by the limits of det.
func (f *band) predict(d int32) {
	p, r := clip16(f.sz+d), clip16(f.s+d) // PARREC, RECONS
	m1, m2 := (p^f.p1)>>31, (p^f.p2)>>31  // 0: same sign, -1: not

	a2 := f.a2 // UPPOL2
	w := clip16(4 * f.a1)
	w = min((w^^m1)-^m1, 32767)
	a2 = max(min(w>>7+(128^m2)-m2+a2+-a2>>7, 12288), -12288)

	a1 := f.a1 // UPPOL1
	limit := 15360 - a2
	a1 = max(min((192^m1)-m1+a1+-a1>>8, limit), -limit)

	q := int32(128) // UPZERO, DELAYA and FILTEZ, from the newest to the oldest
	if d == 0 {
		q = 0
	}
	var b, m, sz int32
	d1, d2, d3, d4, d5, d6 := f.d[0], f.d[1], f.d[2], f.d[3], f.d[4], f.d[5]
	b, m = f.b[0], (d^d1)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[0], f.d[0] = b, d
	sz += b * d >> 14
	b, m = f.b[1], (d^d2)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[1], f.d[1] = b, d1
	sz += b * d1 >> 14
	b, m = f.b[2], (d^d3)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[2], f.d[2] = b, d2
	sz += b * d2 >> 14
	b, m = f.b[3], (d^d4)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[3], f.d[3] = b, d3
	sz += b * d3 >> 14
	b, m = f.b[4], (d^d5)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[4], f.d[4] = b, d4
	sz += b * d4 >> 14
	b, m = f.b[5], (d^d6)>>31
	b += -b>>8 + (q ^ m) - m
	f.b[5], f.d[5] = b, d5
	sz += b * d5 >> 14
	sz = clip16(sz)

	// FILTEP and PREDIC
	sp := clip16(a1*clip16(2*r)>>15 + a2*clip16(2*f.r1)>>15)
	f.s, f.sz, f.r1 = clip16(sp+sz), sz, r
	f.p1, f.p2, f.a1, f.a2 = p, f.p1, a1, a2
}

const (
	topLow, shiftLow   = 18432, 9  // NBL's limit; SCALEL
	topHigh, shiftHigh = 22528, 11 // NBH's limit; SCALEH
)

// low and high take in a code: rescale and predict as both ends of the line do. The low band's
// predictor sees four of the six bits, so that modes with fewer bits stay in step.
func (f *band) low(code uint8) {
	k := code >> 2 & 15
	d := f.det * outputs4[k] >> 15 // INVQAL
	f.rescale(stepsLow[k], topLow, shiftLow)
	f.predict(d)
}

func (f *band) high(code uint8, d int32) {
	f.rescale(stepsHigh[code&3], topHigh, shiftHigh)
	f.predict(d)
}

// begin gives the values after a reset (G.722 table 22).
func (f *band) begin(det int32) { *f = band{det: det} }

const (
	beginLow  = 32
	beginHigh = 8
)
