package negotiate

import (
	"fmt"
	"slices"
)

// Receive judges an offer. An error is a *Refused; what was agreed and what
// was received before it are then as they were. Accept or Reject comes next.
func (m *Machine) Receive(offer []byte) (Offered, error) {
	if m.pending != nil && !m.pending.answered {
		return Offered{}, &Refused{Code: 491, Reason: "offer while ours is pending"}
	}
	d, refused := parse(offer)
	if refused != nil {
		return Offered{}, refused
	}
	if refused = m.keepsLines(d); refused != nil {
		return Offered{}, refused
	}
	p, refused := m.choose(d)
	if refused != nil {
		return Offered{}, refused
	}
	p.text = string(offer)
	m.received = p
	return m.offered(p), nil
}

// keepsLines: a re-offer has the lines of the last exchange in their places
// (RFC 3264 section 8); a place whose stream is gone may change its kind.
func (m *Machine) keepsLines(d *description) *Refused {
	if m.agreed == nil {
		return nil
	}
	if len(d.media) < len(m.agreed.slots) {
		return refuse(warnMisc, "m-lines are missing")
	}
	if old := m.audio(); old != nil && d.media[old.Index].kind != old.Kind {
		return refuse(warnMisc, "m-lines changed places")
	}
	return nil
}

// choose finds the audio line to accept: the agreed one, else the one with the
// strongest profile, the earliest of equals.
func (m *Machine) choose(d *description) (*peerOffer, *Refused) {
	old := m.audio()
	if old != nil && d.media[old.Index].port != 0 {
		return m.judge(d, old.Index)
	}
	var (
		best    *peerOffer
		refused *Refused
		gone    bool
	)
	for i := range d.media {
		if d.media[i].kind != "audio" {
			continue
		}
		if d.media[i].port == 0 {
			gone = true
			continue
		}
		p, r := m.judge(d, i)
		if r != nil {
			if refused == nil {
				refused = r
			}
			continue
		}
		if best == nil || p.profile > best.profile {
			best = p
		}
	}
	switch {
	case best != nil:
		return best, nil
	case refused != nil:
		return nil, refused
	case gone && m.agreed != nil:
		return &peerOffer{desc: d, audio: -1}, nil
	}
	return nil, refuse(warnMedia, "Media type not available: no audio offered")
}

// judge looks at one audio line.
func (m *Machine) judge(d *description, i int) (*peerOffer, *Refused) {
	om := &d.media[i]
	if om.addr.IsMulticast() {
		return nil, refuse(warnMulticast, "Multicast not available")
	}
	if !om.addr.IsValid() && om.host == "" {
		return nil, refuse(warnNetwork, "Incompatible network protocol: no usable connection address")
	}
	p := &peerOffer{desc: d, audio: i}
	var refused *Refused
	if p.profile, refused = profileOf(om, m.floor(), m.cfg.SDESSuites); refused != nil {
		return nil, refused
	}
	p.codecs = common(om.codecs, m.cfg.Codecs)
	if len(p.codecs) == 0 {
		return nil, refuse(warnFormat, "Incompatible media format: no common codec")
	}
	if m.cfg.DTMF {
		p.events = events(om.codecs, p.codecs)
	}
	return p, nil
}

// offered is what the caller needs to know of a judged offer.
func (m *Machine) offered(p *peerOffer) Offered {
	o := Offered{Repeat: m.agreed != nil && m.agreed.offer == p.text, Removed: p.audio < 0}
	if o.Removed {
		return o
	}
	om := &p.desc.media[p.audio]
	o.Profile, o.Mux, o.MuxOnly, o.Remote = p.profile, om.mux, om.muxOnly, om.remote()
	o.Direction = om.wants()
	o.Held = !o.Direction.receives()
	if o.Mismatch = om.mismatch(); !o.Mismatch {
		o.ICE = om.ice.clone()
	}
	switch p.profile {
	case DTLS:
		o.Fingerprints = slices.Clone(om.fingerprints)
	case SDES:
		o.Crypto = suites(om.crypto, m.cfg.SDESSuites)
		for _, c := range o.Crypto {
			o.Suites = append(o.Suites, c.Suite)
		}
	}
	if old := m.audio(); old != nil {
		o.ICERestart = restarted(old.ICE, o.ICE)
	}
	return o
}

// Accept answers the received offer. When it fails the offer is still there.
func (m *Machine) Accept(local Local) (answer []byte, plan Plan, err error) {
	p := m.received
	if p == nil {
		return nil, Plan{}, ErrState
	}
	if err := local.check(p.profile); err != nil {
		return nil, Plan{}, err
	}
	a := &agreement{offer: p.text}
	lines := make([]outLine, len(p.desc.media))
	for i := range p.desc.media {
		om := &p.desc.media[i]
		s := slot{kind: om.kind, proto: om.proto, format: om.formats[0], mid: om.mid}
		lines[i] = outLine{slot: s, rejected: true}
		a.slots = append(a.slots, s)
		a.plan.Lines = append(a.plan.Lines, Line{Index: i, Mid: om.mid, Kind: om.kind, Rejected: true})
	}
	if p.audio >= 0 {
		line, err := m.accept(p, &local, &lines[p.audio])
		if err != nil {
			return nil, Plan{}, err
		}
		line.Index, line.Mid, line.Kind = p.audio, lines[p.audio].mid, "audio"
		a.plan.Lines[p.audio] = *line
		a.bundle = lines[p.audio].bundled
		a.events, a.prints = lines[p.audio].events, lines[p.audio].prints
	}
	text, err := m.print(&local, lines)
	if err != nil {
		return nil, Plan{}, fmt.Errorf("negotiate: print answer: %w", err)
	}
	m.pending, m.received = nil, nil
	return text, m.settle(a), nil
}

// accept fills our answer to the audio line and says what it means.
func (m *Machine) accept(p *peerOffer, local *Local, out *outLine) (*Line, error) {
	om := &p.desc.media[p.audio]
	mux := om.mux && (local.Mux || local.RTCPMuxOnly)
	if !mux && (om.muxOnly || local.RTCPMuxOnly) {
		return nil, refuse(warnMisc, "RTP and RTCP cannot be multiplexed")
	}
	wants := om.wants().reversed()
	out.rejected = false
	out.port = local.Address.Port()
	out.dir = direction(wants.sends() && local.Direction.sends(), wants.receives() && local.Direction.receives())
	out.mux = mux
	out.codecs = answerFormats(p.codecs, m.cfg.Codecs)
	out.events = slices.Clone(p.events)
	for i := range out.events {
		out.events[i].Name, out.events[i].FMTP = telephoneEvent, eventsDTMF
	}
	out.bundled = om.mid != "" && slices.Contains(p.desc.bundle, om.mid)
	if !mux {
		out.rtcp = local.RTCP
	}
	l := &Line{
		Send: p.codecs[0], Receive: slices.Clone(out.codecs), Proto: om.proto, Profile: p.profile,
		Sending: out.dir.sends(), Receiving: out.dir.receives(),
		PTime: om.ptime, MaxPTime: om.maxptime,
		Remote: om.remote(), RemoteRTCP: om.remoteRTCP(), Host: om.host, Mux: mux,
	}
	if mux {
		l.RemoteRTCP = l.Remote
	}
	if len(p.events) > 0 {
		l.SendDTMF = event(p.events, l.Send.ClockRate)
		l.ReceiveDTMF = l.SendDTMF
	}
	switch {
	case om.ice == nil || local.ICE == nil:
	case om.mismatch():
		out.mismatch, l.Mismatch = true, true
	default:
		out.ice, l.ICE = local.ICE.clone(), om.ice.clone()
	}
	if err := m.acceptKeys(p, local, out, l); err != nil {
		return nil, err
	}
	m.compare(l, out.prints)
	return l, nil
}

func (m *Machine) acceptKeys(p *peerOffer, local *Local, out *outLine, l *Line) error {
	om := &p.desc.media[p.audio]
	switch p.profile {
	case DTLS:
		l.Fingerprints = slices.Clone(om.fingerprints)
		switch om.setup {
		case "active":
		case "passive":
			l.DTLSClient = true
		default: // actpass, or nothing, which RFC 8842 lets us take for it
			// "setup:active is RECOMMENDED" (RFC 5763 section 5): the handshake need not
			// wait for the answer to travel. An association that goes on keeps its roles.
			if client, same := m.sameDTLS(l.Fingerprints, local.Fingerprints); !same || client {
				l.DTLSClient = true
			}
		}
		out.setup, out.prints = "passive", slices.Clone(local.Fingerprints)
		if l.DTLSClient {
			out.setup = "active"
		}
	case SDES:
		for _, theirs := range suites(om.crypto, m.cfg.SDESSuites) {
			i := slices.IndexFunc(local.Crypto, func(c Crypto) bool { return c.Suite == theirs.Suite })
			if i < 0 {
				continue
			}
			l.LocalCrypto, l.RemoteCrypto = local.Crypto[i], theirs
			l.LocalCrypto.Tag = theirs.Tag
			out.crypto = []Crypto{l.LocalCrypto}
			return nil
		}
		return errLocal("no crypto line of an offered suite")
	}
	return nil
}

// answerFormats is the agreed list with the peer's numbers and order, and our own
// fmtp: it says what we receive.
func answerFormats(agreed, ours []Codec) []Codec {
	list := slices.Clone(agreed)
	for i := range list {
		for _, o := range ours {
			if o.key() == list[i].key() {
				list[i].FMTP = o.FMTP
			}
		}
	}
	return list
}
