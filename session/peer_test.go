package session_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/media/g711"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

const (
	aliceIP = "203.0.113.20" // publicAlice
	phoneIP = "203.0.113.30"
	toAlice = "sip:alice@" + aliceIP
	toPhone = "sip:phone@" + phoneIP
)

// phone is an old telephone: plain RTP, PCMU, no ICE. It is made of a sip.Agent
// and one socket, and shares nothing else with session.
type phone struct {
	w     *world
	agent *sip.Agent
	ip    string
	rtp   net.PacketConn
	in    chan *sip.IncomingInvite

	protect, unprotect func([]byte) []byte // SRTP, if not nil

	mu  sync.Mutex // one tone at a time: guards what follows
	pt  uint8      // 0: PCMU, 8: PCMA
	seq uint16
}

func (w *world) phone() *phone {
	w.Helper()
	p := &phone{w: w, ip: phoneIP, in: make(chan *sip.IncomingInvite, 4)}
	host := w.host("phone", phoneIP, nil)
	var err error
	p.agent, err = sip.Listen(w.Context(), &sip.Config{
		Network: host, Listen: []string{"udp://" + phoneIP + ":5060", "tcp://" + phoneIP + ":5060"},
		OnInvite: func(in *sip.IncomingInvite) { p.in <- in },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = p.agent.Close() })
	p.rtp = w.socket(phoneIP)
	return p
}

// socket is port 4000 of a host, which is made unless it is the phone's.
func (w *world) socket(ip string) net.PacketConn {
	w.Helper()
	host := w.hosts["phone"]
	if ip != phoneIP {
		host = w.host(ip, ip, nil)
	}
	c, err := host.ListenPacket(w.Context(), "udp", ip+":4000")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	return c
}

// elsewhere is another host that sends as the phone does.
func (p *phone) elsewhere(ip string) *phone { return &phone{w: p.w, ip: ip, rtp: p.w.socket(ip)} }

// next is the next call; nil when the test ends first.
func (p *phone) next() *sip.IncomingInvite {
	select {
	case in := <-p.in:
		return in
	case <-p.w.Context().Done():
		return nil
	}
}

// plain is the second INVITE of a caller that allows plain RTP: the first, with
// DTLS-SRTP, is refused. Nil when the test ends first.
func (p *phone) plain() *sip.IncomingInvite {
	in := p.next()
	if in == nil {
		return nil
	}
	_ = in.Respond(488, "", "", nil)
	return p.next()
}

func (p *phone) sdp(extra ...string) []byte {
	lines := append([]string{
		"v=0", "o=- 1 1 IN IP4 " + p.ip, "s=-", "c=IN IP4 " + p.ip, "t=0 0", "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000",
	}, extra...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

const fingerprintOfNobody = "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"

// secure is the offer of a telephone with DTLS-SRTP, which never comes to use it.
func (p *phone) secure(extra ...string) []byte {
	sdp := p.sdp(append([]string{"a=setup:actpass", fingerprintOfNobody, "a=rtcp-mux"}, extra...)...)
	return edit(p.w.T, sdp, "RTP/AVP", "UDP/TLS/RTP/SAVPF")
}

// edit replaces words of an SDP, each of which must be there.
func edit(t *testing.T, sdp []byte, oldnew ...string) []byte {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !bytes.Contains(sdp, []byte(oldnew[i])) {
			t.Fatalf("%q is not in %s", oldnew[i], sdp)
		}
	}
	return []byte(strings.NewReplacer(oldnew...).Replace(string(sdp)))
}

// version is an SDP with another version: what a new offer or answer has.
func version(t *testing.T, sdp []byte, n int) []byte {
	t.Helper()
	return edit(t, sdp, "o=- 1 1 ", fmt.Sprintf("o=- 1 %d ", n))
}

// play sends a tone to where an SDP says, 20 ms a packet.
func (p *phone) play(to net.Addr, f float64, packets int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pcm, last := make([]int16, 160), p.ip[len(p.ip)-1] // of the SSRC
	for range packets {
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*f*float64(i)/8000)) // whole periods
		}
		p.seq++
		h := []byte{0x80, p.pt, 0, 0, 0, 0, 0, 0, 1, 2, 3, last}
		binary.BigEndian.PutUint16(h[2:], p.seq)
		binary.BigEndian.PutUint32(h[4:], uint32(p.seq)*160)
		if p.pt == 8 {
			h = g711.EncodeALaw(h, pcm)
		} else {
			h = g711.EncodeULaw(h, pcm)
		}
		if p.protect != nil {
			h = p.protect(h)
		}
		_, _ = p.rtp.WriteTo(h, to)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.w.Context().Done():
			return
		}
	}
}

// codec is the payload type that the phone plays with from now on.
func (p *phone) codec(pt uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pt = pt
}

// hears listens for d: how many packets came, and the share of the energy at f Hz
// of those with the payload type pt.
func (p *phone) hears(pt uint8, f float64, d time.Duration) (packets int, share float64) {
	p.w.Helper()
	if err := p.rtp.SetReadDeadline(time.Now().Add(d)); err != nil {
		p.w.Fatal(err)
	}
	var e energy
	buf := make([]byte, 2000)
	for {
		n, _, err := p.rtp.ReadFrom(buf)
		if err != nil {
			return packets, e.share()
		}
		if n < 12 || buf[1] >= 192 && buf[1] <= 223 { // RTCP
			continue
		}
		if p.unprotect != nil {
			n = copy(buf, p.unprotect(buf[:n]))
		}
		if packets++; n < 12 {
			continue
		}
		switch payload := buf[12:n]; {
		case buf[1]&0x7F != pt:
		case pt == 8:
			e.add(g711.DecodeALaw(nil, payload), f, 8000)
		default:
			e.add(g711.DecodeULaw(nil, payload), f, 8000)
		}
	}
}

// talk lets the phone and the call, whose answer it has, hear a tone of each other.
func (p *phone) talk(call *session.Call, answer []byte) {
	p.w.Helper()
	go p.play(mediaOf(p.w.T, answer), 1000, 100)
	go call.Audio().WritePCM(tone(400, 2*time.Second))
	heard := make(chan float64, 1)
	go func() {
		_, share := p.hears(p.pt, 400, 3*time.Second)
		heard <- share
	}()
	if share := hears(p.w.T, call, 1000, 3*time.Second); share < 0.9 {
		p.w.Errorf("the call hears the phone with %.2f of the energy, want 0.9", share)
	}
	if share := <-heard; share < 0.9 {
		p.w.Errorf("the phone hears the call with %.2f of the energy, want 0.9", share)
	}
}

// attr are the values of an attribute of an SDP.
func attr(sdp []byte, name string) (all []string) {
	for l := range strings.Lines(string(sdp)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "a="+name+":"); ok {
			all = append(all, v)
		}
	}
	return all
}

// mediaOf is where an SDP wants its media.
func mediaOf(t *testing.T, sdp []byte) net.Addr {
	t.Helper()
	var ip netip.Addr
	var port int
	for line := range strings.Lines(string(sdp)) {
		if a, ok := strings.CutPrefix(strings.TrimSpace(line), "c=IN IP4 "); ok {
			ip = netip.MustParseAddr(a)
		}
		if strings.HasPrefix(line, "m=audio ") {
			if _, err := fmt.Sscanf(line, "m=audio %d ", &port); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port)))
}

// publicAlice is an endpoint that is not behind a NAT and has no registrar.
func (w *world) publicAlice(change func(*session.Config)) *session.Endpoint {
	w.Helper()
	cfg := &session.Config{Network: w.host("alice", aliceIP, nil), Listen: []string{"udp://" + aliceIP + ":5060", "tcp://" + aliceIP + ":5060"}}
	if change != nil {
		change(cfg)
	}
	ep, err := session.Listen(w.Context(), cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = ep.Close() })
	return ep
}

// answeringAlice is publicAlice who answers calls.
func (w *world) answeringAlice(security session.Protection) <-chan *session.Call {
	w.Helper()
	calls := make(chan *session.Call, 8)
	w.publicAlice(func(cfg *session.Config) { cfg.Handler, cfg.Security = answering(calls), security })
	return calls
}

// plainCall is a call of the phone to alice, over plain RTP.
func (w *world) plainCall() (p *phone, call *session.Call, dialog *sip.Dialog, answer []byte) {
	w.Helper()
	calls := w.answeringAlice(session.AllowPlain)
	p = w.phone()
	dialog, answer = p.calls(p.sdp())
	return p, <-calls, dialog, answer
}

// answered is how an INVITE ended: by an answer or by a refusal.
type answered struct {
	dialog *sip.Dialog
	body   []byte
	err    error
}

// outcome is a handler of an INVITE's events that acknowledges; ack, if not nil,
// makes the SDP of the ACK out of that of the 200.
func outcome(ack func([]byte) []byte) (func(sip.InviteEvent), <-chan answered) {
	done := make(chan answered, 1)
	return func(ev sip.InviteEvent) {
		switch ev := ev.(type) {
		case sip.Failed:
			done <- answered{err: ev.Err}
		case sip.Answered:
			if ack != nil {
				_ = ev.Dialog.Ack("application/sdp", ack(ev.Response.Body()))
			} else {
				_ = ev.Dialog.Ack("", nil)
			}
			done <- answered{ev.Dialog, ev.Response.Body(), nil}
		}
	}, done
}

// invite calls target with any body and returns what came of it. ack is as for outcome.
func (p *phone) invite(target, contentType string, body []byte, ack func([]byte) []byte) answered {
	p.w.Helper()
	uri, err := sip.ParseURI(target)
	if err != nil {
		return answered{err: err}
	}
	from := sip.URI{Scheme: "sip", User: "phone", Host: p.ip}
	on, done := outcome(ack)
	if _, err := p.agent.Invite(&sip.OutRequest{
		URI: uri, To: sip.Address{URI: uri}, From: sip.Address{URI: from}, ContentType: contentType, Body: body,
	}, on); err != nil {
		return answered{err: err}
	}
	return <-done
}

// calls calls alice, who answers.
func (p *phone) calls(offer []byte) (*sip.Dialog, []byte) {
	p.w.Helper()
	a := p.invite(toAlice, "application/sdp", offer, nil)
	if a.err != nil {
		p.w.Fatalf("alice does not answer: %v", a.err)
	}
	return a.dialog, a.body
}

// reinvite sends a re-INVITE and returns the answer. ack is as for outcome.
func reinvite(d *sip.Dialog, body []byte, ack func([]byte) []byte) ([]byte, error) {
	contentType := ""
	if body != nil {
		contentType = "application/sdp"
	}
	on, done := outcome(ack)
	if _, err := d.Reinvite(contentType, body, on); err != nil {
		return nil, err
	}
	a := <-done
	return a.body, a.err
}

// sipServer is a SIP peer by hand, for what an honest one never sends. f is called
// for each request, which it answers by reply.
func (w *world) sipServer(f func(r *rawRequest)) {
	w.Helper()
	c, err := w.host("phone", phoneIP, nil).ListenPacket(w.Context(), "udp", phoneIP+":5060")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	go func() { // ends with its socket
		buf := make([]byte, 9000)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			text := string(buf[:n])
			if method, _, _ := strings.Cut(text, " "); method != "ACK" && !strings.HasPrefix(method, "SIP/") && n > 20 {
				f(&rawRequest{method: method, text: text, send: func(p string) { _, _ = c.WriteTo([]byte(p), from) }})
			}
		}
	}()
}

type rawRequest struct {
	method, text string
	send         func(string)
}

func (r *rawRequest) header(name string) string {
	for l := range strings.Lines(r.text) {
		if n, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(n, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// reply answers with a status such as "200 OK", a To tag, and SDP if there is some.
func (r *rawRequest) reply(status, tag string, sdp []byte) {
	to, _, _ := strings.Cut(r.header("To"), ";tag")
	contentType := ""
	if sdp != nil {
		contentType = "Content-Type: application/sdp\r\n"
	}
	r.send("SIP/2.0 " + status + "\r\nVia: " + r.header("Via") + "\r\nFrom: " + r.header("From") + "\r\nTo: " + to + ";tag=" + tag +
		"\r\nCall-ID: " + r.header("Call-ID") + "\r\nCSeq: " + r.header("CSeq") + "\r\nContact: <sip:" + tag + "@" + phoneIP + ">\r\n" +
		contentType + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(sdp), sdp))
}
