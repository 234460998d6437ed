package session_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
	"github.com/peercall/peercall/sip"
)

func TestReviewReasonEscapes(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.publicAlice(nil)
		host := w.host("proxy", "203.0.113.30", nil)
		c, err := host.ListenPacket(w.Context(), "udp", "203.0.113.30:5060")
		if err != nil {
			w.Fatal(err)
		}
		defer c.Close()
		go func() {
			buf := make([]byte, 9000)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				msg := string(buf[:n])
				if !strings.HasPrefix(msg, "INVITE") {
					continue
				}
				h := func(name string) (v string) {
					for l := range strings.Lines(msg) {
						if x, ok := strings.CutPrefix(strings.ToLower(l), strings.ToLower(name)+":"); ok {
							return strings.TrimSpace(l[len(l)-len(x):])
						}
					}
					return
				}
				for _, s := range []string{"180 \x1b[31mRed\x07", "486 \x1b[32mBusy"} {
					_, _ = c.WriteTo([]byte("SIP/2.0 "+s+"\r\nVia: "+h("Via")+"\r\nFrom: "+h("From")+"\r\nTo: "+h("To")+";tag=t\r\nCall-ID: "+h("Call-ID")+"\r\nCSeq: "+h("CSeq")+"\r\nContact: <sip:x@203.0.113.30>\r\nContent-Length: 0\r\n\r\n"), from)
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
		call, err := alice.Start(w.Context(), "sip:phone@203.0.113.30", nil)
		if err != nil {
			w.Fatal(err)
		}
		for ev := range call.Events(w.Context()) {
			switch ev := ev.(type) {
			case session.Ringing:
				t.Logf("%q", ev.Reason)
				if strings.Contains(ev.Reason, "\x1b") {
					t.Error("escape sequence in Ringing.Reason")
				}
			case session.Ended:
				t.Logf("%q", ev.Err.Error())
				if strings.Contains(ev.Err.Error(), "\x1b") {
					t.Error("escape sequence in EndError")
				}
			}
		}
	})
}

// ep.Close from a handler, from an event loop.
func TestReviewCloseFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		var bob *session.Endpoint
		done := make(chan struct{})
		bob = n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			c, err := in.Answer(ctx)
			if err != nil {
				return
			}
			_ = c.Close()
			_ = c.Hangup(context.Background())
			_ = bob.Close()
			close(done)
		})})
		alice := n.Listen("alice", nil)
		call, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		for ev := range call.Events(t.Context()) {
			if _, ok := ev.(session.Ended); ok {
				_ = call.Hangup(t.Context())
				_ = alice.Close()
			}
		}
		<-done
	})
}

// a stranger's INVITE reaches an endpoint that has a registrar.
func TestReviewStranger(t *testing.T) {
	inWorld(t, func(w *world) {
		got := make(chan struct{}, 1)
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) { got <- struct{}{}; _ = in.Reject(ctx, 486) }, func(c *session.Config) {
			c.Network = w.host("pub", "203.0.113.40", nil)
			c.Listen = []string{"udp://203.0.113.40:5060", "tcp://203.0.113.40:5060"}
		})
		w.registered(bob)
		ph := w.phone("203.0.113.30")
		uri := "sip:bob@203.0.113.40"
		_, _, err := ph.dialogTo(uri, []byte(strings.Replace(string(ph.sdp("a=setup:actpass", "a=fingerprint:sha-256 "+strings.TrimSuffix(strings.Repeat("AA:", 32), ":"))), "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1)))
		t.Log(err)
		select {
		case <-got:
			w.Error("the handler was called by a stranger who bypassed the registrar")
		default:
		}
	})
}

// removed audio (488) forgets the ICE and DTLS state: changed credentials pass afterwards.
func TestReviewPortZeroForgets(t *testing.T) {
	inWorld(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.publicAlice(func(cfg *session.Config) { cfg.Handler = answering(calls) })
		ph := w.phone("203.0.113.30")
		mk := func(v, ufrag, port string) []byte {
			s := string(ph.sdp("a=setup:actpass", "a=fingerprint:sha-256 "+strings.TrimSuffix(strings.Repeat("AA:", 32), ":"), "a=rtcp-mux")) +
				"a=ice-ufrag:" + ufrag + "\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 UDP 2130706431 203.0.113.30 4000 typ host\r\n"
			s = strings.Replace(s, "o=- 1 1", "o=- 1 "+v, 1)
			return []byte(strings.Replace(s, "m=audio 4000 RTP/AVP", "m=audio "+port+" UDP/TLS/RTP/SAVPF", 1))
		}
		d, _, err := ph.dialogTo("sip:alice@203.0.113.20", mk("1", "aaaa", "4000"))
		if err != nil {
			w.Fatal(err)
		}
		<-calls
		_, err = reinvite(d, mk("2", "bbbb", "4000"))
		t.Log("restart:", err)
		_, err = reinvite(d, mk("3", "aaaa", "0"))
		t.Log("port 0:", err)
		_, err = reinvite(d, mk("4", "bbbb", "4000"))
		t.Log("restart again:", err)
		if err == nil {
			w.Error("an ICE restart is accepted after a refused port 0")
		}
		_ = d.Bye(w.Context())
		_ = sip.URI{}
	})
}
