package wav

import "io"

// Reader reads the samples of a WAV file.
type Reader struct{}

// NewReader reads the header of r up to the samples.
func NewReader(r io.Reader) (*Reader, error) { return &Reader{}, nil }

// Rate is the number of samples per second and channel.
func (r *Reader) Rate() int { return 0 }

// Channels is 1 for mono, 2 for stereo.
func (r *Reader) Channels() int { return 0 }

// ReadPCM reads up to len(p) samples, channels interleaved, and io.EOF after the last.
func (r *Reader) ReadPCM(p []int16) (int, error) { return 0, io.EOF }
