package negotiate

import (
	"net/netip"
	"slices"
	"strings"
)

// Machine is the offer/answer state of one dialog. Make it with New.
//
//	            Offer                 Receive
//	offered <----------- settled ---------------> received
//	   |   Answer, Withdraw ^  ^  Accept, Reject     |
//	   +--------------------+  +---------------------+
//
// In offered a Receive is glare (491), in received an Offer is ErrState. What
// the pointers point to is never changed, so that Fork can copy it all.
type Machine struct {
	cfg      Config
	event    uint8 // the payload type we would like for telephone-event
	id       uint64
	version  uint64      // of the last description we sent
	sent     string      // the last description we sent
	origin   netip.Addr  // of o=, the same for the whole session
	bound    [128]string // payload types that we said we receive, by Codec.key
	pending  *ownOffer
	received *peerOffer
	agreed   *agreement
}

// ownOffer is an offer of ours. After its answer it stays, for a repeated answer.
type ownOffer struct {
	lines    []outLine
	audio    int // index of the audio line
	profile  Profile
	answered bool
}

// peerOffer is a judged offer.
type peerOffer struct {
	text    string
	desc    *description
	audio   int // index of the line to accept; -1: none, it was removed
	profile Profile
	codecs  []Codec // common, in the offerer's order and numbers
	events  []Codec
}

// agreement is the outcome of the last exchange.
type agreement struct {
	plan   Plan
	slots  []slot   // what our next offer repeats, one per m-line
	bundle bool     // the audio line is in a BUNDLE group
	floor  Profile  // no later profile may be under it
	offer  string   // the peer's last offer; empty when the last was ours
	events []Codec  // telephone-event, our payload types
	prints []string // our fingerprints
}

// slot is the part of an m-line that never changes place.
type slot struct {
	kind, proto, format, mid string
}

// New returns a Machine before the first offer. id is the session id of our
// o= line: a random number that is the caller's to draw.
func New(cfg Config, id uint64) *Machine {
	m := &Machine{
		cfg: cfg, event: 101,
		// "The numeric value of the session id and version in the o line MUST be
		// representable with a 64 bit signed integer" (RFC 3264 section 5)
		id: id >> 2,
	}
	m.cfg.Codecs = nil
	for _, c := range cfg.Codecs {
		if c.isEvent() {
			m.cfg.DTMF, m.event = true, c.PayloadType
			continue
		}
		m.cfg.Codecs = append(m.cfg.Codecs, c)
	}
	m.cfg.SDESSuites = slices.Clone(cfg.SDESSuites)
	if m.cfg.Weakest == 0 {
		m.cfg.Weakest = DTLS
	}
	if !isLine(m.cfg.SessionName) {
		m.cfg.SessionName = "-"
	}
	if !isVisible(m.cfg.Username) {
		m.cfg.Username = "-"
	}
	return m
}

// Withdraw drops our pending offer, as when its request was refused.
func (m *Machine) Withdraw() {
	if m.pending != nil && !m.pending.answered {
		m.pending = nil
	}
}

// Reject drops the received offer.
func (m *Machine) Reject() { m.received = nil }

// Agreed is the last agreed plan; ok is false before the first.
func (m *Machine) Agreed() (plan Plan, ok bool) {
	if m.agreed == nil {
		return Plan{}, false
	}
	return m.agreed.plan.clone(), true
}

// Fork returns a copy that shares nothing: one per dialog that answers one offer.
func (m *Machine) Fork() *Machine {
	c := *m
	return &c
}

// floor is the weakest profile that may be agreed to now. RFC 3264 knows no
// such rule; a re-offer that took the encryption away would be an attack.
func (m *Machine) floor() Profile {
	if m.agreed != nil {
		return max(m.cfg.Weakest, m.agreed.floor)
	}
	return m.cfg.Weakest
}

// audio is the agreed audio line, nil when there is none.
func (m *Machine) audio() *Line {
	if m.agreed == nil {
		return nil
	}
	l, _ := m.agreed.plan.Audio()
	return l
}

// settle makes an agreement the current one.
func (m *Machine) settle(a *agreement) Plan {
	a.floor = m.floor()
	if l, ok := a.plan.Audio(); ok {
		a.floor = max(a.floor, l.Profile)
	}
	m.agreed = a
	return a.plan.clone()
}

// compare fills in what changed since the last agreement; prints are our
// fingerprints now.
func (m *Machine) compare(l *Line, prints []string) {
	old := m.audio()
	if old == nil {
		return
	}
	l.ICERestart = restarted(old.ICE, l.ICE)
	l.DTLSChanged = l.Profile == DTLS &&
		(old.Profile != DTLS || old.DTLSClient != l.DTLSClient ||
			!sameSet(old.Fingerprints, l.Fingerprints) || !sameSet(m.agreed.prints, prints))
}

// sameDTLS reports whether the agreed association can go on with these
// fingerprints: then its roles stay.
func (m *Machine) sameDTLS(theirs, ours []string) (client, same bool) {
	old := m.audio()
	if old == nil || old.Profile != DTLS || !sameSet(old.Fingerprints, theirs) || !sameSet(m.agreed.prints, ours) {
		return false, false
	}
	return old.DTLSClient, true
}

func restarted(old, now *ICE) bool {
	return old != nil && now != nil && (old.Ufrag != now.Ufrag || old.Pwd != now.Pwd)
}

func sameSet(a, b []string) bool {
	in := func(list []string) func(string) bool {
		return func(s string) bool { return !slices.Contains(list, s) }
	}
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}

// check looks at what the caller wants to say before it is printed: each
// value must be fit to stand in a line.
func (l *Local) check(p Profile) error {
	if !l.Address.IsValid() || l.Address.Port() == 0 {
		return errLocal("no address")
	}
	if l.ICE != nil {
		ok := isVisible(l.ICE.Ufrag) && isVisible(l.ICE.Pwd) && (l.ICE.Options == "" || isLine(l.ICE.Options))
		if !ok || !all(l.ICE.Candidates, isLine) {
			return errLocal("ICE text")
		}
	}
	if p == DTLS && (len(l.Fingerprints) == 0 || !all(l.Fingerprints, isLine)) {
		return errLocal("no fingerprint for DTLS")
	}
	if p == SDES && !all(l.Crypto, func(c Crypto) bool {
		return isToken(c.Suite) && strings.Trim(c.Key, base64Alphabet) == "" && c.usable()
	}) {
		return errLocal("crypto lines")
	}
	return nil
}

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !ok(v) })
}

func (p *Plan) clone() Plan {
	c := Plan{Lines: slices.Clone(p.Lines)}
	for i := range c.Lines {
		l := &c.Lines[i]
		l.Receive = slices.Clone(l.Receive)
		l.Fingerprints = slices.Clone(l.Fingerprints)
		l.ICE = l.ICE.clone()
	}
	return c
}
