package media

import (
	"fmt"
	"strings"

	"github.com/peercall/peercall/media/g711"
	"github.com/peercall/peercall/media/g722"
)

// encoder turns mono samples at its rate into a payload, appending to dst.
type encoder interface {
	Encode(dst []byte, pcm []int16) []byte
}

// decoder turns a payload into mono samples at its rate, appending to dst. Any
// bytes are a valid payload.
type decoder interface {
	Decode(dst []int16, p []byte) []int16
}

// format is what a payload format needs of its surroundings.
type format struct {
	rate    int // of its samples
	clock   int // of its RTP timestamps
	encoder func() encoder
	decoder func() decoder
}

// formatOf knows the payload formats of RFC 3551.
func formatOf(c Codec) (format, error) {
	if c.PayloadType > 127 {
		return format{}, fmt.Errorf("media: payload type %d", c.PayloadType)
	}
	if c.Channels > 1 || (c.ClockRate != 8000 && c.ClockRate != 0) {
		return format{}, fmt.Errorf("media: codec %.16q with %d channels at %d Hz not supported", c.Name, c.Channels, c.ClockRate)
	}
	switch strings.ToUpper(c.Name) {
	case "PCMU":
		return format{8000, 8000, func() encoder { return ulaw{} }, func() decoder { return ulaw{} }}, nil
	case "PCMA":
		return format{8000, 8000, func() encoder { return alaw{} }, func() decoder { return alaw{} }}, nil
	case "G722":
		// "Even though the actual sampling rate for G.722 audio is 16,000 Hz, the RTP
		// clock rate for the G722 payload format is 8,000 Hz" (RFC 3551 section 4.5.2)
		return format{16000, 8000, func() encoder { return new(g722.Encoder) }, func() decoder { return new(g722.Decoder) }}, nil
	}
	return format{}, fmt.Errorf("media: codec %.16q not supported", c.Name)
}

type ulaw struct{}

func (ulaw) Encode(dst []byte, pcm []int16) []byte { return g711.EncodeULaw(dst, pcm) }
func (ulaw) Decode(dst []int16, p []byte) []int16  { return g711.DecodeULaw(dst, p) }

type alaw struct{}

func (alaw) Encode(dst []byte, pcm []int16) []byte { return g711.EncodeALaw(dst, pcm) }
func (alaw) Decode(dst []int16, p []byte) []int16  { return g711.DecodeALaw(dst, p) }

// mixDown averages the channels of pcm into mono.
func mixDown(mono, pcm []int16, channels int) []int16 {
	if channels == 1 {
		return append(mono, pcm...)
	}
	for i := 0; i+1 < len(pcm); i += 2 {
		mono = append(mono, int16((int(pcm[i])+int(pcm[i+1]))/2))
	}
	return mono
}

// spread writes mono to all channels.
func spread(pcm, mono []int16, channels int) []int16 {
	if channels == 1 {
		return append(pcm, mono...)
	}
	for _, s := range mono {
		pcm = append(pcm, s, s)
	}
	return pcm
}

// fadeOut writes a ramp from the sample last to silence, then silence: a break
// in the signal would click.
func fadeOut(pcm []int16, last int16, ramp int) {
	clear(pcm)
	for i := range pcm[:min(ramp, len(pcm))] {
		pcm[i] = int16(int(last) * (ramp - 1 - i) / ramp)
	}
}

// crossFade passes from the sample last into pcm.
func crossFade(pcm []int16, last int16, ramp int) {
	for i := range pcm[:min(ramp, len(pcm))] {
		pcm[i] = int16((int(last)*(ramp-1-i) + int(pcm[i])*(i+1)) / ramp)
	}
}
