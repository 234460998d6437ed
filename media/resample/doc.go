// Package resample converts speech between sampling rates: 8000, 16000 and 48000 of calls, 44100
// and others of files.
//
// # Usage
//
//	up, err := resample.New(8000, 16000)
//	pcm = up.Append(pcm[:0], frame) // 160 samples become 320
//
// # What it does to the sound
//
// The filter is a polyphase FIR, a sinc under a Kaiser window of 32 periods of the lower rate,
// after [Smith, Digital Audio Resampling]. Its delay is the same for all frequencies: 16 samples
// of the lower rate, which is 2 ms with 8000 and 1 ms with 16000. It is flat within 0.1 dB
// up to 7/8 of the lower rate's band (3.5 kHz with 8000, 7 kHz with 16000), and what it must
// suppress, images above and aliases from 9/8 of that band, is 60 dB down. Loud sounds clip; they
// do not wrap around.
//
// # Concurrency
//
// A Resampler has one user at a time.
//
// # Limitations
//
// Mono. Ratios of the rates with large terms are refused, because the table of the filter
// grows with them.
//
// [Smith, Digital Audio Resampling]: https://ccrma.stanford.edu/~jos/resample/
package resample
