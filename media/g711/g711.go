package g711

// The quietest code of each law: what a sender of silence repeats.
const (
	SilenceULaw byte = 0xFF
	SilenceALaw byte = 0xD5
)

// EncodeULaw appends the mu-law code of each sample to dst.
func EncodeULaw(dst []byte, pcm []int16) []byte { return dst }

// DecodeULaw appends the sample of each mu-law code to dst.
func DecodeULaw(dst []int16, p []byte) []int16 { return dst }

// EncodeALaw appends the A-law code of each sample to dst.
func EncodeALaw(dst []byte, pcm []int16) []byte { return dst }

// DecodeALaw appends the sample of each A-law code to dst.
func DecodeALaw(dst []int16, p []byte) []int16 { return dst }
