package transaction

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// wire is one end of a fake network: what is written on it goes to the other end's
// layer after the delay, unless lose says so. It is a transport.Flow.
type wire struct {
	reliable bool
	delay    time.Duration
	lose     func() bool
	peer     *Layer
	back     *wire

	mu    sync.Mutex
	fails error
	sent  []sent
	start time.Time
}

type sent struct {
	at  time.Duration
	raw string
}

func (w *wire) Transport() string {
	if w.reliable {
		return "TCP"
	}
	return "UDP"
}
func (w *wire) Reliable() bool         { return w.reliable }
func (w *wire) Local() netip.AddrPort  { return netip.MustParseAddrPort("192.0.2.1:5060") }
func (w *wire) Remote() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.2:5060") }
func (w *wire) Close() error           { return nil }

func (w *wire) Write(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sent{time.Since(w.start), string(p)})
	if w.fails != nil {
		return w.fails
	}
	if w.peer == nil || w.lose != nil && w.lose() {
		return nil
	}
	raw := bytes.Clone(p)
	time.AfterFunc(w.delay, func() { w.peer.Receive(inbound(raw, w.back)) })
	return nil
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = err
}

// times lists when what begins with prefix was sent, in milliseconds.
func (w *wire) times(prefix string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, s := range w.sent {
		if strings.HasPrefix(s.raw, prefix) {
			out = append(out, fmt.Sprint(s.at.Milliseconds()))
		}
	}
	return strings.Join(out, " ")
}

func (w *wire) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[len(w.sent)-1].raw
}

func inbound(raw []byte, flow transport.Flow) transport.Inbound {
	msg, err := sipmsg.NewParser().ParseSIP(raw)
	if err != nil {
		panic(fmt.Sprintf("the test sent %q: %v", raw, err))
	}
	return transport.Inbound{Msg: msg, Flow: flow, Source: netip.MustParseAddrPort("192.0.2.1:5060")}
}

// pair is two layers on one wire, a client and a server.
type pair struct {
	*testing.T
	client, server *Layer
	out, back      *wire

	mu       sync.Mutex
	requests []string // what the server's user got
	txs      []*Server
	strays   int
}

func newPair(t *testing.T, reliable bool) *pair {
	p := &pair{T: t}
	p.client = New(Config{
		Request: func(transport.Inbound, *Server) {},
		Stray:   func(transport.Inbound) { p.mu.Lock(); p.strays++; p.mu.Unlock() },
	})
	p.server = New(Config{Request: func(in transport.Inbound, tx *Server) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.requests = append(p.requests, string(in.Msg.(*sipmsg.Request).Method))
		if tx != nil {
			p.txs = append(p.txs, tx)
		}
	}})
	now := time.Now()
	p.out = &wire{reliable: reliable, start: now, peer: p.server}
	p.back = &wire{reliable: reliable, start: now, peer: p.client, back: p.out}
	p.out.back = p.back
	t.Cleanup(func() {
		_ = p.client.Close()
		_ = p.server.Close()
	})
	return p
}

func (p *pair) got() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.requests, " ")
}

// events collects what a client is told.
type events struct {
	mu    sync.Mutex
	start time.Time
	list  []string
}

func (e *events) on(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := time.Since(e.start).Milliseconds()
	if ev.Err != nil {
		e.list = append(e.list, fmt.Sprintf("%d %v", at, ev.Err))
		return
	}
	e.list = append(e.list, fmt.Sprintf("%d %d", at, ev.Response.StatusCode))
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.list, ", ")
}

func newRequest(method sipmsg.RequestMethod, branch string) *sipmsg.Request {
	raw := fmt.Sprintf("%s sip:bob@192.0.2.2 SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=%s;rport\r\n"+
		"Route: <sip:192.0.2.2;lr>\r\nRoute: <sip:192.0.2.3;lr>\r\n"+
		"Max-Forwards: 69\r\n"+
		"From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\n"+
		"Call-ID: c@192.0.2.1\r\nCSeq: 4711 %s\r\nTimestamp: 54\r\n"+
		"Contact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n", method, branch, method)
	return inbound([]byte(raw), nil).Msg.(*sipmsg.Request)
}

const branch = cookie + "abc"

func (p *pair) send(method sipmsg.RequestMethod, branch string) (*Client, *events) {
	p.Helper()
	e := &events{start: time.Now()}
	c, err := p.client.Client(newRequest(method, branch), p.out, e.on)
	if err != nil {
		p.Fatal(err)
	}
	return c, e
}

// tx is the n-th transaction of the server, once it is there.
func (p *pair) tx(n int) *Server {
	p.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n >= len(p.txs) {
		p.Fatalf("no transaction %d at the server", n)
	}
	return p.txs[n]
}

func respond(t *testing.T, tx *Server, req *sipmsg.Request, code int) error {
	t.Helper()
	res := sipmsg.NewResponseFromRequest(req, code, "Reason", nil)
	if to := res.To(); code > 100 {
		to.Params.Add("tag", "b")
	}
	err := tx.Respond(res)
	synctest.Wait()
	return err
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func idleNow(t *testing.T, l *Layer) {
	t.Helper()
	s := l.Stats()
	if s.Clients != 0 || s.Servers != 0 {
		t.Errorf("still alive: %d clients, %d servers", s.Clients, s.Servers)
	}
	for i := range l.shards {
		l.shards[i].mu.Lock()
		if n := len(l.shards[i].txs); n != 0 {
			t.Errorf("%d records in shard %d", n, i)
		}
		if l.shards[i].wheel.nextTick() != never {
			t.Error("the timer goroutine has something to wait for")
		}
		l.shards[i].mu.Unlock()
	}
}
