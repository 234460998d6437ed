package sip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// RegistrationEvent says how a registration stands.
type RegistrationEvent struct {
	Registered bool          // the binding exists, as far as we know; with Err set: still, though the refresh failed
	Contact    URI           // our contact as bound
	Expires    time.Duration // what is left of it
	Err        error         // why not, or not for much longer; nil after Unregister
	Retry      time.Duration // when it is tried again; 0 with Err set: never, the registrar refused for good
}

// Registration keeps one binding of an account until Close. It is safe for
// concurrent use.
type Registration struct {
	a      *Agent
	acct   Account
	on     func(RegistrationEvent) // may be nil
	callID string
	cancel context.CancelFunc
	leave  chan struct{}      // closed by Unregister
	again  chan chan struct{} // from Refresh; what it sends is closed after the answer
	lost   chan error         // why flow ended
	done   chan struct{}      // closed when run ended

	// run's own
	machine *registerMachine
	seq     uint32
	release func() // ends the hold on flow

	mu      sync.Mutex     // guards what follows; may be taken with the agent's mu held
	flow    transport.Flow // of the last answer, set by run; nil: none
	server  netip.AddrPort // who answered last
	over    string         // and by which transport
	last    RegistrationEvent
	ended   bool
	left    bool
	changed chan struct{} // closed at each event, then replaced
}

// Register begins to keep a binding of acct's address of record to this agent
// and returns at once. on, which may be nil, is told of each change on the
// registration's own goroutine; it must return quickly, and call neither the
// Registration's methods nor Agent.Close.
func (a *Agent) Register(acct *Account, on func(RegistrationEvent)) (*Registration, error) {
	if acct == nil || !acct.AOR.isSIP() || acct.AOR.User == "" || acct.AOR.Host == "" {
		return nil, errors.New("sip: an account to register needs an address of record such as sip:alice@example.org")
	}
	if acct.Expires < 0 {
		return nil, fmt.Errorf("sip: an account cannot expire after %v", acct.Expires)
	}
	ctx, cancel := context.WithCancel(a.life())
	r := &Registration{
		a: a, acct: *acct, on: on, callID: token() + token(), cancel: cancel,
		leave: make(chan struct{}), again: make(chan chan struct{}), lost: make(chan error, 1), done: make(chan struct{}), changed: make(chan struct{}),
		machine: newRegisterMachine(URI{}, acct.Expires, rand.Float64),
	}
	a.mu.Lock()
	a.regs[r] = struct{}{}
	a.mu.Unlock()
	if a.isClosing() || !a.spawn(func() { r.run(ctx) }) {
		a.unregister(r)
		cancel()
		return nil, ErrClosed
	}
	return r, nil
}

func (a *Agent) unregister(r *Registration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.regs, r)
}

// Registered waits for the registrar's word: nil when the binding exists, the
// reason when the registrar refused for good, ErrClosed after Close. While it is
// tried again, only ctx ends the wait.
func (r *Registration) Registered(ctx context.Context) error {
	for {
		r.mu.Lock()
		last, ended, changed := r.last, r.ended, r.changed
		r.mu.Unlock()
		switch {
		case last.Registered:
			return nil
		case ended && last.Err != nil:
			return last.Err
		case ended:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if last.Err != nil {
				return fmt.Errorf("sip: not registered: %w (%w)", ctx.Err(), last.Err)
			}
			return ctx.Err()
		}
	}
}

// Refresh registers again now and waits for the answer, whatever it is: for when
// the network changed, so that the registrar finds us and we learn our new
// address. ctx bounds the wait only. Its error is ctx's, or ErrClosed.
func (r *Registration) Refresh(ctx context.Context) error {
	answered := make(chan struct{})
	select {
	case r.again <- answered:
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-answered:
		return nil
	case <-r.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unregister removes the binding and ends the registration. ctx bounds the wait
// for the registrar's answer; the removal goes on without it until Close.
func (r *Registration) Unregister(ctx context.Context) error {
	r.mu.Lock()
	if !r.left {
		r.left = true
		close(r.leave)
	}
	r.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the registration without a word to the registrar, where the binding
// runs out by itself, and waits for its goroutine.
func (r *Registration) Close() {
	r.cancel()
	<-r.done
}

// The keep-alive of a flow: RFC 5626 sections 4.4.1 (streams: "95 seconds and 120
// seconds") and 4.4.2 (datagrams: "24 and 29 seconds"), the latter only behind a
// NAT and with CRLFs, which every SIP server ignores.
const (
	keepStream, keepStreamSpread     = 95 * time.Second, 25 * time.Second
	keepDatagram, keepDatagramSpread = 24 * time.Second, 5 * time.Second
)

// run drives the machine. It ends when the machine does, by Close, or with the
// agent.
func (r *Registration) run(ctx context.Context) {
	defer close(r.done)
	defer r.finish()
	wake, keep := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer wake.Stop()
	defer keep.Stop()
	leave := r.leave
	r.act(ctx, r.machine.Start(time.Now()))
	for ctx.Err() == nil && r.machine.state != registerEnded {
		wake.Stop()
		if d := r.machine.Deadline(); !d.IsZero() {
			wake.Reset(time.Until(d))
		}
		keep.Stop()
		if d := r.keepAlive(); d > 0 {
			keep.Reset(d)
		}
		select {
		case <-ctx.Done():
		case <-wake.C:
			r.act(ctx, r.machine.Wake(time.Now()))
		case <-keep.C:
			if err := r.a.tr.Ping(r.flow); err != nil {
				r.flowLost(ctx, err)
			}
		case err := <-r.lost:
			if r.flow != nil && !r.a.tr.Open(r.flow) { // the word may be of an earlier one
				r.flowLost(ctx, err)
			}
		case answered := <-r.again:
			r.act(ctx, r.machine.Refresh(time.Now()))
			close(answered)
		case <-leave:
			leave = nil
			r.act(ctx, r.machine.Unregister(time.Now()))
		}
	}
}

// flowEnded is told of each connection that ended.
func (r *Registration) flowEnded(f transport.Flow, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flow == f {
		r.noteLost(err)
	}
}

func (r *Registration) noteLost(err error) {
	select {
	case r.lost <- err:
	default: // one word is enough
	}
}

// flowLost tells the machine that the binding is reached no more.
func (r *Registration) flowLost(ctx context.Context, err error) {
	r.hold(nil)
	r.act(ctx, r.machine.FlowLost(time.Now(), &TransportError{Target: r.acct.registrar().String(), Err: err}))
}

// finish is the end of run.
func (r *Registration) finish() {
	r.a.unregister(r)
	r.hold(nil)
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.last.Registered = false
	close(r.changed)
	r.changed = make(chan struct{})
}

// act carries out what the machine asks for, and what it asks for then.
func (r *Registration) act(ctx context.Context, out registerOutput) {
	for {
		if out.Event != nil {
			r.report(*out.Event)
		}
		if out.Send == nil || ctx.Err() != nil {
			return
		}
		answer := r.send(ctx, out.Send)
		if ctx.Err() != nil {
			return
		}
		out = r.machine.Answer(time.Now(), answer)
	}
}

func (r *Registration) report(ev RegistrationEvent) {
	r.mu.Lock()
	r.last = ev
	r.ended = r.machine.state == registerEnded
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	if r.on != nil {
		r.on(ev)
	}
}

// send is one REGISTER and what became of it.
func (r *Registration) send(ctx context.Context, want *registerRequest) registerAnswer {
	hop, flow, err := r.way(ctx)
	if err != nil {
		return registerAnswer{Err: err}
	}
	if r.machine.Locate(r.a.contact(flow, r.acct.AOR.User)) {
		want.Contact = r.machine.contact
	}
	d, _, err := r.a.draftOut(r.request(want))
	if err != nil {
		return registerAnswer{Err: err}
	}
	// "All registrations from a UAC SHOULD use the same Call-ID header field value";
	// "A UA MUST increment the CSeq value by one for each REGISTER request with the
	// same Call-ID." (RFC 3261 section 10.2)
	r.seq++
	d.callID, d.seq = r.callID, r.seq
	req := r.a.build(d)
	ex, err := r.a.roundTrip(ctx, &outbound{req: req, hop: hop, flow: flow, acct: &r.acct, renumber: func() uint32 {
		r.seq++
		return r.seq
	}})
	if ex.response == nil {
		return registerAnswer{Err: err}
	}
	r.hold(ex.flow)
	a := readRegistration(ex.response)
	a.Seen = r.a.contact(ex.flow, r.acct.AOR.User)
	if se, ok := errors.AsType[*StatusError](err); ok {
		se.From = r.acct.registrar().String()
		a.RetryAfter = se.RetryAfter
	}
	a.Err = err
	return a
}

// way is the next hop and the flow to it: the one in use, or a new one.
func (r *Registration) way(ctx context.Context) (hop URI, flow transport.Flow, err error) {
	_, hop = firstHop(&OutRequest{Account: &r.acct}, r.acct.registrar())
	targets, err := r.a.resolve(ctx, hop, nil)
	if err != nil {
		return hop, nil, err
	}
	for _, t := range targets {
		if flow, err = r.a.tr.Flow(ctx, t); err == nil {
			return hop, flow, nil
		}
	}
	return hop, nil, &TransportError{Target: hop.String(), Err: err}
}

// request writes what the machine wants. "The Request-URI names the domain of the
// location service for which the registration is meant ... The "userinfo" and "@"
// components of the SIP URI MUST NOT be present." (RFC 3261 section 10.2)
func (r *Registration) request(want *registerRequest) *OutRequest {
	uri := r.acct.registrar()
	uri.User, uri.Password, uri.Headers = "", "", ""
	me := Address{URI: r.acct.AOR}
	out := &OutRequest{Method: "REGISTER", URI: uri, To: me, From: me, Account: &r.acct}
	contact := func(u URI, expires time.Duration) {
		value := "<" + u.String() + ">;expires=" + strconv.FormatInt(int64(expires/time.Second), 10)
		out.Header = append(out.Header, NewHeader("Contact", value))
	}
	contact(want.Contact, want.Expires)
	for _, u := range want.Remove {
		contact(u, 0)
	}
	out.Header = append(out.Header, NewHeader("Expires", strconv.FormatInt(int64(want.Expires/time.Second), 10)))
	return out
}

// readRegistration reads the bindings and intervals of an answer.
func readRegistration(res *Response) registerAnswer {
	a := registerAnswer{Code: res.StatusCode, Expires: -1}
	if d, ok := deltaSeconds(headerText(res, "expires", "")); ok {
		a.Expires = d
	}
	a.MinExpires, _ = deltaSeconds(headerText(res, "min-expires", ""))
	for _, h := range res.GetHeaders("contact") {
		c, ok := h.(*sipmsg.ContactHeader)
		if !ok || c.Address.Wildcard {
			continue
		}
		b := registerBinding{URI: uriOf(&c.Address), Expires: -1}
		for _, p := range c.Params {
			if d, ok := deltaSeconds(p.V); ok && strings.EqualFold(p.K, "expires") {
				b.Expires = d
			}
		}
		a.Bindings = append(a.Bindings, b)
	}
	return a
}

func deltaSeconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		n, err = 1<<32-1, nil
	}
	return time.Duration(n) * time.Second, err == nil
}

// Server is the address that the registrar answered from last; the zero AddrPort
// before it did. Requests to the account come from there (RFC 5626 section 3.3).
func (r *Registration) Server() netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server
}

// Transport is "UDP", "TCP" or "TLS": how the registrar answered last; empty before it
// did. Requests to the account come that way.
func (r *Registration) Transport() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// hold keeps the idle time-out away from the flow that we are reached by.
func (r *Registration) hold(f transport.Flow) {
	if f == r.flow {
		return
	}
	if r.release != nil {
		r.release()
	}
	r.release = nil
	if f != nil {
		r.release = r.a.tr.Hold(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flow = f
	if f != nil {
		r.server, r.over = f.Remote(), f.Transport()
	}
	if f != nil && !r.a.tr.Open(f) {
		r.noteLost(net.ErrClosed) // before we could be told
	}
}

// keepAlive is the time to the next keep-alive; 0: none is needed.
func (r *Registration) keepAlive() time.Duration {
	switch {
	case r.machine.state != registerRegistered || r.flow == nil:
		return 0
	case r.flow.Reliable():
		return keepStream + rand.N(keepStreamSpread)
	case r.behindNAT():
		return keepDatagram + rand.N(keepDatagramSpread)
	}
	return 0
}

// behindNAT says that the registrar sees another address than ours.
func (r *Registration) behindNAT() bool {
	at := r.a.tr.SentBy(r.flow)
	seen := r.machine.contact
	return seen.Host != hostText(at.Addr()) || seen.Port != at.Port()
}
