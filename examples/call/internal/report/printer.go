// Package report measures the calls of examples/call and tells what happened:
// the ladder of SIP messages, the path and its protection, the progress of the
// sound, and the figures at the end.
package report

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

// Printer writes lines for people, each with the time since New. It is safe for
// concurrent use.
type Printer struct {
	mu    sync.Mutex // guards w and names
	w     io.Writer
	began time.Time
	names map[netip.AddrPort]string
}

// New writes to w.
func New(w io.Writer) *Printer {
	return &Printer{w: w, began: time.Now(), names: map[netip.AddrPort]string{}}
}

// Printf writes one line.
func (p *Printer) Printf(format string, args ...any) {
	p.line(time.Now(), fmt.Sprintf(format, args...))
}

func (p *Printer) line(at time.Time, s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%9.1f ms  %s\n", float64(at.Sub(p.began).Microseconds())/1000, s)
}

// Write lets a logger print, a line a call.
func (p *Printer) Write(b []byte) (int, error) {
	p.Printf("%s", strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// Name says who sits at an address of the ladder.
func (p *Printer) Name(a netip.AddrPort, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names[a] = name
}

func (p *Printer) who(a netip.AddrPort) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.names[a]; ok {
		return n
	}
	return a.String()
}

// Trace prints the SIP messages that pass at self as the rungs of a ladder.
func (p *Printer) Trace(self string) func(sip.Trace) {
	return func(t sip.Trace) {
		arrow, peer := "◀──", p.who(t.Remote)
		if t.Sent {
			arrow = "──▶"
		}
		what := t.Start
		if !isRequest(t.Start) {
			what += " (" + t.CSeq + ")"
		}
		p.line(t.Time, fmt.Sprintf("%9s %s %-15s %-3s %5d B  %s", self, arrow, peer, t.Transport, t.Size, what))
	}
}

// Learn is a trace that prints nothing: it names whatever who sends from, such as
// the port of a connection that was made.
func (p *Printer) Learn(who string) func(sip.Trace) {
	return func(t sip.Trace) { p.Name(t.Local, who) }
}

// isRequest reports whether a start line is a request's: a response's begins with its status.
func isRequest(start string) bool { return start == "" || start[0] < '0' || start[0] > '9' }

// Follow prints the events of a call until it ends.
func (p *Printer) Follow(ctx context.Context, who string, call *session.Call) {
	for ev := range call.Events(context.WithoutCancel(ctx)) {
		switch ev := ev.(type) {
		case session.Ringing:
			p.Printf("%s: %d %s", who, ev.Code, ev.Reason)
		case session.Retrying:
			p.Printf("%s: refused with %d; trying %s, which is weaker", who, ev.Code, ev.Profile)
		case session.EarlyMedia:
			p.Printf("%s: sound before the answer", who)
		case session.Answered:
			p.Printf("%s: answered", who)
		case session.PathReady:
			p.Printf("%s: path %v ⇄ %v%s", who, ev.Local.Addr, ev.Remote.Addr, through(ev))
			p.Printf("%s: %s, codec %s", who, protection(ev.Security), call.Stats().Stream.Codec.Name)
		case session.DTMF:
			p.Printf("%s: key %c for %v", who, ev.Digit, ev.Duration)
		case session.Ended:
			p.Printf("%s: ended: %v", who, ev.Err.Cause)
		}
	}
}

func through(ev session.PathReady) string {
	kind := fmt.Sprintf(" (%v to %v)", ev.Local.Type, ev.Remote.Type)
	if ev.Relayed {
		return kind + " through a relay"
	}
	return kind
}

func protection(s session.Security) string {
	if !s.Encrypted() {
		return "NOT ENCRYPTED: plain RTP"
	}
	return s.Profile + " with " + s.Suite
}

// Progress prints a line a second while the sound runs, until the function it
// returns is called. A nil Printer prints nothing.
func (p *Printer) Progress(ctx context.Context, call *session.Call) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				all := call.Stats()
				s := all.Stream
				p.Printf("sound: %d packets sent, %d received, %d lost, jitter %v, round trip %v",
					s.PacketsSent, s.PacketsReceived, s.Lost, s.Jitter.Round(10*time.Microsecond), roundTrip(all).Round(10*time.Microsecond))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}
