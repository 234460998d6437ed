package g722

// Rate is the number of samples a second before encoding and after decoding. (The RTP clock of
// G.722 runs at half of it.)
const Rate = 16000

// block is how many pairs of samples are worked on at once: 20 ms. It bounds the stack, not the
// length of a frame.
const block = 160

// clip15 and clip16 are the LIMIT blocks and the saturating arithmetic of the recommendation.
func clip15(v int32) int32 { return max(min(v, 16383), -16384) }
func clip16(v int32) int32 { return max(min(v, 32767), -32768) }

// mirror is the quadrature mirror filter of 24 taps (G.722 table 11), all but the last addition. x is
// the past 24 samples, oldest first. even is the sum with H0, H2 ... H22 over the second sample
// of each pair, newest first; odd the one with H1, H3 ... H23 over the first. The filter is
// symmetric, so that both use the same twelve values, from opposite ends.
func mirror(x *[24]int16) (even, odd int32) {
	odd = 3*int32(x[0]) - 11*int32(x[2]) + 12*int32(x[4]) + 32*int32(x[6]) -
		210*int32(x[8]) + 951*int32(x[10]) + 3876*int32(x[12]) - 805*int32(x[14]) +
		362*int32(x[16]) - 156*int32(x[18]) + 53*int32(x[20]) - 11*int32(x[22])
	even = 3*int32(x[23]) - 11*int32(x[21]) + 12*int32(x[19]) + 32*int32(x[17]) -
		210*int32(x[15]) + 951*int32(x[13]) + 3876*int32(x[11]) - 805*int32(x[9]) +
		362*int32(x[7]) - 156*int32(x[5]) + 53*int32(x[3]) - 11*int32(x[1])
	return even, odd
}
