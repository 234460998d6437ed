package session

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// Call is one call between two people. It conducts: signalling is its
// sip.Dialog's work, the description of media its negotiation's, and media its
// leg's. One goroutine runs what sip reports and what the methods ask for; all
// methods are safe for concurrent use.
type Call struct {
	ep       *Endpoint
	outgoing bool
	audio    *media.Audio
	events   hub
	box      *mailbox
	pending  sync.WaitGroup // goroutines of this call, but for its own and the handler's

	up       chan struct{} // closed at the answer
	flowing  chan struct{} // closed when the media of the answered call is connected
	done     chan struct{} // closed at the end; err is set before
	released chan struct{} // closed when nothing of the call is left
	byeDone  chan struct{} // closed when the BYE was answered, or none is needed
	err      *EndError
	cancel   context.CancelCauseFunc // of the call's context

	current atomic.Pointer[leg] // the leg in use: set by the call's goroutine, read by anyone

	// What follows belongs to the call's goroutine.
	state      state
	security   Protection
	secure     bool // our own hop is TLS with a verified certificate
	gatherer   *ice.Gatherer
	local      ice.Description
	dialog     *sip.Dialog // confirmed
	dial       *dialing    // of an outgoing call
	in         *Incoming   // of an incoming one
	held       bool        // the peer is on hold, by us
	changing   *reoffer    // ours, on its way
	answering  bool        // an offer of the peer waits for our new addresses
	restarting bool        // a second agent looks for a new path
	revival    revival     // what is done about a silent path
	saidBye    bool        // byeDone is closed by the goroutine that waits for the answer to our BYE
	unbind     func() bool // releases the context that bounds the set-up
	timer      *time.Timer // watches the media
}

// state is how far a call has come.
//
//	new ──▶ ringing ──▶ answered ──▶ ended
//	  └────────┴──────────────────────▲
type state uint8

const (
	fresh state = iota
	ringing
	answered
	ended
)

func (s state) String() string {
	return [...]string{fresh: "new", ringing: "ringing", answered: "answered", ended: "ended"}[s]
}

func newCall(ep *Endpoint, outgoing bool) *Call {
	return &Call{
		ep: ep, outgoing: outgoing, audio: media.NewAudio(ep.cfg.Format), box: newMailbox(), security: ep.cfg.Security,
		up: make(chan struct{}), flowing: make(chan struct{}), done: make(chan struct{}), released: make(chan struct{}), byeDone: make(chan struct{}),
	}
}

// begin counts the call in and starts its goroutine. The call lives until its
// end, not until ctx ends; ctx gives its values only.
func (c *Call) begin(ctx context.Context) error {
	if err := c.ep.add(c); err != nil {
		return err
	}
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c.cancel = cancel
	go func() {
		defer close(c.released)
		defer c.ep.remove(c)
		c.box.run(life)
	}()
	return nil
}

// post queues f for the call's goroutine; false when the call is over.
func (c *Call) post(f func(context.Context)) bool { return c.box.post(f) }

// ask runs f on the call's goroutine, which never waits for the network, and
// returns its error, or why the call is over.
func (c *Call) ask(f func(context.Context) error) error {
	reply := make(chan error, 1)
	if !c.post(func(life context.Context) { reply <- f(life) }) {
		<-c.done
		return c.err
	}
	return <-reply
}

func (c *Call) log() *slog.Logger { return c.ep.cfg.Log }

// Audio is the sound of the call: what the peer says is read from it, what is
// written to it is heard there. It can be used before the answer: writing then
// waits, and early media is read. It keeps its Format through every re-INVITE.
func (c *Call) Audio() *media.Audio { return c.audio }

// Answered waits for the answer. Its error is why there was none, or the end of ctx;
// the call is not ended by that.
func (c *Call) Answered(ctx context.Context) error {
	select {
	case <-c.up:
		return nil
	default:
	}
	select {
	case <-c.up:
		return nil
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Wait waits for the end of the call. It returns nil when either side hung up,
// the *EndError when the call ended in another way, or the end of ctx, by which
// the call is not ended.
func (c *Call) Wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.err.normal() {
		return nil
	}
	return c.err
}

// Err is why the call ended, as an *EndError; nil while it goes on.
func (c *Call) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Events are the events of the call from now on, the current state first. The
// sequence ends with Ended or with ctx. It never holds up the call: a state that
// was not taken is replaced by its newer one, keys are kept up to 256. Use the
// sequence once.
func (c *Call) Events(ctx context.Context) iter.Seq[Event] { return c.events.events(ctx) }

// Hangup ends the call: BYE after the answer, CANCEL before it. It is always
// sent; ctx bounds the wait for the peer's answer to it.
func (c *Call) Hangup(ctx context.Context) error {
	c.post(func(context.Context) { c.hangUp(&EndError{Cause: c.ownCause()}) })
	select {
	case <-c.byeDone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("session: the peer has not confirmed the hang-up: %w", context.Cause(ctx))
	}
}

// Close hangs up without waiting. It always returns nil.
func (c *Call) Close() error {
	c.post(func(context.Context) { c.hangUp(&EndError{Cause: c.ownCause()}) })
	return nil
}

func (c *Call) ownCause() Cause {
	if c.state == answered {
		return HungUp
	}
	return Cancelled
}

// SendDTMF sends keys as telephone-events (RFC 4733): '0' to '9', '*', '#', 'A'
// to 'D', 100 ms each, and ',' for a pause of a second. It waits until media
// flows and returns when the last key was sent.
func (c *Call) SendDTMF(ctx context.Context, digits string) error {
	select {
	case <-c.flowing:
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("session: send DTMF: %w", context.Cause(ctx))
	}
	k := c.current.Load().ready()
	if k == nil {
		<-c.done // only the end takes the media away
		return c.err
	}
	return k.stream.SendDTMF(ctx, digits)
}

// Remote is the peer's address as its signalling states it: a claim.
func (c *Call) Remote() string {
	remote := make(chan string, 1)
	if !c.post(func(context.Context) { remote <- c.remote() }) {
		<-c.done
		return c.remote()
	}
	return <-remote
}

func (c *Call) remote() string {
	switch {
	case c.dialog != nil:
		return c.dialog.Remote().URI.String()
	case c.dial != nil:
		return c.dial.out.To.URI.String()
	case c.in != nil:
		return c.in.From()
	}
	return ""
}

// setAnswered lets Answered return.
func (c *Call) setAnswered() {
	close(c.up)
	c.ep.count(func(s *Stats) { s.Answered++ })
	c.events.publish(Answered{})
}

// use makes a leg the one that Stats, Security and SendDTMF speak of.
func (c *Call) use(l *leg) { c.current.Store(l) }

// newMachine makes the offer/answer state of a new dialog.
func (c *Call) newMachine(weakest negotiate.Profile) *negotiate.Machine {
	return newMachine(c.ep.cfg.codecs, weakest, c.secure)
}
