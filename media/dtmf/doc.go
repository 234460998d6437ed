// Package dtmf sends and receives keypad digits as the telephone-events of [RFC 4733].
//
// # Usage
//
// A Sender is asked once per packet time, and says what goes out instead of audio:
//
//	sender := dtmf.NewSender(dtmf.SenderConfig{})
//	err := sender.Queue("42#")
//	if p, ok := sender.Next(timestamp); ok {
//		payload = p.Payload.Append(payload[:0]) // with p.Timestamp and p.Marker in the header
//	}
//
// A Receiver is given the packets and the time, and says when a key was pressed and released:
//
//	events, err = receiver.Receive(events[:0], now, h.SequenceNumber, h.Timestamp, h.Marker, payload)
//	events = receiver.Expire(events, now) // every tick
//
// # Concurrency
//
// A Sender or Receiver has one user at a time. Neither starts goroutines, nor reads a clock.
//
// # Limitations
//
// Tones in the audio are neither made nor heard. One event per packet, and one event at a time,
// as keypads have. The end of a segment of an event over 0xFFFF ticks is sent once and not three
// times: the next segment follows at once and tells the same.
//
// [RFC 4733]: https://www.rfc-editor.org/rfc/rfc4733
package dtmf
