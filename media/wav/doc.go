// Package wav reads and writes WAV files of 16 bit PCM, and plays them into and records them
// from a call.
package wav
