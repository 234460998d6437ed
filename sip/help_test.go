package sip

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

func TestMain(m *testing.M) {
	netsim.WarmResolver()
	os.Exit(m.Run())
}

// ladder records what two agents send each other, with times, as a ladder
// diagram would show it.
type ladder struct {
	start time.Time

	mu    sync.Mutex
	lines []string
}

func (l *ladder) trace(who string) func(Trace) {
	return func(tr Trace) {
		if !tr.Sent {
			return
		}
		first, _, _ := strings.Cut(tr.Start, " ")
		if method := methodOf(tr); method != first {
			first += " " + method // a response
		}
		l.note("%s: %s", who, first)
	}
}

func methodOf(tr Trace) string {
	_, method, _ := strings.Cut(tr.CSeq, " ")
	return method
}

func (l *ladder) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(fmt.Sprintf("%v ", time.Since(l.start))+fmt.Sprintf(format, args...)))
}

// wants compares the whole ladder so far.
func (l *ladder) wants(t *testing.T, rule string, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.lines, "\n"); got != strings.Join(want, "\n") {
		t.Fatalf("%s\n--- got\n%s\n--- want\n%s", rule, got, strings.Join(want, "\n"))
	}
}

// count is how often a line with this text was written.
func (l *ladder) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// pair is alice and bob, each an agent on a host of its own, 10 ms apart.
type pair struct {
	t          *testing.T
	sim        *netsim.Sim
	aliceHost  *netsim.Host
	bobHost    *netsim.Host
	alice, bob *Agent
	invites    chan *IncomingInvite
	ladder     *ladder
}

// bubble runs a test with a pair in virtual time. change may alter the
// configurations.
func bubble(t *testing.T, change func(alice, bob *Config), f func(p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pair{t: t, sim: netsim.New(1), invites: make(chan *IncomingInvite, 100), ladder: &ladder{start: time.Now()}}
		defer p.sim.Close()
		link := netsim.Link{Delay: 5 * time.Millisecond}
		p.aliceHost, p.bobHost = p.sim.NewHost("192.0.2.1", nil), p.sim.NewHost("192.0.2.2", nil)
		p.aliceHost.SetLink(link, link)
		p.bobHost.SetLink(netsim.Link{}, netsim.Link{})
		ac := &Config{Network: p.aliceHost, Listen: []string{"udp://:5060", "tcp://:5060"}, Trace: p.ladder.trace("alice")}
		bc := &Config{
			Network: p.bobHost, Listen: []string{"udp://:5060", "tcp://:5060"}, Trace: p.ladder.trace("bob"),
			OnInvite: func(in *IncomingInvite) { p.invites <- in },
		}
		if change != nil {
			change(ac, bc)
		}
		p.alice = p.listen(ac)
		defer p.alice.Close()
		p.bob = p.listen(bc)
		defer p.bob.Close()
		f(p)
	})
}

func (p *pair) listen(cfg *Config) *Agent {
	p.t.Helper()
	a, err := Listen(p.t.Context(), cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

const offer, agreed = "v=0\r\no=offer\r\n", "v=0\r\no=answer\r\n"

// call begins a call from alice to bob.
func (p *pair) call(target string) *outgoingCall {
	p.t.Helper()
	uri, err := ParseURI(target)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &outgoingCall{p: p, events: make(chan InviteEvent, 1000)}
	c.out, err = p.alice.Invite(&OutRequest{
		URI: uri, From: Address{Name: "Alice", URI: URI{Scheme: "sip", User: "alice", Host: "a.example"}}, ContentType: "application/sdp", Body: []byte(offer),
	}, func(ev InviteEvent) { c.events <- ev })
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

type outgoingCall struct {
	p      *pair
	out    *OutgoingInvite
	events chan InviteEvent
}

// next waits for an event other than 100.
func (c *outgoingCall) next() InviteEvent {
	c.p.t.Helper()
	for {
		select {
		case ev := <-c.events:
			if pr, ok := ev.(Progress); ok && pr.Response.StatusCode == 100 {
				continue
			}
			return ev
		case <-time.After(5 * time.Minute):
			c.p.t.Fatal("no event for the INVITE within 5 minutes")
		}
	}
}

func (c *outgoingCall) rings(code int) *Dialog {
	c.p.t.Helper()
	ev := c.next()
	pr, ok := ev.(Progress)
	if !ok || pr.Response.StatusCode != code {
		c.p.t.Fatalf("got %T %+v, want progress %d", ev, ev, code)
	}
	return pr.Dialog
}

func (c *outgoingCall) answered() *Dialog {
	c.p.t.Helper()
	ev := c.next()
	an, ok := ev.(Answered)
	if !ok {
		c.p.t.Fatalf("got %T %+v, want an answer", ev, ev)
	}
	return an.Dialog
}

func (c *outgoingCall) failed() error {
	c.p.t.Helper()
	ev := c.next()
	f, ok := ev.(Failed)
	if !ok {
		c.p.t.Fatalf("got %T %+v, want a failure", ev, ev)
	}
	return f.Err
}

// incoming waits for bob's next call.
func (p *pair) incoming() *IncomingInvite {
	p.t.Helper()
	select {
	case in := <-p.invites:
		return in
	case <-time.After(time.Minute):
		p.t.Fatal("no call came within a minute")
		return nil
	}
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// watch collects the events of a dialog.
func watch(d *Dialog) chan DialogEvent {
	ch := make(chan DialogEvent, 100)
	d.Handle(func(ev DialogEvent) { ch <- ev })
	return ch
}

// watchInvite collects the events of an INVITE.
func watchInvite(in *IncomingInvite) chan IncomingEvent {
	ch := make(chan IncomingEvent, 100)
	in.Handle(func(ev IncomingEvent) { ch <- ev })
	return ch
}

// up makes an answered call.
func (p *pair) up() (alice, bob *Dialog) {
	p.t.Helper()
	c := p.call("sip:bob@192.0.2.2")
	in := p.incoming()
	p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
	d := c.answered()
	p.must(d.Ack("", nil))
	synctest.Wait()
	return d, in.Dialog
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
