package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of a Reader.
const (
	minRate    = 8000
	maxRate    = 192000
	maxChunks  = 64      // before the samples
	maxSkipped = 1 << 20 // bytes in chunks before the samples
)

const (
	formatPCM        = 1
	formatExtensible = 0xFFFE
	unknownSize      = 0xFFFFFFFF // a size not known when the header was written; 0 means the same
)

// pcmGUID is KSDATAFORMAT_SUBTYPE_PCM, the extensible format's way to say PCM.
const pcmGUID = "\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

// ErrFormat is what all errors about a file's content unwrap to: it is no WAV file, or not one of
// 16 bit PCM.
var ErrFormat = errors.New("wav: not a WAV file of 16 bit PCM")

func formatError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Reader reads the samples of a WAV file.
type Reader struct {
	r              io.Reader
	rate, channels int
	left           int64 // bytes of samples not yet read; negative: to the end of the input
	buf            [4096]byte
	held           int // bytes of half a sample at the start of buf
	err            error
}

// NewReader reads the header of r up to the samples.
func NewReader(r io.Reader) (*Reader, error) {
	w := &Reader{r: r}
	head := w.buf[:12]
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, headerError(err, "the header")
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, formatError("it begins with %q", head)
	}
	skipped := int64(0)
	for range maxChunks {
		head := w.buf[:8]
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, headerError(err, "the samples")
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		switch string(head[:4]) {
		case "fmt ":
			if w.rate != 0 {
				return nil, formatError("it has two formats")
			}
			if err := w.format(size); err != nil {
				return nil, err
			}
			continue
		case "data":
			if w.rate == 0 {
				return nil, formatError("the samples come before their format")
			}
			w.left = size
			if size == 0 || size == unknownSize {
				w.left = -1
			}
			return w, nil
		}
		size += size & 1 // chunks are padded to an even length
		if skipped += size; skipped > maxSkipped {
			return nil, formatError("more than %d bytes before the samples", maxSkipped)
		}
		if _, err := io.CopyN(io.Discard, r, size); err != nil {
			return nil, headerError(err, "the samples")
		}
	}
	return nil, formatError("more than %d chunks before the samples", maxChunks)
}

// headerError tells a file that ends from one that cannot be read.
func headerError(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return formatError("it ends before %s", what)
	}
	return fmt.Errorf("wav: read header: %w", err)
}

// format reads the chunk that describes the samples.
func (w *Reader) format(size int64) error {
	if size < 16 || size > 1024 {
		return formatError("its format has %d bytes", size)
	}
	p := w.buf[:size+size&1]
	if _, err := io.ReadFull(w.r, p); err != nil {
		return headerError(err, "the end of the format")
	}
	le := binary.LittleEndian
	tag, channels, rate, bits := le.Uint16(p), int(le.Uint16(p[2:])), int(le.Uint32(p[4:])), le.Uint16(p[14:])
	if tag == formatExtensible && size >= 40 && bytes.Equal(p[24:40], []byte(pcmGUID)) {
		tag = formatPCM
	}
	switch {
	case tag != formatPCM:
		return formatError("its encoding is %#x", tag)
	case bits != 16:
		return formatError("it has %d bits per sample", bits)
	case channels != 1 && channels != 2:
		return formatError("it has %d channels, want 1 or 2", channels)
	case rate < minRate || rate > maxRate:
		return formatError("it has %d samples a second, want %d to %d", rate, minRate, maxRate)
	}
	w.rate, w.channels = rate, channels
	return nil
}

// Rate is the number of samples per second and channel.
func (w *Reader) Rate() int { return w.rate }

// Channels is 1 for mono, 2 for stereo.
func (w *Reader) Channels() int { return w.channels }

// ReadPCM reads up to len(p) samples, channels interleaved, and io.EOF after the last. A file
// that ends before the size it announced ends there, without error; half a sample at its end is
// dropped.
func (w *Reader) ReadPCM(p []int16) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for w.err == nil {
		want := min(2*len(p), len(w.buf)) - w.held
		if w.left >= 0 {
			want = int(min(int64(want), w.left))
		}
		if want == 0 {
			w.err = io.EOF
			break
		}
		n, err := w.r.Read(w.buf[w.held:][:want])
		if w.left >= 0 {
			w.left -= int64(n)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("wav: read samples: %w", err)
		}
		w.err = err
		n += w.held
		for i := range n / 2 {
			p[i] = int16(binary.LittleEndian.Uint16(w.buf[2*i:]))
		}
		w.held = n & 1
		if w.held == 1 {
			w.buf[0] = w.buf[n-1]
		}
		if n > 1 {
			return n / 2, nil
		}
	}
	if errors.Is(w.err, io.EOF) {
		return 0, io.EOF
	}
	return 0, w.err
}
