package sip

import (
	"slices"
	"time"
)

// Times of a registration.
const (
	flowBase = 30 * time.Second   // RFC 5626 section 4.5, base-time (if all failed)
	flowMax  = 1800 * time.Second // RFC 5626 section 4.5, max-time

	refreshMargin  = 30 * time.Second // ours, as are those below
	soonestRetry   = 5 * time.Second
	defaultExpires = time.Hour
	longestExpires = 24 * time.Hour // a registrar that asks for more with 423 is not followed
	maxRewrites    = 2              // of Contact in a row, for a NAT that changes with each packet
	maxStaleOwn    = 4              // bindings of ours to remove that are remembered
)

// registerState is the state of a registerMachine.
//
//	         start             2xx                 deadline
//	  idle --------> sending --------> registered ----------> sending
//	                  |  ^  ^                 | flow lost
//	            fails |  |  | deadline        v
//	                  |  |  +-------------- waiting
//	                  |  +--- 423, Contact to be rewritten: at once
//	                  +--> waiting (time-out, 5xx, transport: back-off)
//	                  +--> ended   (401, 403, 407 and other lasting refusals)
//
//	refresh: registered, waiting --> sending.
//	unregister: any --> removing --> ended; while sending, after its answer.
type registerState uint8

const (
	registerIdle registerState = iota
	registerSending
	registerRegistered
	registerWaiting
	registerRemoving
	registerEnded
)

// String names the state.
func (s registerState) String() string {
	return [...]string{"idle", "sending", "registered", "waiting", "removing", "ended"}[s]
}

// registerRequest is a REGISTER to send.
type registerRequest struct {
	Contact URI
	Expires time.Duration // 0: remove Contact
	Remove  []URI         // bindings of ours that are no longer right
}

// registerBinding is one Contact of a registrar's answer.
type registerBinding struct {
	URI     URI
	Expires time.Duration // -1: not given
}

// registerAnswer is what became of a REGISTER.
type registerAnswer struct {
	Code       int // 0: no answer, see Err
	Err        error
	Bindings   []registerBinding
	Expires    time.Duration // the Expires header field; -1: none
	MinExpires time.Duration
	RetryAfter time.Duration
	Seen       URI // our Contact as the answer's Via shows it; zero: as we wrote it
}

// registerOutput is what the driver has to do now.
type registerOutput struct {
	Send  *registerRequest
	Event *RegistrationEvent
}

// registerMachine keeps one binding (RFC 3261 section 10.2). It is pure: told
// the time, it says what to send, what to report and, by Deadline, when to call
// it again. At most one REGISTER is outstanding ("UAs MUST NOT send a new
// registration ... until they have received a final response ... or the previous
// REGISTER request has timed out"). It belongs to its driver's goroutine.
type registerMachine struct {
	contact URI // zero until Locate
	wanted  time.Duration
	random  func() float64 // in [0,1)

	state       registerState
	deadline    time.Time // of state; zero: none
	until       time.Time // the binding's end; zero: none
	granted     time.Duration
	ever        bool // was registered once
	alive       bool // what the last event said of Registered
	leave       bool // unregister when the answer is there
	stale       []URI
	failures    int
	rewrites    int
	intervals   int // 423 in a row
	outstanding registerRequest
}

func newRegisterMachine(contact URI, expires time.Duration, random func() float64) *registerMachine {
	if expires <= 0 {
		expires = defaultExpires
	}
	return &registerMachine{contact: contact, wanted: expires, random: random}
}

// Deadline is when Wake is due; zero: never.
func (m *registerMachine) Deadline() time.Time {
	if m.state == registerWaiting && m.alive && m.until.Before(m.deadline) {
		return m.until
	}
	return m.deadline
}

// Start sends the first REGISTER.
func (m *registerMachine) Start(time.Time) registerOutput {
	if m.state != registerIdle {
		return registerOutput{}
	}
	return m.send()
}

// Wake is called when Deadline passed.
func (m *registerMachine) Wake(now time.Time) registerOutput {
	if d := m.Deadline(); d.IsZero() || now.Before(d) {
		return registerOutput{}
	}
	switch m.state {
	case registerRegistered:
		return m.send()
	case registerWaiting:
		if !now.Before(m.deadline) {
			return m.send()
		}
		m.alive, m.until = false, time.Time{} // the binding ran out meanwhile
		return registerOutput{Event: &RegistrationEvent{Contact: m.contact, Err: ErrTimeout, Retry: m.deadline.Sub(now)}}
	default: // the other states have no deadline
		return registerOutput{}
	}
}

// FlowLost says that the connection to the registrar broke. Through it the
// binding was reached, so it is as good as gone.
func (m *registerMachine) FlowLost(now time.Time, err error) registerOutput {
	if m.state != registerRegistered {
		return registerOutput{} // an outstanding REGISTER fails by itself
	}
	m.until = time.Time{}
	return m.retry(now, err, 0)
}

// Refresh sends a REGISTER before its time, if there is a binding or a wait.
func (m *registerMachine) Refresh(time.Time) registerOutput {
	if m.state != registerRegistered && m.state != registerWaiting {
		return registerOutput{} // one is outstanding, or never will be
	}
	return m.send()
}

// Unregister removes the binding. The machine has ended when the answer came,
// whatever it says.
func (m *registerMachine) Unregister(time.Time) registerOutput {
	switch m.state {
	case registerSending:
		m.leave = true
		return registerOutput{}
	case registerRegistered, registerWaiting:
		if m.contact == (URI{}) {
			return m.end(nil) // nothing was ever sent
		}
		return m.remove()
	case registerIdle:
		return m.end(nil)
	default: // removing, ended
		return registerOutput{}
	}
}

// Locate gives the outstanding REGISTER its Contact when none was known: it can
// be told only once there is a flow.
func (m *registerMachine) Locate(contact URI) (located bool) {
	if m.contact != (URI{}) {
		return false
	}
	m.contact, m.outstanding.Contact = contact, contact
	return true
}

// Answer takes the outcome of the outstanding REGISTER.
func (m *registerMachine) Answer(now time.Time, a registerAnswer) registerOutput {
	switch m.state {
	case registerRemoving:
		return m.end(nil)
	case registerSending:
	default:
		return registerOutput{} // nothing is outstanding
	}
	accepted := a.Code >= 200 && a.Code < 300
	switch {
	case m.leave && m.contact != (URI{}) && (accepted || !m.until.IsZero() || a.Code == 0):
		return m.remove()
	case m.leave:
		return m.end(nil)
	case accepted:
		return m.accept(now, a)
	case a.Code == 423:
		return m.tooBrief(now, a)
	case m.lasting(a.Code):
		return m.end(a.Err)
	}
	m.failures++
	return m.retry(now, a.Err, a.RetryAfter)
}

// lasting says that a refusal will not change by itself: the credentials were
// refused, or, if there never was a binding, any 3xx, 4xx or 6xx but those that
// name a passing state.
func (m *registerMachine) lasting(code int) bool {
	switch code {
	case 401, 403, 407:
		return true
	case 0, 408, 423, 429, 430, 480, 491:
		return false
	}
	return !m.ever && (code < 500 || code >= 600)
}

func (m *registerMachine) accept(now time.Time, a registerAnswer) registerOutput {
	for _, gone := range m.outstanding.Remove {
		m.stale = slices.DeleteFunc(m.stale, func(u URI) bool { return u == gone })
	}
	m.granted = m.grant(a)
	if m.granted <= 0 { // a 2xx that did not bind us
		m.failures++
		return m.retry(now, &StatusError{Code: a.Code, Reason: "binding not kept", RetryAfter: a.RetryAfter}, a.RetryAfter)
	}
	m.failures, m.intervals, m.ever = 0, 0, true
	m.until = now.Add(m.granted)
	if a.Seen != (URI{}) && !sameContact(a.Seen, m.contact) && m.rewrites < maxRewrites {
		m.rewrites++
		m.stale = append(slices.DeleteFunc(m.stale, func(u URI) bool { return u == a.Seen }), m.contact)
		m.stale = m.stale[max(0, len(m.stale)-maxStaleOwn):]
		m.contact = a.Seen
		return m.send()
	}
	m.rewrites, m.alive = 0, true
	m.state = registerRegistered
	m.deadline = now.Add(refreshAfter(m.granted, m.random()))
	return registerOutput{Event: &RegistrationEvent{Registered: true, Contact: m.contact, Expires: m.granted}}
}

// grant picks the lifetime of our own binding: "The 200 (OK) response ... each
// Contact value MUST feature an "expires" parameter indicating its expiration
// interval chosen by the registrar" (RFC 3261 section 10.3). A registrar that
// rewrote our Contact is believed by its Expires header field.
func (m *registerMachine) grant(a registerAnswer) time.Duration {
	granted := a.Expires
	for _, b := range a.Bindings {
		if sameContact(b.URI, m.contact) && b.Expires >= 0 {
			granted = b.Expires
		}
	}
	if granted < 0 {
		granted = m.wanted
	}
	return min(granted, 10*longestExpires)
}

// refreshAfter is when a binding is refreshed: a margin of 10%, at least 30 s
// and at most half, before its end, and up to as much again earlier, so that
// those who registered together do not stay together.
func refreshAfter(granted time.Duration, random float64) time.Duration {
	margin := min(max(granted/10, refreshMargin), granted/2)
	spread := min(margin, granted/10)
	return granted - margin - time.Duration(random*float64(spread))
}

// tooBrief obeys Min-Expires (RFC 3261 section 10.2.8).
func (m *registerMachine) tooBrief(now time.Time, a registerAnswer) registerOutput {
	m.intervals++
	if a.MinExpires <= m.wanted || a.MinExpires > longestExpires || m.intervals > 2 {
		m.failures++
		return m.retry(now, a.Err, a.RetryAfter)
	}
	m.wanted = a.MinExpires
	return m.send()
}

// retry waits: as long as the registrar asks for, with up to a tenth more, or as
// RFC 5626 section 4.5 computes: "a uniform random distribution between 50 and
// 100% of" W = min(max-time, base-time * 2^consecutive-failures). While the
// binding still lives the next try comes before half of what is left.
func (m *registerMachine) retry(now time.Time, err error, after time.Duration) registerOutput {
	wait := after + time.Duration(m.random()*float64(after)/10)
	if after <= 0 {
		w := flowMax
		if m.failures < 6 { // 30 s * 2^6 is over the maximum
			w = flowBase << m.failures
		}
		if left := m.until.Sub(now); !m.until.IsZero() && left > 0 {
			w = min(w, max(soonestRetry, left/2))
		}
		wait = w/2 + time.Duration(m.random()*float64(w/2))
	}
	m.state, m.deadline = registerWaiting, now.Add(wait)
	m.alive = now.Before(m.until)
	ev := &RegistrationEvent{Registered: m.alive, Contact: m.contact, Err: err, Retry: wait}
	if m.alive {
		ev.Expires = m.until.Sub(now)
	}
	return registerOutput{Event: ev}
}

func (m *registerMachine) send() registerOutput {
	m.outstanding = registerRequest{Contact: m.contact, Expires: m.wanted, Remove: slices.Clone(m.stale)}
	m.state, m.deadline = registerSending, time.Time{}
	out := m.outstanding
	return registerOutput{Send: &out}
}

func (m *registerMachine) remove() registerOutput {
	m.state, m.deadline = registerRemoving, time.Time{}
	return registerOutput{Send: &registerRequest{Contact: m.contact, Remove: slices.Clone(m.stale)}}
}

func (m *registerMachine) end(err error) registerOutput {
	m.state, m.deadline, m.until, m.alive = registerEnded, time.Time{}, time.Time{}, false
	return registerOutput{Event: &RegistrationEvent{Contact: m.contact, Err: err}}
}

// sameContact compares contacts as a registrar does, but forgives parameters
// that it left out or added (RFC 3261 section 10.3 compares by section 19.1.4).
func sameContact(a, b URI) bool {
	if a.Equal(b) {
		return true
	}
	ta, _ := a.Param("transport")
	tb, _ := b.Param("transport")
	a.Params, a.Headers, b.Params, b.Headers = "", "", "", ""
	return a.Equal(b) && (ta == tb || ta == "" || tb == "")
}
