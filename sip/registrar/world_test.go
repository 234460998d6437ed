package registrar_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/internal/testca"
	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

const (
	domain    = "example.org"
	serverIP  = "10.0.0.1"
	offer     = "v=0 offer"
	answerSDP = "v=0 answer"
)

var users = map[string]string{"alice": "a-secret", "bob": "b-secret", "carol": "c-secret"}

// world is a registrar and who talks to it, on a simulated network within a
// bubble.
type world struct {
	t     *testing.T
	sim   *netsim.Sim
	srv   *registrar.Server
	nat   *netsim.NAT // in front of the phones that are made while it is set
	hosts int
	ca    *testca.CA // set: the phones trust it

	mu    sync.Mutex
	trace []string // what the registrar sent and received
}

func newWorld(t *testing.T, change func(*registrar.Config)) *world {
	t.Helper()
	w := &world{t: t, sim: netsim.New(1), hosts: 1}
	host := w.sim.NewHost(serverIP, nil)
	w.sim.AddName(domain, serverIP)
	cfg := &registrar.Config{
		Network: host, Listen: []string{"udp://" + serverIP + ":5060", "tcp://" + serverIP + ":5060"}, Domain: domain, Users: users,
		Trace: func(tr sip.Trace) {
			way := "<- "
			if tr.Sent {
				way = "-> "
			}
			w.mu.Lock()
			w.trace = append(w.trace, way+tr.Start)
			w.mu.Unlock()
		},
	}
	if change != nil {
		change(cfg)
	}
	srv, err := registrar.Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.srv = srv
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close the registrar: %v", err)
		}
		w.sim.Close()
	})
	return w
}

// count is how many lines of the trace begin so.
func (w *world) count(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.trace {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// phone is a user agent with an account.
type phone struct {
	w      *world
	host   *netsim.Host
	agent  *sip.Agent
	acct   *sip.Account
	events chan sip.RegistrationEvent
	calls  chan *sip.IncomingInvite
}

// phone makes a user agent for name that prefers a transport.
func (w *world) phone(name, transport string) *phone {
	w.t.Helper()
	w.hosts++
	ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(w.hosts)}).String()
	p := &phone{w: w, host: w.sim.NewHost(ip, w.nat), events: make(chan sip.RegistrationEvent, 100), calls: make(chan *sip.IncomingInvite, 10)}
	var roots *tls.Config
	if w.ca != nil {
		roots = w.ca.Client()
	}
	var err error
	p.agent, err = sip.Listen(w.t.Context(), &sip.Config{
		TLS: roots, Network: p.host, Listen: []string{"udp://" + ip + ":5060", "tcp://" + ip + ":5060"},
		OnInvite: func(in *sip.IncomingInvite) { p.calls <- in },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := p.agent.Close(); err != nil {
			w.t.Errorf("close %s: %v", name, err)
		}
	})
	p.acct = &sip.Account{AOR: uri(w.t, "sip:"+name+"@"+domain), Password: users[name]}
	if transport != "udp" {
		p.acct.Registrar = uri(w.t, "sip:"+domain+";transport="+transport)
	}
	return p
}

func (p *phone) register() *sip.Registration {
	p.w.t.Helper()
	r, err := p.agent.Register(p.acct, func(ev sip.RegistrationEvent) { p.events <- ev })
	if err != nil {
		p.w.t.Fatal(err)
	}
	return r
}

// registered registers and waits for the registrar's word.
func (p *phone) registered() *sip.Registration {
	p.w.t.Helper()
	r := p.register()
	ctx, cancel := context.WithTimeout(p.w.t.Context(), time.Minute)
	defer cancel()
	if err := r.Registered(ctx); err != nil {
		p.w.t.Fatalf("%v is not registered: %v", p.acct.AOR, err)
	}
	return r
}

// outgoing is a call as its caller sees it.
type outgoing struct {
	*sip.OutgoingInvite
	t      *testing.T
	events chan sip.InviteEvent
}

func (p *phone) dials(to string) *outgoing {
	p.w.t.Helper()
	o := &outgoing{t: p.w.t, events: make(chan sip.InviteEvent, 100)}
	var err error
	o.OutgoingInvite, err = p.agent.Invite(&sip.OutRequest{
		URI: uri(p.w.t, to), Account: p.acct, ContentType: "application/sdp", Body: []byte(offer),
	}, func(ev sip.InviteEvent) { o.events <- ev })
	if err != nil {
		p.w.t.Fatal(err)
	}
	return o
}

// rings waits for a 180.
func (o *outgoing) rings() {
	o.t.Helper()
	for ev := range o.events {
		switch ev := ev.(type) {
		case sip.Progress:
			if ev.Response.StatusCode == 180 {
				return
			}
		default:
			o.t.Fatalf("got %#v, want 180", ev)
		}
	}
}

// answered waits for the 2xx.
func (o *outgoing) answered() *sip.Dialog {
	o.t.Helper()
	for ev := range o.events {
		switch ev := ev.(type) {
		case sip.Progress:
		case sip.Answered:
			return ev.Dialog
		case sip.Failed:
			o.t.Fatalf("the call failed: %v, want an answer", ev.Err)
		}
	}
	return nil
}

// fails waits for the end and wants this status.
func (o *outgoing) fails(code int) {
	o.t.Helper()
	for ev := range o.events {
		switch ev := ev.(type) {
		case sip.Progress:
		case sip.Answered:
			o.t.Fatalf("the call was answered, want %d", code)
		case sip.Failed:
			if se, ok := errors.AsType[*sip.StatusError](ev.Err); !ok || se.Code != code {
				o.t.Fatalf("the call failed with %v, want %d", ev.Err, code)
			}
			return
		}
	}
}

func uri(t testing.TB, s string) sip.URI {
	t.Helper()
	u, err := sip.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// incoming waits for a call.
func (p *phone) incoming() (*sip.IncomingInvite, chan sip.IncomingEvent) {
	p.w.t.Helper()
	select {
	case in := <-p.calls:
		events := make(chan sip.IncomingEvent, 10)
		in.Handle(func(ev sip.IncomingEvent) { events <- ev })
		return in, events
	case <-time.After(10 * time.Second):
		p.w.t.Fatalf("no call for %v; the registrar saw\n%s", p.acct.AOR, strings.Join(p.w.trace, "\n"))
		return nil, nil
	}
}

func (p *phone) respond(in *sip.IncomingInvite, code int, body string) {
	p.w.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/sdp"
	}
	if err := in.Respond(code, "", contentType, []byte(body)); err != nil {
		p.w.t.Errorf("respond %d: %v", code, err)
	}
}

// talk makes a whole call: ringing, answered, a request inside, hung up by the
// callee.
func talk(t *testing.T, from, to *phone) {
	t.Helper()
	call := from.dials(to.acct.AOR.String())
	in, events := to.incoming()
	if string(in.Request.Body()) != offer {
		t.Errorf("offer %q, want %q", in.Request.Body(), offer)
	}
	to.respond(in, 180, "")
	call.rings()
	ended := make(chan sip.DialogEvent, 10)
	in.Dialog.Handle(func(ev sip.DialogEvent) { answerInside(t, ev, ended) })
	to.respond(in, 200, answerSDP)
	d := call.answered()
	d.Handle(func(ev sip.DialogEvent) { answerInside(t, ev, ended) })
	if err := d.Ack("", nil); err != nil {
		t.Fatalf("ACK: %v", err)
	}
	switch ev := (<-events).(type) {
	case sip.Acked:
	default:
		t.Fatalf("the callee got %#v, want the ACK", ev)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := d.Do(ctx, "INFO", "text/plain", []byte("from the caller")); err != nil {
		t.Errorf("INFO to the callee: %v", err)
	}
	if _, err := in.Dialog.Do(ctx, "INFO", "text/plain", []byte("from the callee")); err != nil {
		t.Errorf("INFO to the caller: %v", err)
	}
	if err := in.Dialog.Bye(ctx); err != nil {
		t.Errorf("BYE: %v", err)
	}
	for range 2 {
		<-ended
	}
}

func answerInside(t *testing.T, ev sip.DialogEvent, ended chan sip.DialogEvent) {
	switch ev := ev.(type) {
	case sip.DialogRequest:
		if err := ev.Respond(200, "OK", "", nil); err != nil {
			t.Errorf("answer %s: %v", ev.Request.Method, err)
		}
	case sip.DialogEnded:
		ended <- ev
	default:
		t.Errorf("unexpected %#v", ev)
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }
