package sip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/netsim"
)

// rawPeer is the other side written by hand: it sends text and reads messages.
type rawPeer struct {
	t    *testing.T
	conn net.PacketConn
	to   netip.AddrPort // where send goes; set by the first message read
	seq  int
}

func newRawPeer(t *testing.T, host *netsim.Host, to string) *rawPeer {
	t.Helper()
	conn, err := host.ListenPacket(t.Context(), "udp", ":5070")
	if err != nil {
		t.Fatal(err)
	}
	r := &rawPeer{t: t, conn: conn}
	if to != "" {
		r.to = netip.MustParseAddrPort(to)
	}
	return r
}

func (r *rawPeer) close() { _ = r.conn.Close() }

// send writes a message given with line breaks only.
func (r *rawPeer) send(text string) {
	r.t.Helper()
	head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	head = fmt.Sprintf("%s\nContent-Length: %d\n", head, len(body))
	if _, err := r.conn.WriteTo([]byte(strings.ReplaceAll(head, "\n", "\r\n")+"\r\n"+body), net.UDPAddrFromAddrPort(r.to)); err != nil {
		r.t.Fatal(err)
	}
}

// read waits for the next message.
func (r *rawPeer) read(within time.Duration) sipmsg.Message {
	r.t.Helper()
	buf := make([]byte, 65536)
	if err := r.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		r.t.Fatal(err)
	}
	n, from, err := r.conn.ReadFrom(buf)
	if err != nil {
		return nil
	}
	r.to = from.(*net.UDPAddr).AddrPort()
	m, err := sipmsg.NewParser().ParseSIP(buf[:n])
	if err != nil {
		r.t.Fatalf("cannot read %q: %v", buf[:n], err)
	}
	return m
}

// wants reads a message that begins so: "INVITE", "BYE", "200".
func (r *rawPeer) wants(start string) sipmsg.Message {
	r.t.Helper()
	m := r.read(40 * time.Second)
	if got := startOf(m); got != start {
		r.t.Fatalf("got %s, want %s\n%v", got, start, m)
	}
	return m
}

// silent says that nothing comes for a while.
func (r *rawPeer) silent(d time.Duration, why string) {
	r.t.Helper()
	if m := r.read(d); m != nil {
		r.t.Fatalf("got %s, want nothing: %s", m, why)
	}
}

func startOf(m sipmsg.Message) string {
	switch m := m.(type) {
	case *Request:
		return string(m.Method)
	case *Response:
		return fmt.Sprint(m.StatusCode)
	}
	return "nothing"
}

// answer replies to a request as a UAS with a tag.
func (r *rawPeer) answer(req sipmsg.Message, status, tag, extra string) {
	r.t.Helper()
	to := req.To().Value()
	if tag != "" && !strings.Contains(to, "tag=") {
		to += ";tag=" + tag
	}
	r.send(strings.TrimSpace(fmt.Sprintf("SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\n%s",
		status, req.Via().Value(), req.From().Value(), to, req.CallID().Value(), req.CSeq().Value(), extra)))
}

// request sends a request of alice's to bob outside or inside a dialog.
func (r *rawPeer) request(method, callID, toParams string, seq int, extra string) (branch string) {
	r.t.Helper()
	r.seq++
	branch = fmt.Sprintf("z9hG4bKraw%d", r.seq)
	r.requestWith(branch, method, callID, toParams, seq, extra)
	return branch
}

func (r *rawPeer) requestWith(branch, method, callID, toParams string, seq int, extra string) {
	r.t.Helper()
	if !strings.Contains(extra, "Max-Forwards") {
		extra = "Max-Forwards: 70\n" + extra
	}
	r.send(strings.TrimSpace(fmt.Sprintf(`%s sip:bob@192.0.2.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5070;branch=%s;rport
From: <sip:raw@192.0.2.9>;tag=raw
To: <sip:bob@192.0.2.2>%s
Call-ID: %s
CSeq: %d %s
Contact: <sip:raw@192.0.2.9:5070>
%s`, method, branch, toParams, callID, seq, method, extra)))
}
