// Package peercall is the map of a library that adds calls between people to
// applications: voice that goes directly from one computer to the other, on open
// standards. SIP finds the other person, ICE finds the direct path, SRTP protects
// it. The package itself holds documentation only.
//
// Start with package [github.com/peercall/peercall/session]: its Listen makes an
// endpoint, Dial calls, and a Handler answers.
//
//	ep, err := session.Listen(ctx, &session.Config{Identity: "sip:alice@example.org", Password: password})
//	...
//	call, err := ep.Dial(ctx, "sip:bob@example.org", nil)
//	...
//	defer call.Close()
//	err = wav.Play(ctx, call.Audio(), file)
//
// # Rooms
//
// Each room is useful alone and knows nothing of the two beside it; session joins
// them.
//
//   - [github.com/peercall/peercall/session]: endpoints, calls, handlers and events;
//     [github.com/peercall/peercall/session/sessiontest] gives connected endpoints
//     on a simulated network to the tests of applications
//   - [github.com/peercall/peercall/sip]: the user agent: flows, transactions,
//     dialogs, registration, authentication;
//     [github.com/peercall/peercall/sip/registrar] is a small registrar and proxy
//   - [github.com/peercall/peercall/ice]: a datagram path that finds its way through
//     NATs; [github.com/peercall/peercall/ice/relay] is a small STUN/TURN server
//   - [github.com/peercall/peercall/media]: DTLS-SRTP, RTP, RTCP and audio; its
//     subpackages are one thing each: g711, g722, resample, jitter, dtmf, wav
//
// The README has the table of RFCs with the test that shows each, and
// docs/ARCHITECTURE.md one call's life as a ladder.
package peercall
