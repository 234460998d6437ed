package session_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

var _ = bytes.Contains

// dialogTo: the phone calls alice with a body and gets a dialog and the answer.
func (p *phone) dialogTo(target string, body []byte) (*sip.Dialog, []byte, error) {
	uri, _ := sip.ParseURI(target)
	from := sip.URI{Scheme: "sip", User: "phone", Host: p.ip}
	type res struct {
		d   *sip.Dialog
		b   []byte
		err error
	}
	done := make(chan res, 1)
	_, err := p.agent.Invite(&sip.OutRequest{URI: uri, To: sip.Address{URI: uri}, From: sip.Address{URI: from}, ContentType: "application/sdp", Body: body},
		func(ev sip.InviteEvent) {
			switch ev := ev.(type) {
			case sip.Failed:
				done <- res{err: ev.Err}
			case sip.Answered:
				_ = ev.Dialog.Ack("", nil)
				done <- res{ev.Dialog, ev.Response.Body(), nil}
			}
		})
	if err != nil {
		return nil, nil, err
	}
	r := <-done
	return r.d, r.b, r.err
}

// reinvite returns the answer.
func reinvite(d *sip.Dialog, body []byte) ([]byte, error) {
	type res struct {
		b   []byte
		err error
	}
	done := make(chan res, 1)
	_, err := d.Reinvite("application/sdp", body, func(ev sip.InviteEvent) {
		switch ev := ev.(type) {
		case sip.Failed:
			done <- res{err: ev.Err}
		case sip.Answered:
			_ = ev.Dialog.Ack("", nil)
			done <- res{b: ev.Response.Body()}
		}
	})
	if err != nil {
		return nil, err
	}
	r := <-done
	return r.b, r.err
}

func (w *world) plainCall() (*phone, *session.Call, *sip.Dialog, []byte) {
	calls := make(chan *session.Call, 1)
	w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls); cfg.Security = session.AllowPlain })
	ph := w.phone("203.0.113.30")
	d, ans, err := ph.dialogTo("sip:alice@203.0.113.20", ph.sdp())
	if err != nil {
		w.Fatal(err)
	}
	return ph, <-calls, d, ans
}

// R1: SendDTMF while there is early media but no answer spins.
func TestReviewSendDTMFEarly(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(488, "", "", nil)
			in = phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(183, "", "application/sdp", phone.sdp("a=rtpmap:101 telephone-event/8000"))
			time.Sleep(3 * time.Second)
			_ = in.Respond(200, "", "application/sdp", phone.sdp("a=rtpmap:101 telephone-event/8000"))
		}()
		call, err := alice.Start(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		defer call.Close()
		for ev := range call.Events(w.Context()) {
			if _, ok := ev.(session.PathReady); ok {
				break
			}
		}
		_ = call.SendDTMF(w.Context(), "1")
	})
}

// R2: the peer's media moves to another host by a re-INVITE (PBX transfer, music on hold).
func TestReviewReinviteMovesHost(t *testing.T) {
	inWorld(t, func(w *world) {
		ph, call, d, ans := w.plainCall()
		go ph.play(mediaOf(w.T, ans), 400, 100)
		if s := hears(w.T, call, 400, 2*time.Second); s < 0.9 {
			w.Fatalf("before: %.2f", s)
		}
		other := w.host("other", "203.0.113.31", nil)
		rtp, err := other.ListenPacket(w.Context(), "udp", "203.0.113.31:4000")
		if err != nil {
			w.Fatal(err)
		}
		defer rtp.Close()
		sdp := []byte(strings.Replace(strings.ReplaceAll(string(ph.sdp()), "c=IN IP4 203.0.113.30", "c=IN IP4 203.0.113.31"), "o=- 1 1", "o=- 1 2", 1))
		if _, err := reinvite(d, sdp); err != nil {
			w.Fatal(err)
		}
		moved := &phone{w: w, ip: "203.0.113.31", rtp: rtp}
		go moved.play(mediaOf(w.T, ans), 1000, 150)
		if s := hears(w.T, call, 1000, 3*time.Second); s < 0.9 {
			w.Errorf("after the re-INVITE the new host is heard with %.2f", s)
		}
	})
}

// R3: audio removed and restored.
func TestReviewReinvitePortZero(t *testing.T) {
	inWorld(t, func(w *world) {
		ph, call, d, ans := w.plainCall()
		off := []byte(strings.Replace(strings.Replace(string(ph.sdp()), "m=audio 4000", "m=audio 0", 1), "o=- 1 1", "o=- 1 2", 1))
		b, err := reinvite(d, off)
		t.Logf("port 0: %v\n%s", err, b)
		b, err = reinvite(d, []byte(strings.Replace(string(ph.sdp()), "o=- 1 1", "o=- 1 3", 1)))
		t.Logf("restored: %v\n%s", err, b)
		go ph.play(mediaOf(w.T, ans), 400, 100)
		if s := hears(w.T, call, 400, 2*time.Second); s < 0.9 {
			w.Errorf("after: %.2f", s)
		}
		b, err = reinvite(d, []byte(strings.Replace(strings.Replace(string(ph.sdp()), "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", "m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000", 1), "o=- 1 1", "o=- 1 4", 1)))
		t.Logf("video only: %v\n%s", err, b)
		// ICE is added on a direct path
		b, err = reinvite(d, append(ph.sdp(), []byte("a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 203.0.113.30 4000 typ host\r\n")...))
		t.Logf("ICE added: %v ice in answer: %v", err, bytes.Contains(b, []byte("ice-ufrag")))
		// upgraded to DTLS
		const print = "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"
		b, err = reinvite(d, append([]byte(strings.Replace(string(ph.sdp()), "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1)), []byte("a=setup:actpass\r\n"+print)...))
		t.Logf("DTLS re-offer in a plain call: err=%v\n%s\nsession says %+v", err, b, call.Security())
		if err == nil {
			t.Error("200 to a DTLS re-offer, media stays plain RTP")
		}
	})
}

// R4: c= with a host name
func TestReviewHostNameInSDP(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sim.AddName("phone.example", "203.0.113.30")
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls); cfg.Security = session.AllowPlain })
		ph := w.phone("203.0.113.30")
		_, ans, err := ph.dialogTo("sip:alice@203.0.113.20", []byte(strings.ReplaceAll(string(ph.sdp()), "c=IN IP4 203.0.113.30", "c=IN IP4 phone.example")))
		if err != nil {
			w.Fatal(err)
		}
		call := <-calls
		go call.Audio().WritePCM(tone(400, 2*time.Second))
		_ = ph.rtp.SetReadDeadline(time.Now().Add(2 * time.Second))
		buf := make([]byte, 2000)
		if _, _, err := ph.rtp.ReadFrom(buf); err != nil {
			w.Errorf("no RTP reaches phone.example: %v; path %+v", err, call.Stats().Path)
		}
		// A stranger's RTP
		other := w.host("other", "203.0.113.99", nil)
		rtp, _ := other.ListenPacket(w.Context(), "udp", "203.0.113.99:4000")
		defer rtp.Close()
		str := &phone{w: w, ip: "203.0.113.99", rtp: rtp}
		go str.play(mediaOf(w.T, ans), 1000, 100)
		if s := hears(w.T, call, 1000, 2*time.Second); s > 0.1 {
			w.Errorf("a stranger (203.0.113.99) is heard with %.2f", s)
		}
	})
}

// R5: c=0.0.0.0 in the first offer
func TestReviewOfferOnHold(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls); cfg.Security = session.AllowPlain })
		ph := w.phone("203.0.113.30")
		d, ans, err := ph.dialogTo("sip:alice@203.0.113.20", []byte(strings.ReplaceAll(string(ph.sdp()), "c=IN IP4 203.0.113.30", "c=IN IP4 0.0.0.0")))
		if err != nil {
			w.Fatal(err)
		}
		call := <-calls
		time.Sleep(2 * time.Second)
		if call.Err() != nil {
			w.Errorf("the call ended: %v", call.Err())
			return
		}
		_, err = reinvite(d, []byte(strings.Replace(string(ph.sdp()), "o=- 1 1", "o=- 1 2", 1)))
		go ph.play(mediaOf(w.T, ans), 400, 100)
		t.Log(err, hears(w.T, call, 400, 2*time.Second))
	})
}

// R6: the 200's SDP differs from the 183's only in o=.
func TestReview200DiffersFrom183(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(488, "", "", nil)
			if in = phone.next(); in == nil {
				return
			}
			_ = in.Respond(183, "", "application/sdp", phone.sdp())
			phone.play(mediaOf(w.T, in.Request.Body()), 400, 50)
			_ = in.Respond(200, "", "application/sdp", []byte(strings.Replace(string(phone.sdp()), "o=- 1 1", "o=- 1 2", 1)))
			phone.play(mediaOf(w.T, in.Request.Body()), 1000, 150)
		}()
		call, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		defer call.Close()
		time.Sleep(time.Second)
		_ = hears(w.T, call, 400, 500*time.Millisecond)
		if share := hears(w.T, call, 1000, 2*time.Second); share < 0.9 {
			w.Errorf("heard %.2f; %v", share, call.Err())
		}
	})
}

// R7: bob's own relay fails: the call is refused with 488 and the caller falls back to plain RTP.
func TestReviewLocalFailureDowngrades(t *testing.T) {
	inWorld(t, func(w *world) {
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			_, err := in.Answer(ctx)
			t.Log("answer:", err)
			if call, ok := errors.AsType[*session.EndError](err); ok {
				t.Log(call)
			}
			<-ctx.Done()
		}, func(c *session.Config) {
			c.RelayOnly = true
			for i := range c.Servers {
				c.Servers[i].Password = "wrong"
			}
			c.Security = session.AllowPlain
		})
		alice := w.person("alice", nil, func(c *session.Config) { c.Security = session.AllowPlain })
		w.registered(alice, bob)
		call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		t.Log(call, err)
		if n := bob.Stats().Incoming; n != 1 {
			w.Errorf("bob got %d INVITEs: a local failure of his made alice offer plain RTP", n)
		}
		wantStatus(w.T, err, 480)
	})
}

// pipe is a media.Path over the phone's socket.
type sockPath struct {
	c  net.PacketConn
	to net.Addr
	h  func([]byte, netip.AddrPort)
}

func (s *sockPath) Write(p []byte) (int, error) { return s.c.WriteTo(p, s.to) }
func (s *sockPath) Handle(f func([]byte, netip.AddrPort)) {
	first := s.h == nil
	s.h = f
	if !first {
		return
	}
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := s.c.ReadFrom(b)
			if err != nil {
				return
			}
			f(b[:n], from.(*net.UDPAddr).AddrPort())
		}
	}()
}
func (s *sockPath) Close() error { return s.c.Close() }

// R8: held before the media connects: the hold is lost.
func TestReviewHoldWhileConnecting(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls) })
		ph := w.phone("203.0.113.30")
		cert, err := media.NewCertificate()
		if err != nil {
			w.Fatal(err)
		}
		fp, _ := media.FingerprintOf(cert)
		offer := func(v, dir string) []byte {
			s := string(ph.sdp("a=setup:actpass", "a=fingerprint:"+fp.String(), "a=rtcp-mux", "a="+dir))
			s = strings.Replace(s, "o=- 1 1", "o=- 1 "+v, 1)
			return []byte(strings.Replace(s, "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1))
		}
		d, ans, err := ph.dialogTo("sip:alice@203.0.113.20", offer("1", "sendrecv"))
		if err != nil {
			w.Fatal(err)
		}
		call := <-calls
		t.Logf("%s", ans)
		time.Sleep(time.Second)
		b, err := reinvite(d, offer("2", "inactive"))
		if err != nil || !bytes.Contains(b, []byte("a=inactive")) {
			w.Fatalf("%v %s", err, b)
		}
		var remote []media.Fingerprint
		for l := range strings.Lines(string(ans)) {
			if f, ok := strings.CutPrefix(strings.TrimSpace(l), "a=fingerprint:"); ok {
				x, err := media.ParseFingerprint(f)
				if err != nil {
					w.Fatal(err)
				}
				remote = append(remote, x)
			}
		}
		ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
		defer cancel()
		tr, err := media.NewTransport(ctx, &media.TransportConfig{RTP: &sockPath{c: ph.rtp, to: mediaOf(w.T, ans)}, Keys: media.Keys{DTLS: &media.DTLS{Certificate: tlsCert(cert), Client: false, Remote: remote}}})
		if err != nil {
			w.Fatal(err)
		}
		defer tr.Close()
		a := media.NewAudio(media.Format{Rate: 16000, Channels: 1})
		pcmu := media.Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
		st, err := tr.NewStream(&media.StreamConfig{Audio: a, Send: pcmu, Receive: []media.Codec{pcmu}, Sending: true, Receiving: true})
		if err != nil {
			w.Fatal(err)
		}
		defer st.Close()
		go call.Audio().WritePCM(tone(400, 2*time.Second))
		_ = a.SetReadDeadline(time.Now().Add(2 * time.Second))
		loud := int16(0)
		buf := make([]int16, 320)
		for {
			n, err := a.ReadPCM(buf)
			for _, s := range buf[:n] {
				loud = max(loud, s)
			}
			if err != nil {
				break
			}
		}
		if loud > 1000 {
			w.Errorf("the held peer (inactive, answered 200) hears alice: %d", loud)
		}
		// And now a fresh hold, after connecting, for comparison.
		_, _ = reinvite(d, offer("3", "inactive"))
	})
}

func tlsCert(c tls.Certificate) tls.Certificate { return c }

// R9: fingerprint changed in a re-INVITE.
func TestReviewFingerprintChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls) })
		ph := w.phone("203.0.113.30")
		offer := func(v, fp string) []byte {
			s := string(ph.sdp("a=setup:actpass", "a=fingerprint:sha-256 "+strings.TrimSuffix(strings.Repeat(fp+":", 32), ":"), "a=rtcp-mux"))
			s = strings.Replace(s, "o=- 1 1", "o=- 1 "+v, 1)
			return []byte(strings.Replace(s, "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1))
		}
		d, _, err := ph.dialogTo("sip:alice@203.0.113.20", offer("1", "AA"))
		if err != nil {
			w.Fatal(err)
		}
		<-calls
		time.Sleep(time.Second)
		if _, err := reinvite(d, offer("2", "BB")); err == nil {
			w.Error("200 to a re-INVITE with another fingerprint; no new DTLS association is made")
		}
		_ = d.Bye(w.Context())
	})
}

// R10: a peer that answers and vanishes / BYE during DTLS.
func TestReviewVanishAfterAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls) })
		ph := w.phone("203.0.113.30")
		mk := func(ice string) []byte {
			s := string(ph.sdp("a=setup:actpass", "a=fingerprint:sha-256 "+strings.TrimSuffix(strings.Repeat("AA:", 32), ":"), "a=rtcp-mux")) + ice
			return []byte(strings.Replace(s, "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1))
		}
		ice := "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 203.0.113.30 4000 typ host\r\n"
		for _, x := range []string{"", ice} {
			began := time.Now()
			_, _, err := ph.dialogTo("sip:alice@203.0.113.20", mk(x))
			if err != nil {
				w.Fatal(err)
			}
			c := <-calls
			_ = c.Wait(w.Context())
			t.Log(time.Since(began), c.Err())
			wantEnd(w.T, "alice", c, session.NoMedia)
			// BYE during connect
			d, _, err := ph.dialogTo("sip:alice@203.0.113.20", mk(x))
			if err != nil {
				w.Fatal(err)
			}
			c = <-calls
			time.Sleep(time.Second)
			_ = d.Bye(w.Context())
			_ = c.Wait(w.Context())
			wantEnd(w.T, "alice", c, session.RemoteHungUp)
		}
	})
}

// R11: 200 without SDP: Dial says success?
func TestReview200WithoutSDP(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone("203.0.113.30")
		go func() {
			if in := phone.next(); in != nil {
				_ = in.Respond(200, "", "", nil)
			}
		}()
		call, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", nil)
		t.Log(call != nil, err)
		if call != nil {
			_ = call.Wait(w.Context())
			t.Log(call.Err())
			w.Error("Dial succeeded")
		}
	})
}
