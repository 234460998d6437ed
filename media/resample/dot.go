package resample

// dot is the sum of h times x, which are equally long.
func dot(h []int32, x []int16) int {
	var a, b, c, d int
	i := 0
	for ; i+8 <= len(h) && i+8 <= len(x); i += 8 {
		h, x := (*[8]int32)(h[i:]), (*[8]int16)(x[i:])
		a += int(h[0])*int(x[0]) + int(h[4])*int(x[4])
		b += int(h[1])*int(x[1]) + int(h[5])*int(x[5])
		c += int(h[2])*int(x[2]) + int(h[6])*int(x[6])
		d += int(h[3])*int(x[3]) + int(h[7])*int(x[7])
	}
	for ; i < len(h) && i < len(x); i++ {
		a += int(h[i]) * int(x[i])
	}
	return a + b + c + d
}

// between is the sample half-way between x[15] and x[16]: the taps are symmetric, so that pairs
// of samples share one.
func between(h *[half]int32, x *[2 * half]int16) int {
	a := int(h[0])*(int(x[0])+int(x[31])) + int(h[1])*(int(x[1])+int(x[30])) +
		int(h[2])*(int(x[2])+int(x[29])) + int(h[3])*(int(x[3])+int(x[28]))
	b := int(h[4])*(int(x[4])+int(x[27])) + int(h[5])*(int(x[5])+int(x[26])) +
		int(h[6])*(int(x[6])+int(x[25])) + int(h[7])*(int(x[7])+int(x[24]))
	c := int(h[8])*(int(x[8])+int(x[23])) + int(h[9])*(int(x[9])+int(x[22])) +
		int(h[10])*(int(x[10])+int(x[21])) + int(h[11])*(int(x[11])+int(x[20]))
	d := int(h[12])*(int(x[12])+int(x[19])) + int(h[13])*(int(x[13])+int(x[18])) +
		int(h[14])*(int(x[14])+int(x[17])) + int(h[15])*(int(x[15])+int(x[16]))
	return a + b + c + d
}

// halve is the filtered x[32], for half the rate: besides symmetric, every second tap but the
// middle one is 0.
func halve(h *[half]int32, middle int32, x *[4*half + 1]int16) int {
	a := int(h[0])*(int(x[1])+int(x[63])) + int(h[1])*(int(x[3])+int(x[61])) +
		int(h[2])*(int(x[5])+int(x[59])) + int(h[3])*(int(x[7])+int(x[57]))
	b := int(h[4])*(int(x[9])+int(x[55])) + int(h[5])*(int(x[11])+int(x[53])) +
		int(h[6])*(int(x[13])+int(x[51])) + int(h[7])*(int(x[15])+int(x[49]))
	c := int(h[8])*(int(x[17])+int(x[47])) + int(h[9])*(int(x[19])+int(x[45])) +
		int(h[10])*(int(x[21])+int(x[43])) + int(h[11])*(int(x[23])+int(x[41]))
	d := int(h[12])*(int(x[25])+int(x[39])) + int(h[13])*(int(x[27])+int(x[37])) +
		int(h[14])*(int(x[29])+int(x[35])) + int(h[15])*(int(x[31])+int(x[33]))
	return a + b + c + d + int(middle)*int(x[32])
}
