package registrar

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/internal/transport"
)

// binding is one contact of a user: "Each binding record ... records the
// Call-ID and CSeq values from the request" (RFC 3261 section 10.3), and the
// flow by which it came, over which alone it is reached.
type binding struct {
	contact sip.URI
	target  sipmsg.Uri // contact as a Request-URI
	q       int        // thousandths
	callID  string
	cseq    uint32
	expires time.Time
	updated time.Time
	flow    transport.Flow
	release func()   // ends the hold on flow; may be nil
	former  []string // keys of the contacts that this one replaced: dialogs still name them
}

const maxFormer = 4 // contacts remembered per binding

// change is what a REGISTER wants of one contact; zero expires removes it.
type change struct {
	contact sip.URI
	target  sipmsg.Uri
	q       int
	expires time.Duration
}

// registration is one REGISTER, checked.
type registration struct {
	user    string
	callID  string
	cseq    uint32
	flow    transport.Flow
	all     bool // Contact: *, remove everything
	changes []change
}

var (
	errOutOfOrder = errors.New("registrar: an older request than the binding's")
	errFull       = errors.New("registrar: too many users")
)

// table is the location service, in memory. It is told the time and safe for
// concurrent use.
type table struct {
	maxContacts, maxUsers int
	hold                  func(transport.Flow) func() // may be nil

	mu        sync.Mutex // guards the maps and what they lead to
	users     map[string][]*binding
	byContact map[string]*binding
}

func newTable(maxContacts, maxUsers int, hold func(transport.Flow) func()) *table {
	return &table{
		maxContacts: maxContacts, maxUsers: maxUsers, hold: hold,
		users: make(map[string][]*binding), byContact: make(map[string]*binding),
	}
}

// Update carries out a registration, all of it or nothing, and returns the
// user's bindings after it. A user with too many contacts loses the oldest: a
// telephone that restarts again and again must not lock its owner out.
func (t *table) Update(now time.Time, r registration) ([]binding, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now, r.user)
	have := t.users[r.user]
	if len(have) == 0 && len(r.changes) > 0 && len(t.users) >= t.maxUsers {
		return nil, errFull
	}
	for _, b := range have {
		// "If the Call-ID value in the existing binding ... agrees, then [the
		// registrar] MUST remove the binding only if the CSeq in the request is
		// higher" (section 10.3 steps 6 and 7).
		if b.callID == r.callID && r.cseq <= b.cseq && (r.all || r.touches(b)) {
			return nil, errOutOfOrder
		}
	}
	if r.all {
		t.drop(r.user, func(*binding) bool { return true })
	}
	var former []string
	var last *binding
	for _, c := range r.changes {
		t.drop(r.user, func(b *binding) bool {
			gone := b.contact.Equal(c.contact)
			if gone && b.callID == r.callID {
				former = append(append(former, b.former...), contactKey(&b.target))
			}
			return gone
		})
		if c.expires > 0 {
			last = t.add(now, &r, c)
		}
	}
	t.follow(last, former)
	if extra := len(t.users[r.user]) - t.maxContacts; extra > 0 {
		oldest := slices.Clone(t.users[r.user][:extra]) // in the order of their last refresh
		t.drop(r.user, func(b *binding) bool { return slices.Contains(oldest, b) })
	}
	return t.list(r.user), nil
}

func (r *registration) touches(b *binding) bool {
	return slices.ContainsFunc(r.changes, func(c change) bool { return c.contact.Equal(b.contact) })
}

// follow lets Contact find a binding by the contacts that its user agent had
// before, as when a NAT changed its address: the dialogs of that time have no
// other name for it. The caller holds mu.
func (t *table) follow(b *binding, former []string) {
	if b == nil {
		return
	}
	for _, key := range former[max(0, len(former)-maxFormer):] {
		if t.byContact[key] == nil {
			t.byContact[key] = b
			b.former = append(b.former, key)
		}
	}
}

func (t *table) add(now time.Time, r *registration, c change) *binding {
	b := &binding{
		contact: c.contact, target: c.target, q: c.q, callID: r.callID, cseq: r.cseq,
		expires: now.Add(c.expires), updated: now, flow: r.flow,
	}
	if t.hold != nil {
		b.release = t.hold(r.flow)
	}
	t.users[r.user] = append(t.users[r.user], b)
	t.byContact[contactKey(&b.target)] = b
	return b
}

// Lookup returns the user's bindings, the preferred and the newest first.
func (t *table) Lookup(now time.Time, user string) []binding {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now, user)
	all := t.list(user)
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b binding) int { return b.q - a.q })
	return all
}

// Contact finds the binding whose contact has the user, host and port of uri.
func (t *table) Contact(now time.Time, uri *sipmsg.Uri) (binding, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.byContact[contactKey(uri)]
	if b == nil || !now.Before(b.expires) {
		return binding{}, false
	}
	return *b, true
}

// Broken removes what can no longer be reached (as RFC 5626 section 6 does).
func (t *table) Broken(flow transport.Flow) (removed int) {
	return t.sweep(func(b *binding) bool { return b.flow == flow })
}

// Sweep removes the bindings that ran out.
func (t *table) Sweep(now time.Time) (removed int) {
	return t.sweep(func(b *binding) bool { return !now.Before(b.expires) })
}

func (t *table) sweep(gone func(*binding) bool) (removed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for user := range t.users {
		removed += t.drop(user, gone)
	}
	return removed
}

// expire removes the user's bindings that ran out. The caller holds mu.
func (t *table) expire(now time.Time, user string) {
	t.drop(user, func(b *binding) bool { return !now.Before(b.expires) })
}

// drop removes the user's bindings that gone picks. The caller holds mu.
func (t *table) drop(user string, gone func(*binding) bool) (removed int) {
	keep := t.users[user][:0:0]
	for _, b := range t.users[user] {
		if !gone(b) {
			keep = append(keep, b)
			continue
		}
		removed++
		if b.release != nil {
			b.release()
		}
		for _, key := range append(b.former, contactKey(&b.target)) {
			if t.byContact[key] == b {
				delete(t.byContact, key)
			}
		}
	}
	if len(keep) == 0 {
		delete(t.users, user)
	} else if removed > 0 {
		t.users[user] = keep
	}
	return removed
}

func (t *table) list(user string) []binding {
	all := make([]binding, len(t.users[user]))
	for i, b := range t.users[user] {
		all[i] = *b
	}
	return all
}

// contactKey is what a remote target and the contact it came from agree in.
func contactKey(u *sipmsg.Uri) string {
	port := u.Port
	if port == 0 {
		port = 5060
		if tp, _ := u.UriParams.Get("transport"); strings.EqualFold(tp, "tls") {
			port = 5061
		}
	}
	return u.User + "@" + strings.ToLower(bareHost(u.Host)) + ":" + itoa(port)
}
