package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

// TestOffersRefused: offers that we do not take get 488 and a Warning, or the
// status that says what is wrong with them, and the handler never hears of them.
func TestOffersRefused(t *testing.T) {
	const dtls = "m=audio 4000 UDP/TLS/RTP/SAVPF 0"
	phoneSDP := func(p *phone, media string, extra ...string) []byte {
		return edit(p.w.T, p.sdp(extra...), "m=audio 4000 RTP/AVP 0", media)
	}
	for _, c := range []struct {
		name, contentType string
		body              func(*phone) []byte
		code              int
		warning           string
	}{
		{"plain RTP", "application/sdp", func(p *phone) []byte { return p.sdp() }, 488, "Incompatible transport protocol"},
		{"DTLS without a fingerprint", "application/sdp", func(p *phone) []byte { return phoneSDP(p, dtls, "a=setup:actpass") }, 488, ""},
		{"no codec in common", "application/sdp", func(p *phone) []byte {
			return phoneSDP(p, "m=audio 4000 UDP/TLS/RTP/SAVPF 96", "a=setup:actpass", fingerprintOfNobody, "a=rtpmap:96 iLBC/8000")
		}, 488, "Incompatible media format"},
		{"no SDP", "application/sdp", func(*phone) []byte { return []byte("hello") }, 400, ""},
		{"another type", "text/plain", func(p *phone) []byte { return p.sdp() }, 415, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.publicAlice(func(cfg *session.Config) {
					cfg.Handler = session.HandlerFunc(func(context.Context, *session.Incoming) { w.Error("the handler was called") })
				})
				phone := w.phone()
				err := phone.invite(toAlice, c.contentType, c.body(phone), nil).err
				wantStatus(w.T, err, c.code)
				se, ok := errors.AsType[*sip.StatusError](err)
				if ok && c.code == 488 && (se.Warning == "" || !strings.Contains(se.Warning, c.warning)) {
					w.Errorf("the Warning is %q, want one with %q", se.Warning, c.warning)
				}
			})
		})
	}
}

// TestRFC3264Section5LateOffer: an INVITE without a session description is
// answered by an offer, and the answer comes in the ACK. One that does not fit the
// offer ends the call by BYE.
func TestRFC3264Section5LateOffer(t *testing.T) {
	t.Run("a good answer", func(t *testing.T) {
		inWorld(t, func(w *world) {
			calls := w.answeringAlice(0)
			phone := w.softphone()
			var offer []byte
			a := phone.invite(toAlice, "", nil, func(o []byte) []byte {
				offer = o
				return phone.text(phone.local, "active")
			})
			if a.err != nil {
				w.Fatal(a.err)
			}
			if o := string(offer); !strings.Contains(o, "UDP/TLS/RTP/SAVP") || !strings.Contains(o, "a=setup:actpass") {
				w.Errorf("the late offer is not one of DTLS-SRTP: %s", o)
			}
			call := <-calls
			// The callee made the offer: it controls ICE (RFC 8445 section 6.1.1).
			if err := phone.connect(w.Context(), ice.Controlled, true, offer); err != nil {
				w.Fatal(err)
			}
			phone.talk(call)
		})
	})
	t.Run("an answer without encryption", func(t *testing.T) {
		inWorld(t, func(w *world) {
			calls := w.answeringAlice(session.AllowPlain)
			phone := w.phone()
			if a := phone.invite(toAlice, "", nil, func([]byte) []byte { return phone.sdp() }); a.err != nil {
				w.Fatal(a.err)
			}
			call := <-calls
			if err := call.Wait(w.Context()); err == nil {
				w.Error("the call goes on with an answer that does not fit the offer")
			}
			wantEnd(w.T, "alice", call, session.NoMedia)
		})
	})
}

// TestRFC3264Section84OfferOnHold: a call offered with 0.0.0.0 is answered and
// waits; a re-INVITE with an address connects it.
func TestRFC3264Section84OfferOnHold(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := w.answeringAlice(session.AllowPlain)
		phone := w.phone()
		dialog, answer := phone.calls(edit(w.T, phone.sdp(), "c=IN IP4 "+phoneIP, "c=IN IP4 0.0.0.0"))
		call := <-calls
		time.Sleep(time.Minute) // virtual: neither the time for connecting nor that of silence counts
		if call.Err() != nil {
			w.Fatalf("the call ended on hold: %v", call.Err())
		}
		if _, err := reinvite(dialog, version(w.T, phone.sdp(), 2), nil); err != nil {
			w.Fatal(err)
		}
		phone.talk(call, answer)
	})
}

// TestHostNameInSDP: a telephone that names its media address by a host name.
func TestHostNameInSDP(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sim.AddName("phone.example", phoneIP)
		calls := w.answeringAlice(session.AllowPlain)
		phone := w.phone()
		_, answer := phone.calls(edit(w.T, phone.sdp(), "c=IN IP4 "+phoneIP, "c=IN IP4 phone.example"))
		phone.talk(<-calls, answer)
	})
}
