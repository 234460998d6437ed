package registrar_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/digest"
)

// raw is a peer that says whatever the test wants, by UDP.
type raw struct {
	t     *testing.T
	conn  net.PacketConn
	to    net.Addr
	at    string // its address
	count int
}

func (w *world) raw() *raw {
	w.t.Helper()
	w.hosts++
	at := fmt.Sprintf("10.0.0.%d", w.hosts)
	conn, err := w.sim.NewHost(at, nil).ListenPacket(w.t.Context(), "udp", at+":5060")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return &raw{t: w.t, conn: conn, to: net.UDPAddrFromAddrPort(w.srv.Addr("udp")), at: at + ":5060"}
}

// request completes a request from "METHOD uri" and header lines; From, To, Via,
// Call-ID and CSeq are added unless given.
func (r *raw) request(start string, lines ...string) string {
	r.count++
	method, _, _ := strings.Cut(start, " ")
	text := start + " SIP/2.0\r\n"
	have := strings.ToLower("\n" + strings.Join(lines, "\n"))
	for _, l := range []string{
		"Via: SIP/2.0/UDP " + r.at + fmt.Sprintf(";rport;branch=z9hG4bK%d", r.count),
		"From: <sip:alice@example.org>;tag=from", "To: <sip:bob@example.org>", "Call-ID: raw",
		fmt.Sprintf("CSeq: %d %s", r.count, method),
	} {
		if name, _, _ := strings.Cut(l, ":"); !strings.Contains(have, "\n"+strings.ToLower(name)+":") || name == "Via" {
			text += l + "\r\n"
		}
	}
	for _, l := range lines {
		text += l + "\r\n"
	}
	return text + "Content-Length: 0\r\n\r\n"
}

func (r *raw) send(text string) {
	r.t.Helper()
	if _, err := r.conn.WriteTo([]byte(text), r.to); err != nil {
		r.t.Fatal(err)
	}
}

// receive is the next message, nil when none comes within 5 s.
func (r *raw) receive() sipmsg.Message {
	r.t.Helper()
	var buf [65536]byte
	_ = r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _, err := r.conn.ReadFrom(buf[:])
	if err != nil {
		return nil
	}
	msg, err := sipmsg.ParseMessage(buf[:n])
	if err != nil {
		r.t.Fatalf("%v in %q", err, buf[:n])
	}
	return msg
}

// final is the next final response; 0 in StatusCode when none comes.
func (r *raw) final() *sipmsg.Response {
	r.t.Helper()
	for {
		switch m := r.receive().(type) {
		case *sipmsg.Response:
			if m.StatusCode >= 200 {
				return m
			}
		case nil:
			return sipmsg.NewResponse(0, "nothing")
		}
	}
}

// ask sends a request and wants this final response.
func (r *raw) ask(code int, start string, lines ...string) *sipmsg.Response {
	r.t.Helper()
	r.send(r.request(start, lines...))
	res := r.final()
	if res.StatusCode != code {
		r.t.Errorf("%s: %d %s, want %d", start, res.StatusCode, res.Reason, code)
	}
	if method, _, _ := strings.Cut(start, " "); method == "INVITE" && res.StatusCode >= 300 {
		r.acknowledge(res)
	}
	return res
}

func (r *raw) acknowledge(res *sipmsg.Response) {
	branch, _ := res.Via().Params.Get("branch")
	r.send(fmt.Sprintf("ACK sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d ACK\r\nContent-Length: 0\r\n\r\n",
		r.at, branch, res.From().Value(), res.To().Value(), res.CallID().Value(), res.CSeq().SeqNo))
}

// credentials answers the challenge of res as user.
func (r *raw) credentials(res *sipmsg.Response, user, start string, nc uint32) string {
	r.t.Helper()
	asks, field := "www-authenticate", "Authorization"
	if res.StatusCode == 407 {
		asks, field = "proxy-authenticate", "Proxy-Authorization"
	}
	h := res.GetHeader(asks)
	if h == nil {
		r.t.Fatalf("no %s in %s", asks, res.StartLine())
	}
	ch, err := digest.ParseChallenge(h.Value())
	if err != nil {
		r.t.Fatal(err)
	}
	method, uri, _ := strings.Cut(start, " ")
	c, err := digest.Answer(ch, user, users[user], method, uri, "cafe", nc)
	if err != nil {
		r.t.Fatal(err)
	}
	return field + ": " + c.String()
}

// login asks with the password of user and wants this final response.
func (r *raw) login(user string, code int, start string, lines ...string) (*sipmsg.Response, string) {
	r.t.Helper()
	first := 401
	if !strings.HasPrefix(start, "REGISTER") {
		first = 407
	}
	challenge := r.ask(first, start, lines...)
	cred := r.credentials(challenge, user, start, 1)
	return r.ask(code, start, append(lines, cred)...), cred
}

// lockedBuilder collects a log.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
