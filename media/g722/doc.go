// Package g722 is the 7 kHz audio coding within 64 kbit/s of [ITU-T G.722]: 16000 samples a
// second in one byte per two samples, RTP payload type 9 of [RFC 3551 section 4.5.2].
//
// # Usage
//
// The zero Encoder and the zero Decoder are ready. Each holds the adaptive state of one
// direction of one stream: feed it the stream's frames in order. Encode and Decode append to
// dst and return it, as the built-in append does; with enough capacity they allocate nothing.
//
// The RTP clock of G.722 runs at 8000 Hz although the audio has 16000 samples a second, "due
// to an error in RFC 1890" (RFC 3551): a frame of 20 ms has 320 samples, 160 bytes, and
// advances the RTP timestamp by 160.
//
// The arithmetic is integer and bit exact: the same bytes and samples as any other conforming
// implementation, which the golden vectors in testdata hold.
//
// # Concurrency
//
// An Encoder or Decoder has one user at a time.
//
// # Limitations
//
// The encoder makes mode 1 (64 kbit/s) only, as RTP does. The decoder also reads modes 2 and 3,
// in which one or two bits of each byte carry other data.
//
// [ITU-T G.722]: https://www.itu.int/rec/T-REC-G.722
// [RFC 3551 section 4.5.2]: https://www.rfc-editor.org/rfc/rfc3551#section-4.5.2
package g722
