package negotiate

import (
	"errors"
	"fmt"
	"slices"
)

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="

func errLocal(what string) error { return fmt.Errorf("negotiate: local description: %s", what) }

// ErrProfile is returned by Offer for a profile that Config or an earlier agreement rules out.
var ErrProfile = errors.New("negotiate: profile weaker than allowed or agreed")

// Offer makes an offer of profile and leaves it pending until Answer or
// Withdraw. A pending offer is replaced. A profile under the agreed one or
// under Config.Weakest is an error.
func (m *Machine) Offer(local Local, profile Profile) ([]byte, error) {
	if m.received != nil {
		return nil, ErrState
	}
	if profile < m.floor() || profile > DTLS {
		return nil, ErrProfile
	}
	if err := local.check(profile); err != nil {
		return nil, err
	}
	if profile == SDES && len(local.Crypto) == 0 {
		return nil, errLocal("no crypto line for SDES")
	}
	audio := m.audioOffer(&local, profile)
	if len(audio.codecs) == 0 {
		return nil, errLocal("no codec")
	}
	lines := m.repeat()
	index := m.audioIndex(lines)
	if index == len(lines) {
		lines = append(lines, outLine{})
	} else {
		audio.mid = lines[index].mid
		audio.bundled = m.agreed.bundle
		if old := m.audio(); old != nil && old.Profile == profile {
			audio.proto = lines[index].proto
		}
	}
	lines[index] = audio
	text, err := m.print(&local, lines)
	if err != nil {
		return nil, fmt.Errorf("negotiate: print offer: %w", err)
	}
	m.pending = &ownOffer{lines: lines, audio: index, profile: profile}
	return text, nil
}

// repeat is the agreed m-lines, all refused: "if the previous SDP had N "m="
// lines, the new SDP MUST have at least N "m=" lines", in their places (RFC
// 3264 section 8).
func (m *Machine) repeat() []outLine {
	if m.agreed == nil {
		return nil
	}
	lines := make([]outLine, len(m.agreed.slots))
	for i, s := range m.agreed.slots {
		lines[i] = outLine{slot: s, rejected: true}
	}
	return lines
}

// audioIndex is where the audio line goes: its old place, else a dead audio
// line's (RFC 3264 section 8.1 lets a new stream reuse it), else the end.
func (m *Machine) audioIndex(lines []outLine) int {
	if old := m.audio(); old != nil {
		return old.Index
	}
	if i := slices.IndexFunc(lines, func(l outLine) bool { return l.kind == "audio" }); i >= 0 {
		return i
	}
	return len(lines)
}

func (m *Machine) audioOffer(local *Local, profile Profile) outLine {
	l := outLine{
		slot: slot{kind: "audio", proto: profile.proto()},
		port: local.Address.Port(), dir: local.Direction,
		mux: local.Mux || local.RTCPMuxOnly, muxOnly: local.RTCPMuxOnly,
		rtcp: local.RTCP, ice: local.ICE.clone(),
	}
	l.codecs, l.events = m.formats()
	switch profile {
	case DTLS:
		// "The endpoint that is the offerer MUST use the setup attribute value of
		// setup:actpass" (RFC 5763 section 5), in re-offers too.
		l.setup, l.prints = "actpass", slices.Clone(local.Fingerprints)
	case SDES:
		l.crypto = slices.Clone(local.Crypto)
	}
	return l
}

// formats gives our codecs their payload types: those agreed first and as they
// are, then the rest, with numbers that never meant anything else.
func (m *Machine) formats() (codecs, dtmf []Codec) {
	var used [128]bool
	add := func(list []Codec, c Codec) []Codec {
		if slices.ContainsFunc(list, func(o Codec) bool { return o.key() == c.key() }) {
			return list
		}
		pt, ok := m.number(&c, &used)
		if !ok {
			return list
		}
		used[pt] = true
		c.PayloadType = pt
		return append(list, c)
	}
	if old := m.audio(); old != nil {
		for _, c := range old.Receive {
			if i := slices.IndexFunc(m.cfg.Codecs, func(o Codec) bool { return o.key() == c.key() }); i >= 0 {
				ours := m.cfg.Codecs[i]
				ours.PayloadType = c.PayloadType
				codecs = add(codecs, ours)
			}
		}
	}
	for _, c := range m.cfg.Codecs {
		codecs = add(codecs, c)
	}
	if !m.cfg.DTMF {
		return codecs, nil
	}
	if m.agreed != nil {
		for _, e := range m.agreed.events {
			dtmf = add(dtmf, e)
		}
	}
	for _, c := range codecs {
		dtmf = add(dtmf, Codec{
			Name: telephoneEvent, PayloadType: m.event, ClockRate: c.ClockRate, Channels: 1, FMTP: eventsDTMF,
		})
	}
	return codecs, dtmf
}

// number finds a payload type for c: the wanted one, one that meant c
// before, or a dynamic one that never meant anything.
func (m *Machine) number(c *Codec, used *[128]bool) (uint8, bool) {
	key := c.key()
	free := func(pt uint8) bool {
		if pt > lastDynamic || used[pt] || m.bound[pt] != "" && m.bound[pt] != key {
			return false
		}
		s, static := staticCodec(pt)
		return !static || s.key() == key
	}
	if free(c.PayloadType) && (c.PayloadType >= firstDynamic || m.bound[c.PayloadType] == key || isStatic(c)) {
		return c.PayloadType, true
	}
	for pt, k := range m.bound {
		if k == key && !used[pt] {
			return uint8(pt), true
		}
	}
	for pt := uint8(firstDynamic); pt <= lastDynamic; pt++ {
		if free(pt) {
			return pt, true
		}
	}
	return 0, false
}

func isStatic(c *Codec) bool {
	s, ok := staticCodec(c.PayloadType)
	return ok && s.key() == c.key()
}
