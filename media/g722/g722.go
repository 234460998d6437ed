package g722

// Rate is the number of samples a second before encoding and after decoding.
const Rate = 16000

// Encoder turns samples into G.722 at 64 kbit/s. The zero value is ready to use.
type Encoder struct {
	_ int
}

// Encode appends one byte to dst for every two samples of pcm. An odd last sample is kept and
// goes first the next time.
func (e *Encoder) Encode(dst []byte, pcm []int16) []byte {
	for range len(pcm) / 2 {
		dst = append(dst, 0xFA)
	}
	return dst
}

// Reset forgets the stream, as for a new one.
func (e *Encoder) Reset() {}

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
}

// Decode appends two samples to dst for every byte of p. Any bytes are a valid stream.
func (d *Decoder) Decode(dst []int16, p []byte) []int16 {
	for range p {
		dst = append(dst, 0, 0)
	}
	return dst
}

// Reset forgets the stream, as for a new one. Mode stays.
func (d *Decoder) Reset() {}
