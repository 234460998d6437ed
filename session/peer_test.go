package session_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/media/g711"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

// phone is an old telephone: plain RTP, PCMU, no ICE. It is made of a sip.Agent
// and one socket, and shares nothing else with session.
type phone struct {
	w     *world
	agent *sip.Agent
	ip    string
	rtp   net.PacketConn
	in    chan *sip.IncomingInvite
}

func (w *world) phone(ip string) *phone {
	w.Helper()
	p := &phone{w: w, ip: ip, in: make(chan *sip.IncomingInvite, 4)}
	host := w.host("phone", ip, nil)
	var err error
	p.agent, err = sip.Listen(w.Context(), &sip.Config{
		Network: host, Listen: []string{"udp://" + ip + ":5060", "tcp://" + ip + ":5060"},
		OnInvite: func(in *sip.IncomingInvite) { p.in <- in },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = p.agent.Close() })
	if p.rtp, err = host.ListenPacket(w.Context(), "udp", ip+":4000"); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = p.rtp.Close() })
	return p
}

// next is the next call; nil when the test ends first.
func (p *phone) next() *sip.IncomingInvite {
	select {
	case in := <-p.in:
		return in
	case <-p.w.Context().Done():
		return nil
	}
}

func (p *phone) sdp(extra ...string) []byte {
	lines := append([]string{
		"v=0", "o=- 1 1 IN IP4 " + p.ip, "s=-", "c=IN IP4 " + p.ip, "t=0 0", "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000",
	}, extra...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

// play sends a tone to where an SDP says, 20 ms a packet.
func (p *phone) play(to net.Addr, f float64, packets int) {
	pcm := make([]int16, 160)
	for n := range packets {
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*f*float64(n*160+i)/8000))
		}
		h := []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
		binary.BigEndian.PutUint16(h[2:], uint16(n))
		binary.BigEndian.PutUint32(h[4:], uint32(n*160))
		_, _ = p.rtp.WriteTo(g711.EncodeULaw(h, pcm), to)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.w.Context().Done():
			return
		}
	}
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
	const ip = "203.0.113.20"
	cfg := &session.Config{Network: w.host("alice", ip, nil), Listen: []string{"udp://" + ip + ":5060", "tcp://" + ip + ":5060"}}
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

// TestEarlyMedia: a telephone refuses DTLS, is offered plain RTP because the
// caller allows it, and plays its ring-back tone before the answer, announced by
// SDP in an unreliable 183.
func TestEarlyMedia(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			if !strings.Contains(string(in.Request.Body()), "UDP/TLS/RTP/SAVP") {
				w.Errorf("the first offer is not DTLS-SRTP: %s", in.Request.Body())
			}
			_ = in.Respond(488, "", "", nil)
			again := phone.next()
			if again == nil {
				return
			}
			if again.Request.CallID().Value() == in.Request.CallID().Value() {
				w.Error("the second offer has the Call-ID of the first")
			}
			_ = again.Respond(183, "", "application/sdp", phone.sdp())
			phone.play(mediaOf(w.T, again.Request.Body()), 400, 150)
			_ = again.Respond(200, "", "application/sdp", phone.sdp())
			phone.play(mediaOf(w.T, again.Request.Body()), 1000, 150)
		}()
		call, err := alice.Start(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		defer call.Close()
		for ev := range call.Events(w.Context()) {
			if _, ok := ev.(session.EarlyMedia); ok {
				break
			}
			if e, ok := ev.(session.Ended); ok {
				w.Fatal(e.Err)
			}
		}
		if share := hears(w.T, call, 400, 2*time.Second); share < 0.9 {
			w.Errorf("the ring-back tone has %.2f of the energy heard, want 0.9", share)
		}
		if err := call.Answered(w.Context()); err != nil {
			w.Fatal(err)
		}
		_ = hears(w.T, call, 400, 500*time.Millisecond) // what was still on its way
		if share := hears(w.T, call, 1000, 2*time.Second); share < 0.9 {
			w.Errorf("after the answer the voice has %.2f of the energy heard, want 0.9", share)
		}
		if s := call.Security(); s.Encrypted() || s.Profile != "RTP" {
			w.Errorf("protected by %+v, want that it says plain RTP", s)
		}
	})
}

// TestHostileDowngrade: a peer that refuses encryption gets no call from an
// endpoint that did not allow plain RTP, and no second offer.
func TestHostileDowngrade(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(488, "", "", nil)
		}()
		_, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", nil)
		wantStatus(w.T, err, 488)
		select {
		case <-phone.in:
			w.Error("a second offer went out")
		case <-time.After(40 * time.Second):
		}
	})
}

// TestHostileAnswerWithoutEncryption: an answer that drops what was offered is
// acknowledged and ended by BYE with a Reason; no packet of sound goes out.
func TestHostileAnswerWithoutEncryption(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		reason := make(chan string, 1)
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			in.Dialog.Handle(func(ev sip.DialogEvent) {
				if e, ok := ev.(sip.DialogEnded); ok {
					reason <- e.Reason
				}
			})
			_ = in.Respond(200, "", "application/sdp", phone.sdp())
		}()
		w.watch()
		call, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", nil)
		if err == nil {
			err = call.Wait(w.Context())
		}
		e, ok := errors.AsType[*session.EndError](err)
		if !ok || e.Cause != session.NoMedia {
			w.Errorf("got %v, want the cause %q", err, session.NoMedia)
		}
		if r := <-reason; !strings.Contains(r, "cause=488") {
			w.Errorf("the BYE's reason is %q, want one that says 488", r)
		}
		if n := w.seen(func(p netsim.Packet) bool { return len(p.Payload) > 0 && p.Payload[0] >= 128 && p.Payload[0] < 192 }); n != 0 {
			w.Errorf("%d packets of media were sent", n)
		}
	})
}

// TestOffersRefused: offers that we do not take get 488 and a Warning, or the
// status that says what is wrong with them, and the handler never hears of them.
func TestOffersRefused(t *testing.T) {
	const dtls = "m=audio 4000 UDP/TLS/RTP/SAVPF 0"
	phoneSDP := func(p *phone, media string, extra ...string) []byte {
		return []byte(strings.Replace(string(p.sdp(extra...)), "m=audio 4000 RTP/AVP 0", media, 1))
	}
	const print = "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
	for _, c := range []struct {
		name, contentType string
		body              func(*phone) []byte
		code              int
		warning           string
	}{
		{"plain RTP", "application/sdp", func(p *phone) []byte { return p.sdp() }, 488, "Incompatible transport protocol"},
		{"DTLS without a fingerprint", "application/sdp", func(p *phone) []byte { return phoneSDP(p, dtls, "a=setup:actpass") }, 488, ""},
		{"no codec in common", "application/sdp", func(p *phone) []byte {
			return phoneSDP(p, "m=audio 4000 UDP/TLS/RTP/SAVPF 96", "a=setup:actpass", print, "a=rtpmap:96 iLBC/8000")
		}, 488, "Incompatible media format"},
		{"no SDP", "application/sdp", func(*phone) []byte { return []byte("hello") }, 400, ""},
		{"another type", "text/plain", func(p *phone) []byte { return p.sdp() }, 415, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.publicAlice(func(cfg *session.Config) {
					cfg.Handler = session.HandlerFunc(func(context.Context, *session.Incoming) { w.Error("the handler was called") })
				})
				phone := w.phone("203.0.113.30")
				err := phone.invite("sip:alice@203.0.113.20", c.contentType, c.body(phone))
				wantStatus(w.T, err, c.code)
				se, ok := errors.AsType[*sip.StatusError](err)
				if ok && c.code == 488 && (se.Warning == "" || !strings.Contains(se.Warning, c.warning)) {
					w.Errorf("the Warning is %q, want one with %q", se.Warning, c.warning)
				}
			})
		})
	}
}

// invite calls and returns the refusal, or nil when it was answered.
func (p *phone) invite(target, contentType string, body []byte) error {
	uri, err := sip.ParseURI(target)
	if err != nil {
		return err
	}
	from := sip.URI{Scheme: "sip", User: "phone", Host: p.ip}
	done := make(chan error, 1)
	_, err = p.agent.Invite(&sip.OutRequest{
		URI: uri, To: sip.Address{URI: uri}, From: sip.Address{URI: from}, ContentType: contentType, Body: body,
	}, func(ev sip.InviteEvent) {
		switch ev := ev.(type) {
		case sip.Failed:
			done <- ev.Err
		case sip.Answered:
			_ = ev.Dialog.Ack("", nil)
			done <- nil
		}
	})
	if err != nil {
		return err
	}
	return <-done
}

// TestRFC3264Section5LateOffer: an INVITE without a session description is
// answered by an offer, and the answer comes in the ACK.
func TestRFC3264Section5LateOffer(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) {
			cfg.Handler = answering(calls)
			cfg.Security = session.AllowPlain
		})
		phone := w.phone("203.0.113.30")
		uri, err := sip.ParseURI("sip:alice@203.0.113.20")
		if err != nil {
			w.Fatal(err)
		}
		offer := make(chan []byte, 1)
		_, err = phone.agent.Invite(&sip.OutRequest{URI: uri, To: sip.Address{URI: uri}, From: sip.Address{URI: uri}}, func(ev sip.InviteEvent) {
			if a, ok := ev.(sip.Answered); ok {
				offer <- a.Response.Body()
				_ = a.Dialog.Ack("application/sdp", phone.sdp()) // not what was offered: DTLS
			}
		})
		if err != nil {
			w.Fatal(err)
		}
		if o := string(<-offer); !strings.Contains(o, "UDP/TLS/RTP/SAVP") || !strings.Contains(o, "a=setup:actpass") {
			w.Errorf("the late offer is not one of DTLS-SRTP: %s", o)
		}
		call := <-calls
		// The answer in the ACK does not fit the offer: BYE, with a reason.
		if err := call.Wait(w.Context()); err == nil {
			w.Error("the call goes on with an answer that does not fit the offer")
		}
		wantEnd(w.T, "alice", call, session.NoMedia)
	})
}
