// Package media carries a call's sound: secure transports over datagram paths,
// and audio streams over transports.
//
// A [Transport] sits on a [Path], a datagram pipe to one peer (package ice makes
// them; a test uses an in-memory pipe). It demultiplexes by the first byte
// ([RFC 7983]), runs the DTLS-SRTP handshake ([RFC 5763], [RFC 5764]), protects
// and checks every packet ([RFC 3711], [RFC 7714]) and follows an authenticated
// peer to a new address. A [Stream] on it speaks RTP and RTCP ([RFC 3550],
// [RFC 3551], [RFC 5761]), sends and plays sound and telephone events
// ([RFC 4733]). An [Audio] is the PCM end that an application reads and writes;
// it exists before any transport, outlives them, and keeps its [Format]
// whatever the codec is.
//
// # Usage
//
//	clock := media.NewClock(0)
//	defer clock.Close()
//	t, err := media.NewTransport(ctx, &media.TransportConfig{RTP: path, Clock: clock,
//		Keys: media.Keys{DTLS: &media.DTLS{Certificate: cert, Client: true, Remote: fingerprints}}})
//	audio := media.NewAudio(media.Format{})
//	s, err := t.NewStream(&media.StreamConfig{Audio: audio, Send: pcmu, Receive: []media.Codec{pcmu},
//		Sending: true, Receiving: true})
//	n, err := audio.ReadPCM(buf)
//
// # Concurrency
//
// All methods are safe for concurrent use. There is no goroutine per stream: the
// reader of the path hands packets in, and the [Clock] paces encoding, playout
// and reports. Callbacks run on those goroutines, never under a lock, and must
// return quickly; Close must not be called from inside one.
//
// # Cancellation
//
// The context of NewTransport bounds the handshake only. Close ends a transport
// or a stream at once; blocked readers and writers of an Audio end when the
// Audio is closed or its deadline passes.
//
// # Limitations
//
// When the machine stalls, up to half a second of sound is made up for as soon as
// it goes on; what is older is left out.
//
// Codecs are PCMU, PCMA, G.722 and telephone-event; one SRTP key per direction
// for a transport's life (no MKI, no re-keying); no RTCP feedback (RFC 4585). With
// DTLS and without rtcp-mux there is no RTCP: it would need an association of its own.
//
// [RFC 3550]: https://www.rfc-editor.org/rfc/rfc3550
// [RFC 3551]: https://www.rfc-editor.org/rfc/rfc3551
// [RFC 3711]: https://www.rfc-editor.org/rfc/rfc3711
// [RFC 4733]: https://www.rfc-editor.org/rfc/rfc4733
// [RFC 5761]: https://www.rfc-editor.org/rfc/rfc5761
// [RFC 5763]: https://www.rfc-editor.org/rfc/rfc5763
// [RFC 5764]: https://www.rfc-editor.org/rfc/rfc5764
// [RFC 7714]: https://www.rfc-editor.org/rfc/rfc7714
// [RFC 7983]: https://www.rfc-editor.org/rfc/rfc7983
package media
