// Package wav reads and writes WAV files of 16 bit PCM ([RIFF WAVE], format 1), and plays them
// into and records them from a call.
//
// # Usage
//
//	err := wav.Play(ctx, call.Audio(), file)   // returns when the last sample was sent
//	err := wav.Record(ctx, file, call.Audio()) // until ctx or the call ends
//
// A Reader reads mono and stereo files of any rate from 8000 to 192000, from any io.Reader: it
// never seeks. It also takes what is met in practice: the extensible format with PCM in it, chunks
// it does not know, chunks of odd length with or without padding at the end, and the sizes 0 and
// 0xFFFFFFFF of a file that was written to a pipe, which then lasts to the end of the input.
//
// A Writer writes the samples as they come and the sizes at Close.
//
// # Concurrency
//
// A Reader or Writer has one user at a time.
//
// # Cancellation
//
// The contexts of Play and Record bound all of it. A sink or source with deadlines
// (SetWriteDeadline, SetReadDeadline) is left within a frame of the context's end; any other
// when its call returns.
//
// # Limitations
//
// 16 bit PCM only: no G.711, no float, no RF64 over 4 GiB.
//
// [RIFF WAVE]: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
package wav
