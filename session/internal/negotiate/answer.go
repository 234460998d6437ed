package negotiate

import (
	"slices"
)

// Answer takes the answer to our offer. A bad answer is an *AnswerError and
// changes nothing: the offer is still pending. Until the next exchange
// begins, Answer may be called again for the same offer (a 2xx after a 18x):
// the later answer counts.
func (m *Machine) Answer(sdp []byte) (Plan, error) {
	if m.pending == nil || m.received != nil {
		return Plan{}, ErrState
	}
	d, refused := parse(sdp)
	if refused != nil {
		return Plan{}, badAnswer(refused.Reason)
	}
	offer := m.pending
	if err := fits(offer, d); err != nil {
		return Plan{}, err
	}
	line, err := m.answered(offer, &d.media[offer.audio])
	if err != nil {
		return Plan{}, err
	}
	a := &agreement{bundle: offer.lines[offer.audio].bundled}
	for i := range offer.lines {
		own := &offer.lines[i]
		a.slots = append(a.slots, own.slot)
		l := Line{Index: i, Mid: own.mid, Kind: own.kind, Rejected: true}
		if i == offer.audio {
			line.Index, line.Mid, line.Kind = l.Index, l.Mid, l.Kind
			l = *line
			a.slots[i].format = d.media[i].formats[0]
			a.events, a.prints = own.events, own.prints
		}
		a.plan.Lines = append(a.plan.Lines, l)
	}
	done := *offer
	done.answered = true
	m.pending = &done
	return m.settle(a), nil
}

// fits checks what RFC 3264 section 6 asks of an answer's shape: "the answer
// MUST contain exactly the same number of "m=" lines as the offer".
func fits(offer *ownOffer, d *description) error {
	if len(d.media) != len(offer.lines) {
		return badAnswer("the number of m-lines changed")
	}
	for i := range d.media {
		if d.media[i].kind != offer.lines[i].kind {
			return badAnswer("the m-lines are not in the offer's order")
		}
	}
	if d.media[offer.audio].port == 0 {
		return badAnswer("the audio line was refused")
	}
	return nil
}

// answered judges the audio line of an answer.
func (m *Machine) answered(offer *ownOffer, am *media) (*Line, error) {
	own := &offer.lines[offer.audio]
	if !am.addr.IsValid() && am.host == "" {
		return nil, badAnswer("no connection address")
	}
	if am.addr.IsMulticast() {
		return nil, badAnswer("a multicast address")
	}
	l := &Line{
		Proto: own.proto, Profile: offer.profile, Mux: own.mux && am.mux,
		PTime: am.ptime, MaxPTime: am.maxptime,
		Remote: am.remote(), RemoteRTCP: am.remoteRTCP(), Host: am.host,
		Mismatch: am.iceMismatch,
	}
	if own.muxOnly && !l.Mux {
		return nil, badAnswer("RTP and RTCP are not multiplexed")
	}
	if l.Mux {
		l.RemoteRTCP = l.Remote
	}
	if own.ice != nil && am.ice != nil && !am.iceMismatch {
		l.ICE = am.ice.clone()
	}
	// An answer's direction may be no wider than the offer's leaves room for
	// (RFC 3264 section 6.1); of one that is, the possible part is taken.
	wants := am.wants()
	l.Sending = own.dir.sends() && wants.receives()
	l.Receiving = own.dir.receives() && wants.sends()
	if err := m.answeredFormats(l, own, am); err != nil {
		return nil, err
	}
	if err := m.answeredKeys(l, own, am); err != nil {
		return nil, err
	}
	m.compare(l, own.prints)
	return l, nil
}

func (m *Machine) answeredFormats(l *Line, own *outLine, am *media) error {
	theirs := slices.Clone(am.codecs)
	for i, c := range theirs {
		if c.Name != "" {
			continue
		}
		// A dynamic payload type of ours without its rtpmap can mean only what we said.
		for _, o := range slices.Concat(own.codecs, own.events) {
			if o.PayloadType == c.PayloadType {
				o.FMTP = c.FMTP
				theirs[i] = o
			}
		}
	}
	both := common(theirs, own.codecs)
	if len(both) == 0 {
		return badAnswer("no codec of the offer")
	}
	l.Send = both[0]
	for _, c := range own.codecs {
		if slices.ContainsFunc(both, func(b Codec) bool { return b.key() == c.key() }) {
			l.Receive = append(l.Receive, c)
		}
	}
	if len(own.events) == 0 {
		return nil
	}
	// RFC 4733 section 2.4.1: both sides send with the number the other side gave.
	if ev := events(common(theirs, own.events), both[:1]); len(ev) > 0 {
		l.SendDTMF = event(ev, l.Send.ClockRate)
		l.ReceiveDTMF = event(own.events, ev[0].ClockRate)
	}
	return nil
}

func (m *Machine) answeredKeys(l *Line, own *outLine, am *media) error {
	c := protoClass(am.proto)
	// An answer repeats the offer's proto; between those of the same protection
	// we are not particular.
	if c == unknownProto || (c == plainProto) != (protoClass(own.proto) == plainProto) {
		return badAnswer("another transport protocol")
	}
	switch l.Profile {
	case SDES:
		return answeredCrypto(l, own, am)
	case DTLS:
		return m.answeredSetup(l, own, am)
	}
	return nil
}

// answeredCrypto: an answer holds exactly one crypto attribute, with the tag and
// the suite of an offered one (RFC 4568 section 5.1.2).
func answeredCrypto(l *Line, own *outLine, am *media) error {
	if len(am.crypto) != 1 {
		return badAnswer("not exactly one crypto attribute")
	}
	theirs := am.crypto[0]
	i := slices.IndexFunc(own.crypto, func(c Crypto) bool { return c.Tag == theirs.Tag && c.Suite == theirs.Suite })
	if i < 0 || !theirs.usable() {
		return badAnswer("a crypto attribute that was not offered")
	}
	l.LocalCrypto, l.RemoteCrypto = own.crypto[i], theirs
	return nil
}

// answeredSetup decides who is the DTLS client.
func (m *Machine) answeredSetup(l *Line, own *outLine, am *media) error {
	if len(am.fingerprints) == 0 {
		return badAnswer("no usable DTLS fingerprint")
	}
	l.Fingerprints = slices.Clone(am.fingerprints)
	client, same := m.sameDTLS(l.Fingerprints, own.prints)
	switch am.setup {
	case "active":
		l.DTLSClient = false
	case "passive":
		l.DTLSClient = true
	case "":
		// "The default value of the setup attribute in an offer/answer exchange is
		// ... 'passive' in the answer" (RFC 4145 section 4), which it
		// cannot be when it was not in the association that goes on.
		l.DTLSClient = !same || client
	default:
		// actpass and holdconn are no answers (RFC 8842 section 5.3). baresip says
		// actpass in its answer to a re-offer when the first offer was its own:
		// with the same fingerprints that can only mean to go on.
		if !same {
			return badAnswer("setup is neither active nor passive")
		}
		l.DTLSClient = client
	}
	return nil
}
