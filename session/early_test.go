package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/session"
)

var allowPlain = &session.DialOptions{Security: session.AllowPlain}

// TestEarlyMedia: a telephone refuses DTLS, is offered plain RTP because the
// caller allows it, and plays its ring-back tone before the answer, announced by
// SDP in an unreliable 183. Some telephones count up the version of their SDP in
// the 200, which changes nothing.
func TestEarlyMedia(t *testing.T) {
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprintf("version %d in the 200", n), func(t *testing.T) {
			inWorld(t, func(w *world) {
				alice, phone := w.publicAlice(nil), w.phone()
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
					_ = again.Respond(200, "", "application/sdp", version(w.T, phone.sdp(), n))
					phone.play(mediaOf(w.T, again.Request.Body()), 1000, 150)
				}()
				call, err := alice.Start(w.Context(), toPhone, allowPlain)
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
		})
	}
}

// TestEarlyMediaEvents: what connects before the answer is told once, in order,
// and keys wait for the answer.
func TestEarlyMediaEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone()
		go func() {
			in := phone.plain()
			if in == nil {
				return
			}
			sdp := edit(w.T, phone.sdp("a=rtpmap:101 telephone-event/8000"), "RTP/AVP 0", "RTP/AVP 0 101")
			_ = in.Respond(183, "", "application/sdp", sdp)
			time.Sleep(3 * time.Second) // virtual
			_ = in.Respond(200, "", "application/sdp", sdp)
		}()
		began := time.Now()
		call, err := alice.Start(w.Context(), toPhone, allowPlain)
		if err != nil {
			w.Fatal(err)
		}
		events := make(chan string, 1)
		go func() {
			var got []string
			for ev := range call.Events(w.Context()) {
				got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", ev), "session."))
			}
			events <- strings.Join(got, " ")
		}()
		if err := call.SendDTMF(w.Context(), "1"); err != nil {
			w.Errorf("a key pressed before the answer: %v", err)
		}
		if d := time.Since(began); d < 3*time.Second {
			w.Errorf("the key was sent after %v, before the answer", d)
		}
		if err := call.Hangup(w.Context()); err != nil {
			w.Errorf("hang up: %v", err)
		}
		if s := <-events; s != "Retrying Ringing EarlyMedia PathReady Answered Ended" {
			w.Errorf("the events were %s", s)
		}
	})
}

// secureEarly is a call to a softphone that sends its answer in a 183. It starts
// ICE and DTLS after iceAt, and answers after answerAt with the SDP of that version.
func secureEarly(t *testing.T, n int, iceAt, answerAt time.Duration) {
	t.Helper()
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.softphone()
		go phone.audio.WritePCM(tone(400, time.Minute))
		go func() {
			in := phone.next()
			if in == nil {
				return
			}
			_ = in.Respond(183, "", "application/sdp", phone.text(phone.local, "active"))
			time.AfterFunc(answerAt, func() {
				_ = in.Respond(200, "", "application/sdp", version(w.T, phone.text(phone.local, "active"), n))
			})
			time.Sleep(iceAt) // virtual
			if err := phone.connect(w.Context(), ice.Controlled, true, in.Request.Body()); err != nil {
				w.Errorf("the phone: %v", err)
			}
		}()
		call, err := alice.Start(w.Context(), toPhone, nil)
		if err != nil {
			w.Fatal(err)
		}
		defer call.Close()
		early := hears(w.T, call, 400, min(2*time.Second, answerAt))
		if heard := early > 0.9; heard != (iceAt < answerAt) {
			w.Errorf("before the answer the phone's sound has %.2f of the energy heard", early)
		}
		if err := call.Answered(w.Context()); err != nil {
			w.Fatal(err)
		}
		_ = hears(w.T, call, 400, 3*time.Second)
		if share := hears(w.T, call, 400, 2*time.Second); share < 0.9 {
			w.Errorf("after the answer: %.2f of the energy heard, want 0.9; the call: %v", share, call.Err())
		}
		if call.Err() != nil || !call.Security().Encrypted() {
			w.Errorf("ended with %v, protected by %+v", call.Err(), call.Security())
		}
	})
}

// TestRFC8445EarlySecureMedia: ICE and DTLS run on the 183 and their result is
// kept at the answer, even when the SDP of the 200 has another version.
func TestRFC8445EarlySecureMedia(t *testing.T) {
	t.Run("the same SDP in the 200", func(t *testing.T) { secureEarly(t, 1, 0, 3*time.Second) })
	t.Run("another version in the 200", func(t *testing.T) { secureEarly(t, 2, 0, 3*time.Second) })
}

// TestRFC8445CalleeBeginsLate: a callee that begins ICE with its answer, however
// long it rang, is waited for.
func TestRFC8445CalleeBeginsLate(t *testing.T) {
	for _, rings := range []time.Duration{5 * time.Second, 19500 * time.Millisecond, 25 * time.Second, time.Minute} {
		t.Run(rings.String(), func(t *testing.T) { secureEarly(t, 1, rings+time.Second, rings) })
	}
}

// TestRFC3261Section13Forks: many legs ring, the first one with sound multiplexes
// RTCP, and another leg without that answers: its media is connected, RTCP port and all.
func TestRFC3261Section13Forks(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.publicAlice(nil)
		phone := &phone{w: w, ip: phoneIP}
		invites := 0
		w.sipServer(func(r *rawRequest) {
			switch {
			case r.method != "INVITE":
				r.reply("200 OK", "b", nil)
				return
			case invites == 0:
				r.reply("488 Not Acceptable Here", "x", nil)
			case invites == 1:
				r.reply("183 Session Progress", "a", phone.sdp("a=rtcp-mux"))
				for i := range 30 {
					r.reply("180 Ringing", fmt.Sprint("f", i), phone.sdp(fmt.Sprint("a=x:", i)))
				}
				time.AfterFunc(time.Second, func() { r.reply("200 OK", "b", phone.sdp()) })
			}
			invites++
		})
		phone.rtp = w.socket(phoneIP)
		call, err := alice.Dial(w.Context(), toPhone, allowPlain)
		if err != nil {
			w.Fatal(err)
		}
		go call.Audio().WritePCM(tone(400, 2*time.Second))
		if _, share := phone.hears(0, 400, 2*time.Second); share < 0.9 {
			w.Errorf("the leg that answered hears alice with %.2f of the energy, want 0.9", share)
		}
		if call.Err() != nil {
			w.Errorf("the call ended: %v", call.Err())
		}
		if err := call.Hangup(w.Context()); err != nil {
			w.Errorf("hang up: %v", err)
		}
	})
}

// TestRFC5761EarlyMuxThenNot: the 183 multiplexes RTCP and the 200 of the same leg
// does not: the RTCP port is still there.
func TestRFC5761EarlyMuxThenNot(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, phone := w.publicAlice(nil), w.phone()
		rtcp, err := w.hosts["phone"].ListenPacket(w.Context(), "udp", phoneIP+":4001")
		if err != nil {
			w.Fatal(err)
		}
		defer rtcp.Close()
		go func() {
			in := phone.plain()
			if in == nil {
				return
			}
			_ = in.Respond(183, "", "application/sdp", phone.sdp("a=rtcp-mux"))
			time.Sleep(time.Second) // virtual
			_ = in.Respond(200, "", "application/sdp", phone.sdp())
		}()
		call, err := alice.Dial(w.Context(), toPhone, allowPlain)
		if err != nil {
			w.Fatal(err)
		}
		if err := rtcp.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			w.Fatal(err)
		}
		if _, _, err := rtcp.ReadFrom(make([]byte, 2000)); err != nil {
			w.Errorf("no RTCP comes to the port after that of RTP: %v", err)
		}
		if err := call.Hangup(w.Context()); err != nil {
			w.Errorf("hang up: %v", err)
		}
	})
}
