package ice

import (
	"crypto/rand"
	"net/netip"
	"sync"
)

// offer is one set of local credentials. Each fork that answers it gets an
// agent; checks that come before their answer are answered and kept here.
type offer struct {
	ufrag, pwd string

	mu    sync.Mutex
	held  map[string]map[heldKey][]byte // by full USERNAME: the latest check per base and source
	total int
	known map[string]bool // users that have or had an agent
}

type heldKey struct {
	b    *base
	from netip.AddrPort
}

const (
	maxHeld     = 64 // checks held by an offer,
	maxHeldFork = 16 // and of one fork
)

func newOffer() *offer {
	// At least 4 and 22 ice-char, 24 and 128 bits of randomness (RFC 8445
	// section 5.3). Text has 26 characters of 5 bits.
	return &offer{ufrag: rand.Text()[:8], pwd: rand.Text(), held: map[string]map[heldKey][]byte{}, known: map[string]bool{}}
}

// early takes a check that came before its answer.
//
// From the moment it told its candidates an agent must answer checks, also those
// of a peer whose answer it has not seen: that takes our password only (RFC 8445
// section 7.3). The check is kept for the agent to come, which learns the
// peer-reflexive candidate from it. One that nominates is kept and not answered,
// as only the agent can select a pair; the peer repeats it.
//
// A user that ever had a path is not answered again: the consent of an ended
// fork must expire.
func (o *offer) early(b *base, user string, p []byte, from netip.AddrPort) {
	if !authentic(p, o.pwd) {
		return
	}
	nominates := hasAttribute(p, attrUseCandidate)
	o.mu.Lock()
	if o.known[user] {
		o.mu.Unlock()
		return
	}
	m, key := o.held[user], heldKey{b, from}
	old, ok := m[key]
	switch {
	case !ok && (o.total >= maxHeld || len(m) >= maxHeldFork):
		o.mu.Unlock()
		return
	case !ok:
		o.total++
		if m == nil {
			m = map[heldKey][]byte{}
			o.held[user] = m
		}
		m[key] = append([]byte(nil), p...)
	case nominates || !hasAttribute(old, attrUseCandidate):
		m[key] = append(old[:0:0], p...)
	}
	o.mu.Unlock()
	if nominates {
		return
	}
	if res, err := bindingSuccess(p, from, o.pwd); err == nil {
		_, _ = b.out.WriteToUDPAddrPort(res, from) // lost like any datagram: the peer repeats its check
	}
}

// claim marks a user as having an agent and returns what was held for it. It
// says false if the user had an agent already.
func (o *offer) claim(user string) (held map[heldKey][]byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[user] {
		return nil, false
	}
	o.known[user] = true
	held = o.held[user]
	o.total -= len(held)
	delete(o.held, user)
	return held, true
}

// release lets a user whose checks found no pair be connected again.
func (o *offer) release(user string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.known, user)
}

// heard says whether checks are held for a user.
func (o *offer) heard(user string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held[user]) > 0
}
