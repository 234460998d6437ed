package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
)

const headerSize = 44

// ErrTooLong is returned when a file would have more bytes than its header can say: 4 GiB, a day
// and a half at 16000 Hz mono.
var ErrTooLong = errors.New("wav: file over 4 GiB")

// Writer writes a WAV file of 16 bit PCM.
type Writer struct {
	w              io.WriteSeeker
	rate, channels int
	start          int64 // where the header is
	size           int64 // bytes of samples
	err            error
	buf            [4096]byte
}

// NewWriter writes a header to w, at its present position. channels is 1 or 2.
func NewWriter(w io.WriteSeeker, rate, channels int) (*Writer, error) {
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("wav: %d channels: want 1 or 2", channels)
	}
	if rate < minRate || rate > maxRate {
		return nil, fmt.Errorf("wav: rate %d Hz: want %d to %d", rate, minRate, maxRate)
	}
	start, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("wav: find position: %w", err)
	}
	f := &Writer{w: w, rate: rate, channels: channels, start: start}
	// Until Close knows the sizes, a reader of an abandoned file reads to its end.
	if err := f.header(unknownSize, unknownSize); err != nil {
		return nil, err
	}
	return f, nil
}

func (w *Writer) header(riff, data uint32) error {
	le := binary.LittleEndian
	p := append(w.buf[:0], "RIFF"...)
	p = le.AppendUint32(p, riff)
	p = append(p, "WAVEfmt "...)
	p = le.AppendUint32(p, 16)
	p = le.AppendUint16(p, formatPCM)
	p = le.AppendUint16(p, uint16(w.channels))
	p = le.AppendUint32(p, uint32(w.rate))
	p = le.AppendUint32(p, uint32(w.rate*w.channels*2))
	p = le.AppendUint16(p, uint16(w.channels*2))
	p = le.AppendUint16(p, 16)
	p = append(p, "data"...)
	p = le.AppendUint32(p, data)
	if _, err := w.w.Write(p); err != nil {
		return fmt.Errorf("wav: write header: %w", err)
	}
	return nil
}

// WritePCM writes samples, channels interleaved. After an error it returns the same again.
func (w *Writer) WritePCM(p []int16) (int, error) {
	written := 0
	for w.err == nil && written < len(p) {
		n := min(len(p)-written, len(w.buf)/2)
		if w.size+int64(2*n) > math.MaxUint32-headerSize {
			w.err = ErrTooLong
			break
		}
		for i, s := range p[written : written+n] {
			binary.LittleEndian.PutUint16(w.buf[2*i:], uint16(s))
		}
		m, err := w.w.Write(w.buf[:2*n])
		w.size += int64(m)
		written += m / 2
		if err != nil {
			w.err = fmt.Errorf("wav: write samples: %w", err)
		}
	}
	return written, w.err
}

// Close writes the sizes into the header and leaves the position at the end. It does not close the
// file. Further calls of WritePCM fail; a second Close does nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, net.ErrClosed) {
		return nil
	}
	w.err = net.ErrClosed
	if _, err := w.w.Seek(w.start, io.SeekStart); err != nil {
		return fmt.Errorf("wav: go back to the header: %w", err)
	}
	if err := w.header(uint32(w.size)+headerSize-8, uint32(w.size)); err != nil {
		return err
	}
	if _, err := w.w.Seek(w.start+headerSize+w.size, io.SeekStart); err != nil {
		return fmt.Errorf("wav: go to the end: %w", err)
	}
	return nil
}
