package session_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
)

// FuzzHostileDescriptions: whatever a peer offers, offers again in a re-INVITE and
// an UPDATE, answers in an ACK, or answers to a call of ours: nothing panics,
// nothing of those calls is left when it has hung up, and a call that goes on
// beside them is as it was.
func FuzzHostileDescriptions(f *testing.F) {
	const head = "v=0\r\no=- 1 1 IN IP4 203.0.113.30\r\ns=-\r\nc=IN IP4 203.0.113.30\r\nt=0 0\r\n"
	const plain = head + "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	const secure = head + "m=audio 4000 UDP/TLS/RTP/SAVPF 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=setup:actpass\r\n" + fingerprintOfNobody + "\r\na=rtcp-mux\r\n"
	const withICE = secure + "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 203.0.113.30 4000 typ host\r\n"
	for _, s := range [][2]string{
		{plain, plain + "a=sendonly\r\n"},
		{plain, head + "m=audio 0 RTP/AVP 0\r\n"},
		{plain, "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"},
		{"", plain},
		{plain, head + "m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"},
		{secure, plain},
		{withICE, secure},
		{withICE, withICE + "a=inactive\r\na=ice-ufrag:other\r\n"},
		{"hello", "v=0\no=-\ns=\nm=audio 1 RTP/AVP 0\nc=IN IP6 ::1"},
		{head + "m=audio 65535 RTP/AVP 0 8 9\r\nc=IN IP4 phone.example\r\na=rtcp:1\r\na=ptime:0\r\n", head},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first)+len(second) > 64<<10 {
			t.Skip("limits of messages are sip's")
		}
		inWorld(t, func(w *world) {
			calls := make(chan *session.Call, 8)
			alice := w.publicAlice(func(cfg *session.Config) {
				cfg.Handler, cfg.Security, cfg.MediaTimeout = answering(calls), session.AllowPlain, -1
			})
			phone := w.phone()
			_, answer := phone.calls(phone.sdp())
			honest := <-calls

			for _, offer := range [][]byte{first, nil} { // nil: the answer is in the ACK
				a := phone.invite(toAlice, "application/sdp", offer, func([]byte) []byte { return first })
				if a.err != nil {
					continue
				}
				time.Sleep(100 * time.Millisecond) // virtual
				_, _ = reinvite(a.dialog, second, nil)
				_, _ = a.dialog.Do(w.Context(), "UPDATE", "application/sdp", first)
				_, _ = reinvite(a.dialog, nil, func([]byte) []byte { return second })
				time.Sleep(time.Second)
				_ = a.dialog.Bye(w.Context())
			}

			go func() {
				if in := phone.plain(); in != nil {
					_ = in.Respond(183, "", "application/sdp", first)
					_ = in.Respond(200, "", "application/sdp", second)
				}
			}()
			ctx, cancel := context.WithTimeout(w.Context(), time.Second)
			defer cancel()
			if call, err := alice.Dial(ctx, toPhone, nil); err == nil {
				time.Sleep(time.Second)
				_ = call.Hangup(ctx)
			}

			phone.talk(honest, answer)
			time.Sleep(40 * time.Second) // every transaction has ended
			synctest.Wait()
			if s := alice.Stats(); s.Calls != 1 || s.SIP.Dialogs != 1 || honest.Err() != nil {
				t.Errorf("%d calls and %d dialogs are left, want the honest one, which ended with %v", s.Calls, s.SIP.Dialogs, honest.Err())
			}
		})
	})
}
