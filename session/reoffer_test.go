package session_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/sip"
)

// TestRFC3264Section84HeldByThePeer: on hold the peer gets silence from us, and
// we hear what it plays; what lasts is not timed.
func TestRFC3264Section84HeldByThePeer(t *testing.T) {
	for _, c := range []struct {
		name     string
		hold     func(w *world, sdp []byte) []byte
		answer   string // the direction in our answer
		listened bool   // the peer may play music
		silent   time.Duration
	}{
		{"sendonly", func(_ *world, sdp []byte) []byte { return append(sdp, "a=sendonly\r\n"...) }, "a=recvonly", true, 20 * time.Second},
		{"inactive", func(_ *world, sdp []byte) []byte { return append(sdp, "a=inactive\r\n"...) }, "a=inactive", false, 2 * time.Minute},
		{"0.0.0.0", func(w *world, sdp []byte) []byte { return edit(w.T, sdp, "c=IN IP4 "+phoneIP, "c=IN IP4 0.0.0.0") }, "a=recvonly", true, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				phone, call, dialog, answer := w.plainCall()
				phone.talk(call, answer)
				again, err := reinvite(dialog, c.hold(w, version(w.T, phone.sdp(), 2)), nil)
				if err != nil {
					w.Fatal(err)
				}
				if !bytes.Contains(again, []byte(c.answer+"\r\n")) {
					w.Errorf("the answer has no %s: %s", c.answer, again)
				}
				phone.hears(0, 400, 100*time.Millisecond) // what was on its way
				go phone.play(mediaOf(w.T, again), 1000, 50)
				go call.Audio().WritePCM(tone(400, time.Second))
				silence := make(chan bool, 1)
				go func() {
					n, share := phone.hears(0, 400, 2*time.Second)
					silence <- n > 50 && share == 0
				}()
				if share := hears(w.T, call, 1000, 2*time.Second); (share > 0.9) != c.listened {
					w.Errorf("we hear the music on hold with %.2f of the energy", share)
				}
				if !<-silence { // NAT bindings and peers' timers live on packets
					w.Error("the peer on hold does not get silence")
				}
				time.Sleep(c.silent) // virtual
				if call.Err() != nil {
					w.Fatalf("the call ended on hold: %v", call.Err())
				}
				if _, err := reinvite(dialog, version(w.T, phone.sdp(), 3), nil); err != nil {
					w.Fatal(err)
				}
				call.Audio().Discard()
				phone.talk(call, again)
			})
		})
	}
}

// TestHeldWhileConnecting: a hold that comes before media flows is kept when it does.
func TestHeldWhileConnecting(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.answeringAlice(0)
		phone := w.softphone()
		offer := phone.text(phone.local, "actpass")
		dialog, answer := phone.calls(offer)
		call := <-calls
		time.Sleep(time.Second) // virtual
		held, err := reinvite(dialog, append(version(w.T, offer, 2), "a=inactive\r\n"...), nil)
		if err != nil || !bytes.Contains(held, []byte("a=inactive")) {
			w.Fatalf("hold: %v %s", err, held)
		}
		if err := phone.take(answer); err != nil {
			w.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // virtual: alice's side has connected, too
		go call.Audio().WritePCM(tone(400, 2*time.Second))
		if share := listen(w.T, phone.audio, 2*time.Second, 400)[0]; share != 0 {
			w.Errorf("the phone that holds hears alice with %.2f of the energy", share)
		}
		if _, err := reinvite(dialog, version(w.T, offer, 3), nil); err != nil {
			w.Fatal(err)
		}
		phone.talk(call)
	})
}

// pcma is an SDP of the phone with the other codec.
func pcma(t *testing.T, sdp []byte) []byte {
	t.Helper()
	return edit(t, sdp, "RTP/AVP 0", "RTP/AVP 8", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000")
}

// TestRFC3264Section832CodecChanged: by re-INVITE and by UPDATE.
func TestRFC3264Section832CodecChanged(t *testing.T) {
	for name, change := range map[string]func(*world, *sip.Dialog, []byte) error{
		"re-INVITE": func(_ *world, d *sip.Dialog, sdp []byte) error {
			_, err := reinvite(d, sdp, nil)
			return err
		},
		"RFC 3311 UPDATE": func(w *world, d *sip.Dialog, sdp []byte) error {
			res, err := d.Do(w.Context(), "UPDATE", "application/sdp", sdp)
			if err == nil && !bytes.Contains(res.Body(), []byte("m=audio")) {
				err = fmt.Errorf("no answer in the 200: %s", res.Body())
			}
			return err
		},
		"the answer in an ACK": func(_ *world, d *sip.Dialog, sdp []byte) error {
			_, err := reinvite(d, nil, func([]byte) []byte { return sdp })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				phone, call, dialog, answer := w.plainCall()
				phone.talk(call, answer)
				if err := change(w, dialog, pcma(w.T, version(w.T, phone.sdp(), 2))); err != nil {
					w.Fatal(err)
				}
				phone.codec(8)
				phone.hears(0, 400, 100*time.Millisecond) // what was on its way
				phone.talk(call, answer)
				if s := call.Stats().Stream; s.Codec.Name != "PCMA" {
					w.Errorf("the call sends %+v, want PCMA", s.Codec)
				}
			})
		})
	}
}

// TestRFC3261Section142NothingChanges: a re-INVITE without an offer gets one, and
// an answer that makes no sense, or none at all, leaves the call as it was; so
// does what we cannot follow, which is refused.
func TestRFC3261Section142NothingChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		phone, call, dialog, answer := w.plainCall()
		phone.talk(call, answer)
		v := 1
		next := func() []byte { v++; return version(w.T, phone.sdp(), v) }

		for name, ack := range map[string]func([]byte) []byte{
			"no answer": nil,
			"garbage":   func([]byte) []byte { return []byte("hello") },
			"no codec of ours": func([]byte) []byte {
				return edit(w.T, next(), "RTP/AVP 0", "RTP/AVP 97", "rtpmap:0 PCMU", "rtpmap:97 L16")
			},
			"refused audio": func([]byte) []byte { return edit(w.T, next(), "m=audio 4000", "m=audio 0") },
		} {
			offer, err := reinvite(dialog, nil, ack)
			if err != nil || !bytes.Contains(offer, []byte("m=audio")) {
				w.Errorf("%s: the answer to a re-INVITE without an offer: %v %s", name, err, offer)
			}
			time.Sleep(time.Second) // virtual: the ACK has come
			if call.Err() != nil {
				w.Fatalf("%s: the call ended: %v", name, call.Err())
			}
		}
		phone.talk(call, answer)

		ice := "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 " + phoneIP + " 4000 typ host\r\n"
		for name, sdp := range map[string][]byte{
			"port 0":     edit(w.T, next(), "m=audio 4000", "m=audio 0"),
			"video only": edit(w.T, next(), "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000", "m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000"),
			"ICE":        append(next(), ice...),
			"rtcp-mux":   append(next(), "a=rtcp-mux\r\n"...),
			"DTLS":       append(edit(w.T, next(), "RTP/AVP", "UDP/TLS/RTP/SAVPF"), "a=setup:actpass\r\n"+fingerprintOfNobody+"\r\n"...),
			"no codec":   edit(w.T, next(), "RTP/AVP 0", "RTP/AVP 97", "rtpmap:0 PCMU", "rtpmap:97 L16"),
		} {
			if _, err := reinvite(dialog, sdp, nil); err == nil {
				w.Errorf("%s: taken", name)
			} else {
				wantStatus(w.T, err, 488)
			}
			_, err := dialog.Do(w.Context(), "UPDATE", "application/sdp", sdp)
			wantStatus(w.T, err, 488)
		}
		_, err := reinvite(dialog, []byte("hello"), nil)
		wantStatus(w.T, err, 400)
		if call.Err() != nil {
			w.Fatalf("the call ended: %v", call.Err())
		}
		phone.talk(call, answer)
		if s := call.Security(); s.Encrypted() {
			w.Errorf("the call says it is protected by %+v", s)
		}
		if _, err := reinvite(dialog, next(), nil); err != nil {
			w.Errorf("an offer as at the beginning: %v", err)
		}
	})
}

// TestRequestsInADialog: what is answered to requests that are no offers.
func TestRequestsInADialog(t *testing.T) {
	inWorld(t, func(w *world) {
		phone, call, dialog, answer := w.plainCall()
		for _, c := range []struct {
			method, contentType, body string
			code                      int
		}{
			{"UPDATE", "", "", 200}, // keep-alives and session timers
			{"OPTIONS", "", "", 200},
			{"INFO", "", "", 200},
			{"INFO", "application/dtmf-relay", "Signal=1\r\n", 415},
			{"MESSAGE", "text/plain", "hello", 405},
			{"INVENTED", "", "", 501},
		} {
			res, err := dialog.Do(w.Context(), c.method, c.contentType, []byte(c.body))
			if c.code >= 300 {
				wantStatus(w.T, err, c.code)
				continue
			}
			if err != nil || res.StatusCode != c.code {
				w.Errorf("%s: %v, want %d", c.method, err, c.code)
			}
		}
		phone.talk(call, answer)
	})
}

// TestRFC3264Section831PeerMoves: a re-INVITE names another host (music on hold,
// a transfer inside an exchange): it is heard, and the old one no longer.
func TestRFC3264Section831PeerMoves(t *testing.T) {
	inWorld(t, func(w *world) {
		phone, call, dialog, answer := w.plainCall()
		phone.talk(call, answer)
		moved := phone.elsewhere("203.0.113.31")
		if _, err := reinvite(dialog, edit(w.T, version(w.T, phone.sdp(), 2), "c=IN IP4 "+phoneIP, "c=IN IP4 "+moved.ip), nil); err != nil {
			w.Fatal(err)
		}
		call.Audio().Discard()
		moved.talk(call, answer)
		go phone.play(mediaOf(w.T, answer), 400, 100)
		if share := hears(w.T, call, 400, 2*time.Second); share > 0.1 {
			w.Errorf("the host before is heard with %.2f of the energy", share)
		}
	})
}

// TestRFC8839Section44RestartTooEarly: an ICE restart while media connects is
// refused with 491, for the peer to try again, and one after a refused offer is
// refused the same way: nothing of that was taken.
func TestRFC8839Section44RestartTooEarly(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.answeringAlice(0)
		phone := w.softphone()
		offer := phone.text(phone.local, "actpass")
		dialog, answer := phone.calls(offer)
		call := <-calls
		restart := func(v int) []byte {
			return edit(w.T, version(w.T, offer, v), "a=ice-ufrag:"+phone.local.Ufrag, "a=ice-ufrag:other")
		}
		_, err := reinvite(dialog, restart(2), nil)
		wantStatus(w.T, err, 491)
		port := fmt.Sprintf("m=audio %d", phone.local.Default.Port())
		_, err = reinvite(dialog, edit(w.T, version(w.T, offer, 3), port, "m=audio 0"), nil)
		wantStatus(w.T, err, 488)
		_, err = reinvite(dialog, restart(4), nil)
		wantStatus(w.T, err, 491)
		if err := phone.take(answer); err != nil {
			w.Fatal(err)
		}
		phone.talk(call)
	})
}

// TestRFC8445Section9RestartByThePeer: the peer offers fresh credentials, on the
// sockets it has and then on another host. Sound goes on, nothing is lost, and
// the keys stay.
func TestRFC8445Section9RestartByThePeer(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.answeringAlice(0)
		phone := w.softphone()
		dialog, answer := phone.calls(phone.text(phone.local, "actpass"))
		call := <-calls
		if err := phone.take(answer); err != nil {
			w.Fatal(err)
		}
		go phone.audio.WritePCM(tone(1000, 30*time.Second))
		_ = hears(w.T, call, 1000, time.Second)
		before := call.Security()
		ufrag := attr(answer, "ice-ufrag")[0]

		for v, where := range []string{"the same sockets", "another host"} {
			g, fresh := phone.gatherer, phone.local
			if v == 0 {
				var err error
				if fresh, err = g.Renew(w.Context()); err != nil {
					w.Fatal(err)
				}
			} else {
				w.host("moved", "203.0.113.31", nil)
				g, fresh = w.gather("moved")
			}
			again, err := reinvite(dialog, version(w.T, phone.text(fresh, "actpass"), v+2), nil)
			if err != nil {
				w.Fatalf("%s: %v", where, err)
			}
			if u := attr(again, "ice-ufrag"); len(u) != 1 || u[0] == ufrag {
				w.Errorf("%s: the answer to an ICE restart has the credentials %v, and %s before: want fresh ones", where, u, ufrag)
			} else {
				ufrag = u[0]
			}
			restarted := make(chan error, 1)
			go func() { restarted <- g.Restart(w.Context(), phone.path, 0, fresh, remoteOf(again)) }()
			go call.Audio().WritePCM(tone(400, 3*time.Second))
			heard := make(chan float64, 1)
			go func() { heard <- listen(w.T, phone.audio, 4*time.Second, 400)[0] }()
			if share := hears(w.T, call, 1000, 4*time.Second); share < 0.9 {
				w.Errorf("%s: the phone is heard with %.2f of the energy, want 0.9", where, share)
			}
			if share := <-heard; share < 0.9 {
				w.Errorf("%s: the phone hears the call with %.2f of the energy, want 0.9", where, share)
			}
			if err := <-restarted; err != nil {
				w.Fatalf("%s: %v", where, err)
			}
			if at := call.Stats().Path; at.PacketsReceived == 0 {
				w.Errorf("%s: %+v", where, at)
			}
		}
		if r := phone.path.Selected().Local.String(); !strings.Contains(r, "203.0.113.31") {
			w.Errorf("the path did not move: %s", r)
		}
		w.hosts["phone"].Crash(true)    // the old host is not needed any more
		time.Sleep(10 * time.Second)    // virtual
		_ = hears(w.T, call, 1000, 100) // what was kept meanwhile
		if s := call.Stats().Stream; s.Lost != 0 || s.Concealed != 0 {
			w.Errorf("%d packets lost and %d samples made up by moving, want none", s.Lost, s.Concealed)
		}
		if s := phone.stream.Stats(); s.Lost != 0 {
			w.Errorf("the phone lost %d packets by moving, want none", s.Lost)
		}
		if call.Err() != nil || call.Security() != before {
			w.Errorf("ended: %v; protected by %+v, before %+v", call.Err(), call.Security(), before)
		}
		call.Audio().Discard()
		go call.Audio().WritePCM(tone(400, time.Second))
		if share := hears(w.T, call, 1000, time.Second); share < 0.9 {
			w.Errorf("at the new place the phone is heard with %.2f of the energy, want 0.9", share)
		}
	})
}

// TestSilentHoldIsNotTimed: "a call on hold by the peer is not timed", also when the
// peer holds by sendonly or 0.0.0.0 and plays nothing.
func TestSilentHoldIsNotTimed(t *testing.T) {
	for name, hold := range map[string]func(*world, []byte) []byte{
		"sendonly": func(_ *world, sdp []byte) []byte { return append(sdp, "a=sendonly\r\n"...) },
		"0.0.0.0": func(w *world, sdp []byte) []byte {
			return edit(w.T, sdp, "c=IN IP4 "+phoneIP, "c=IN IP4 0.0.0.0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				phone, call, dialog, answer := w.plainCall()
				phone.talk(call, answer)
				if _, err := reinvite(dialog, hold(w, version(w.T, phone.sdp(), 2)), nil); err != nil {
					w.Fatal(err)
				}
				time.Sleep(2 * time.Minute) // virtual
				if call.Err() != nil {
					w.Errorf("the call ended on hold: %v", call.Err())
				}
			})
		})
	}
}
