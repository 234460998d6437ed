package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/sip"
)

// Endpoint is one party that calls and is called: its signalling, its identities
// and its calls. All methods are safe for concurrent use.
type Endpoint struct {
	cfg   *config
	agent *sip.Agent
	clock *media.Clock
	cert  tls.Certificate
	// stop ends what calls and registrations still wait for when Close is called.
	life context.Context //nolint:containedctx // the parent of every call's context
	stop context.CancelCauseFunc

	mu     sync.Mutex // guards what follows
	calls  map[*Call]struct{}
	closed bool // no new calls
	regs   []*sip.Registration
	idle   chan struct{}
	stats  Stats
}

// Stats counts the calls of an endpoint.
type Stats struct {
	Calls    int    // going on now
	Outgoing uint64 // since Listen
	Incoming uint64
	Answered uint64
	Refused  uint64 // incoming, before the handler saw them
	SIP      sip.Stats
}

// Listen binds the signalling and begins to register. It returns once bound: an
// error says that the Config makes no sense or that an address cannot be had. ctx
// bounds Listen only. A nil Config is the zero Config.
func Listen(ctx context.Context, cfg *Config) (*Endpoint, error) {
	c, err := complete(cfg)
	if err != nil {
		return nil, err
	}
	ep := &Endpoint{cfg: c, calls: map[*Call]struct{}{}}
	if ep.cert, err = media.NewCertificate(); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	ep.life, ep.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	ready := make(chan struct{}) // an INVITE may come before Listen knows its own agent
	sc := &sip.Config{
		Listen: c.Listen, TLS: c.TLS, UserAgent: c.UserAgent, Log: c.Log, Trace: c.Trace, Accept: ep.accept,
		OnInvite: func(in *sip.IncomingInvite) { <-ready; ep.incoming(in) },
	}
	if c.Network != nil {
		sc.Network = c.Network
	}
	ep.agent, err = sip.Listen(ctx, sc)
	if err != nil {
		ep.stop(errEndpointClosed)
		return nil, fmt.Errorf("session: %w", err)
	}
	ep.clock = media.NewClock(0)
	close(ready)
	for _, a := range c.register {
		r, err := ep.agent.Register(a, ep.registration(a))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("session: register %s: %w", a.AOR.String(), err), ep.Close())
		}
		ep.mu.Lock()
		ep.regs = append(ep.regs, r)
		ep.mu.Unlock()
	}
	return ep, nil
}

func (ep *Endpoint) registration(a *sip.Account) func(sip.RegistrationEvent) {
	return func(ev sip.RegistrationEvent) {
		if ev.Registered {
			ep.cfg.Log.Info("registered", "identity", a.AOR.String(), "contact", ev.Contact.String(), "expires", ev.Expires)
			return
		}
		ep.cfg.Log.Warn("not registered", "identity", a.AOR.String(), "err", ev.Err, "retry", ev.Retry)
	}
}

// Registered waits until the registrar has accepted every identity that
// registers. Its error is the registrar's refusal (*sip.StatusError, such as 403)
// or the end of ctx; a registrar that does not answer is asked again until then.
// An endpoint without a registrar is registered at once.
func (ep *Endpoint) Registered(ctx context.Context) error {
	for _, r := range ep.registrations() {
		if err := r.Registered(ctx); err != nil {
			return fmt.Errorf("session: register: %w", err)
		}
	}
	return nil
}

func (ep *Endpoint) registrations() []*sip.Registration {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	return slices.Clone(ep.regs)
}

// Addrs are the addresses of the signalling.
func (ep *Endpoint) Addrs() []netip.AddrPort { return ep.agent.Addrs() }

// Addr is the address of the signalling on a transport, "udp" or "tcp".
func (ep *Endpoint) Addr(transport string) (netip.AddrPort, bool) { return ep.agent.Addr(transport) }

// Stats counts the calls so far.
func (ep *Endpoint) Stats() Stats {
	ep.mu.Lock()
	s := ep.stats
	s.Calls = len(ep.calls)
	ep.mu.Unlock()
	s.SIP = ep.agent.Stats()
	return s
}

// Close ends the endpoint at once: calls are hung up, which waits for the peers'
// answers for 200 ms at most, and the binding at the registrar is left to expire. It returns
// when every goroutine and socket of the endpoint is gone; handlers are told by
// their context and not waited for.
func (ep *Endpoint) Close() error {
	calls := ep.refuse()
	ep.stop(errEndpointClosed)
	for _, c := range calls {
		c.shutdown()
	}
	for _, c := range calls {
		<-c.released
	}
	for _, r := range ep.registrations() {
		r.Close()
	}
	err := ep.agent.Close()
	ep.clock.Close()
	return err
}

// Shutdown takes no new calls, waits until those that go on have ended,
// unregisters and closes. When ctx ends first the remaining calls are hung up,
// and ctx's error is returned.
func (ep *Endpoint) Shutdown(ctx context.Context) error {
	ep.refuse()
	err := ep.wait(ctx)
	for _, r := range ep.registrations() {
		err = errors.Join(err, r.Unregister(ctx))
	}
	return errors.Join(err, ep.Close())
}

// refuse stops new calls and returns those that go on.
func (ep *Endpoint) refuse() []*Call {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.closed = true
	calls := make([]*Call, 0, len(ep.calls))
	for c := range ep.calls {
		calls = append(calls, c)
	}
	return calls
}

func (ep *Endpoint) wait(ctx context.Context) error {
	ep.mu.Lock()
	if ep.idle == nil {
		ep.idle = make(chan struct{})
		if len(ep.calls) == 0 {
			close(ep.idle)
		}
	}
	idle := ep.idle
	ep.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("session: shutdown: calls still going on: %w", context.Cause(ctx))
	}
}

var errTooManyCalls = errors.New("session: Config.MaxCalls calls are going on already")

// add counts a call in, unless the endpoint is closed or full.
func (ep *Endpoint) add(c *Call) error {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	switch {
	case ep.closed:
		return errEndpointClosed
	case ep.cfg.MaxCalls > 0 && len(ep.calls) >= ep.cfg.MaxCalls:
		return errTooManyCalls
	}
	ep.calls[c] = struct{}{}
	if c.outgoing {
		ep.stats.Outgoing++
	} else {
		ep.stats.Incoming++
	}
	return nil
}

func (ep *Endpoint) remove(c *Call) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	delete(ep.calls, c)
	if ep.closed && len(ep.calls) == 0 && ep.idle != nil {
		close(ep.idle)
	}
}

func (ep *Endpoint) count(f func(*Stats)) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	f(&ep.stats)
}

// iceConfig is how every call gathers.
func (ep *Endpoint) iceConfig() *ice.Config {
	c := &ice.Config{Addrs: ep.cfg.addrs, Servers: ep.cfg.Servers, RelayOnly: ep.cfg.RelayOnly, RTCP: true, Log: ep.cfg.Log}
	if ep.cfg.Network != nil {
		c.Network = ep.cfg.Network
	}
	return c
}
