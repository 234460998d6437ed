// Package negotiate is SDP offer/answer as a pure machine: SDP text and the
// local transport's description go in, SDP text and a [Plan] come out. It knows
// no socket, clock, goroutine or random number, and it never panics, whatever
// text it is given.
//
// It follows RFC 3264 and RFC 6337 (offer/answer), RFC 8866 (SDP; the grammar is
// pion's), RFC 5763 and RFC 8842 (DTLS-SRTP: fingerprint and setup), RFC 8839
// (ICE, as text only), RFC 5761 and RFC 8858 (RTP and RTCP on one port), RFC
// 3605 (a=rtcp), RFC 4733 (telephone-event) and RFC 4568 (a=crypto). Of RFC 8843
// (BUNDLE) only so much that an offer with one audio line in a group is
// answered as its offerer expects.
//
// # Usage
//
// One [Machine] belongs to one dialog. We offer:
//
//	m := negotiate.New(negotiate.Config{Codecs: codecs, DTMF: true}, id)
//	offer, err := m.Offer(local, negotiate.DTLS)   // send it
//	plan, err := m.Answer(answer)                  // the peer's
//
// The peer offers:
//
//	offered, err := m.Receive(offer)               // what does it want?
//	answer, plan, err := m.Accept(local)           // after gathering, if it has ICE
//
// Either way round works in an INVITE and its answer and, for an INVITE
// without SDP, in the 2xx and its ACK. Re-offers go through the same four methods.
// An error leaves the agreed state as it was. When one offer is answered by
// several forks, each fork gets its own copy by [Machine.Fork].
//
// # Choices that are ours
//
//   - One audio line. Every other m-line is answered with port 0; among several
//     audio lines the one with the strongest profile is taken.
//   - Our answer keeps the offerer's payload type numbers and the offerer's order
//     of preference, and lists every codec in common. We send the first of them.
//   - Our offers for DTLS-SRTP say UDP/TLS/RTP/SAVPF; an answer repeats the proto
//     of the offer, whichever of the known ones it was.
//   - RTP/AVP(F) with a fingerprint is DTLS-SRTP, with crypto lines SDES: best
//     effort encryption is taken when offered.
//   - A re-offer never gets, and never asks for, a weaker profile than the one
//     agreed before.
//   - Re-offers of ours list the agreed codecs first and in the agreed order, so
//     that holding a call does not change its codec.
//   - SHA-1 fingerprints count as none.
//
// # Concurrency
//
// None: a Machine is for one goroutine at a time. What goes in and comes out is copied.
//
// # Cancellation
//
// Nothing waits. [Machine.Withdraw] and [Machine.Reject] drop an offer that came to nothing.
//
// # Limitations
//
// No video, no second audio line, no multicast, no a=tls-id, no a=sendonly per
// codec, no rtcp-fb, no header extensions, no session or key parameters in
// a=crypto.
package negotiate
