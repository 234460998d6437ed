package media

import "time"

// Codec names a payload format as negotiated in SDP (RFC 8866 a=rtpmap, a=fmtp).
type Codec struct {
	Name        string // "PCMU", "PCMA", "G722", "telephone-event"
	PayloadType uint8
	ClockRate   int // RTP clock; 8000 for G722 as well (RFC 3551 section 4.5.2)
	Channels    int // 0 means 1
	FMTP        string
}

// Format is a PCM format: signed 16-bit samples, channels interleaved.
type Format struct {
	Rate     int // 8000, 16000 or 48000; 0 means 16000
	Channels int // 1 or 2; 0 means 1
}

func (f Format) defaults() Format {
	if f.Rate == 0 {
		f.Rate = 16000
	}
	if f.Channels == 0 {
		f.Channels = 1
	}
	return f
}

func (f Format) valid() bool {
	return (f.Rate == 8000 || f.Rate == 16000 || f.Rate == 48000) && (f.Channels == 1 || f.Channels == 2)
}

// samples is how many samples, over all channels, last d.
func (f Format) samples(d time.Duration) int {
	return int(int64(f.Rate)*int64(d)/int64(time.Second)) * f.Channels
}
