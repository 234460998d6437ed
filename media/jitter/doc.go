// Package jitter turns packets that arrive when they like into frames that are due at an even
// pace: Buffer is the playout buffer of an RTP stream ([RFC 3550]), Concealer fills the places of
// frames that never came.
//
// # Usage
//
//	buffer := jitter.New(jitter.Config{ClockRate: 8000})
//	buffer.Put(now, jitter.Packet{Seq: h.SequenceNumber, Timestamp: h.Timestamp, Payload: payload})
//
//	frame, status := buffer.Get(now) // whenever more audio is needed
//	switch status {
//	case jitter.Play:
//		if frame.Spliced {
//			concealer.Splice()
//		}
//		pcm = decode(pcm, frame.Payload)
//		concealer.Good(pcm)
//	case jitter.Lost:
//		concealer.Lost(pcm) // of the length of frame.Samples
//	case jitter.Wait:
//		concealer.Silence(pcm)
//	}
//
// Every Get moves on by the frame it returned, so the listener's clock sets the pace: one that
// ticks every 20 ms asks twice per tick for packets of 10 ms, and twice in three ticks for
// packets of 30 ms.
//
// # How it decides
//
// The first packet waits for Config.Min. From then on the buffer plays by timestamps. A packet that
// is missing while a later one waits is lost; one that follows in sequence with a leap of the
// timestamp comes after silence, which is not loss, and waits for Min again. When the buffer
// runs dry it conceals for 60 ms without giving the missing packets up: if they do come they are
// played, and the delay has grown by what was inserted. After that it waits in silence and
// begins anew with what comes. The delay shrinks back, one packet every two seconds, while all
// packets had more time than Min to spare, and at once when more than Config.Max waits. So a
// sender whose clock is fast or slow never fills or empties the buffer, and Stats counts what
// that took.
//
// # Concurrency
//
// A Buffer or Concealer has one user at a time. Neither starts goroutines, nor reads a clock.
//
// # Limitations
//
// The target delay is constant; the interface leaves room for one that follows the jitter. The
// buffer knows nothing of codecs: redundant or discontinuous ones (Opus in-band FEC, comfort
// noise) need their frame's neighbours from the caller. The Concealer is mono.
//
// [RFC 3550]: https://www.rfc-editor.org/rfc/rfc3550
package jitter
