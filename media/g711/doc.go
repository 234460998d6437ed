// Package g711 is the pulse code modulation of voice frequencies of [ITU-T G.711]: mu-law and
// A-law, 8000 samples a second of one byte each, RTP payload types 0 (PCMU) and 8 (PCMA) of
// [RFC 3551 section 4.5.14].
//
// # Usage
//
// All four functions append to dst and return it, as the built-in append does. With enough
// capacity in dst they allocate nothing. A frame is any number of samples: there is no state
// between calls.
//
// Samples are 16 bit linear. G.711 speaks of 14 bit (mu-law) and 13 bit (A-law) values; they
// are the upper bits of ours. Encoding follows the recommendation's decision values exactly; a
// sample on a decision value goes to the interval above, as in the ITU's own software (G.191).
//
// # Concurrency
//
// The functions may be called from any number of goroutines.
//
// # Limitations
//
// Comfort noise and concealment are not here: package media/jitter conceals what was lost.
//
// [ITU-T G.711]: https://www.itu.int/rec/T-REC-G.711
// [RFC 3551 section 4.5.14]: https://www.rfc-editor.org/rfc/rfc3551#section-4.5.14
package g711
