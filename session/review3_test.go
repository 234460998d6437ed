package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
	"github.com/peercall/peercall/sip"
)

// modern is a phone with ICE and DTLS made of the rooms.
func attr(sdp []byte, name string) (all []string) {
	for l := range strings.Lines(string(sdp)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "a="+name+":"); ok {
			all = append(all, v)
		}
	}
	return
}

// R12: the 200's SDP differs from the 183's in o= only; ICE and DTLS were up already.
func TestReview200DiffersFrom183DTLS(t *testing.T) { modern(t, 2, 0, 2*time.Second, false) }

// R12b: the same SDP in both; ICE of the callee begins at the answer, 19.5 s and 25 s after the 183.
func TestReviewLateICE19(t *testing.T) {
	modern(t, 1, 20500*time.Millisecond, 19500*time.Millisecond, true)
}
func TestReviewLateICE25(t *testing.T) { modern(t, 1, 25500*time.Millisecond, 25*time.Second, true) }
func TestReviewLateICE5(t *testing.T)  { modern(t, 1, 5500*time.Millisecond, 5*time.Second, true) }

func modern(t *testing.T, v200 int, iceAfter, answerAfter time.Duration, late bool) {
	inWorld(t, func(w *world) {
		alice := w.publicAlice(nil)
		host := w.host("phone", "203.0.113.30", nil)
		ins := make(chan *sip.IncomingInvite, 1)
		agent, err := sip.Listen(w.Context(), &sip.Config{Network: host, Listen: []string{"udp://203.0.113.30:5060", "tcp://203.0.113.30:5060"}, OnInvite: func(in *sip.IncomingInvite) { ins <- in }})
		if err != nil {
			w.Fatal(err)
		}
		w.Cleanup(func() { _ = agent.Close() })
		go func() {
			var in *sip.IncomingInvite
			select {
			case in = <-ins:
			case <-w.Context().Done():
				return
			}
			offer := in.Request.Body()
			g, err := ice.NewGatherer(w.Context(), &ice.Config{Network: host})
			if err != nil {
				w.Error(err)
				return
			}
			defer g.Close()
			l, err := g.Local(w.Context())
			if err != nil {
				w.Error(err)
				return
			}
			cert, _ := media.NewCertificate()
			fp, _ := media.FingerprintOf(cert)
			sdp := func(v int) []byte {
				s := fmt.Sprintf("v=0\r\no=- 1 %d IN IP4 203.0.113.30\r\ns=-\r\nc=IN IP4 203.0.113.30\r\nt=0 0\r\nm=audio %d UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\na=setup:active\r\na=fingerprint:%s\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", v, l.Default.Port(), fp, l.Ufrag, l.Pwd)
				for _, c := range l.Candidates {
					s += "a=candidate:" + strings.TrimPrefix(c.String(), "candidate:") + "\r\n"
				}
				return []byte(s)
			}
			_ = in.Respond(183, "", "application/sdp", sdp(1))
			answer := func() { _ = in.Respond(200, "", "application/sdp", sdp(v200)) }
			if late {
				time.Sleep(answerAfter)
				answer()
				time.Sleep(iceAfter - answerAfter)
			}
			rd := ice.Description{Ufrag: attr(offer, "ice-ufrag")[0], Pwd: attr(offer, "ice-pwd")[0]}
			for _, c := range attr(offer, "candidate") {
				if x, err := ice.ParseCandidate(c); err == nil && x.Component == 1 {
					rd.Candidates = append(rd.Candidates, x)
				}
			}
			path, err := g.Connect(w.Context(), ice.Controlled, rd)
			if err != nil {
				t.Log("phone ICE", err)
				return
			}
			rf, _ := media.ParseFingerprint(attr(offer, "fingerprint")[0])
			tr, err := media.NewTransport(w.Context(), &media.TransportConfig{RTP: path, Keys: media.Keys{DTLS: &media.DTLS{Certificate: cert, Client: true, Remote: []media.Fingerprint{rf}}}})
			if err != nil {
				w.Error("phone DTLS", err)
				return
			}
			defer tr.Close()
			a := media.NewAudio(media.Format{Rate: 16000, Channels: 1})
			pcmu := media.Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
			st, err := tr.NewStream(&media.StreamConfig{Audio: a, Send: pcmu, Receive: []media.Codec{pcmu}, Sending: true, Receiving: true})
			if err != nil {
				w.Error(err)
				return
			}
			defer st.Close()
			defer a.Close()
			go a.WritePCM(tone(400, 100*time.Second))
			if !late {
				time.Sleep(answerAfter)
				answer()
			}
			select {
			case <-w.Context().Done():
			case <-time.After(60 * time.Second):
			}
		}()
		call, err := alice.Start(w.Context(), "sip:phone@203.0.113.30", nil)
		if err != nil {
			w.Fatal(err)
		}
		defer call.Close()
		if s := hears(w.T, call, 400, 2*time.Second); s < 0.9 && !late {
			w.Errorf("early: %.2f", s)
		}
		if err := call.Answered(w.Context()); err != nil {
			w.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if s := hears(w.T, call, 400, 2*time.Second); s < 0.9 {
			w.Errorf("after the answer: %.2f, %v", s, call.Err())
		}
		time.Sleep(10 * time.Second)
		if call.Err() != nil {
			w.Errorf("ended: %v", call.Err())
		}
	})
}

// R13: forks by a raw peer: early media from leg A (mux), answer by leg B without mux.
func TestReviewForks(t *testing.T) {
	inWorld(t, func(w *world) {
		alice := w.publicAlice(nil)
		host := w.host("proxy", "203.0.113.30", nil)
		c, err := host.ListenPacket(w.Context(), "udp", "203.0.113.30:5060")
		if err != nil {
			w.Fatal(err)
		}
		defer c.Close()
		rtp, _ := host.ListenPacket(w.Context(), "udp", "203.0.113.30:4000")
		defer rtp.Close()
		sdp := func(extra string) string {
			return "v=0\r\no=- 1 1 IN IP4 203.0.113.30\r\ns=-\r\nc=IN IP4 203.0.113.30\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n" + extra
		}
		go func() {
			buf := make([]byte, 9000)
			n488 := 0
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				msg := string(buf[:n])
				if !strings.HasPrefix(msg, "INVITE") && !strings.HasPrefix(msg, "BYE") && !strings.HasPrefix(msg, "CANCEL") {
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
				reply := func(status, tag, body string) {
					r := "SIP/2.0 " + status + "\r\nVia: " + h("Via") + "\r\nFrom: " + h("From") + "\r\nTo: " + strings.SplitN(h("To"), ";tag", 2)[0] + ";tag=" + tag +
						"\r\nCall-ID: " + h("Call-ID") + "\r\nCSeq: " + h("CSeq") + "\r\nContact: <sip:" + tag + "@203.0.113.30>\r\n"
					if body != "" {
						r += "Content-Type: application/sdp\r\n"
					}
					r += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
					_, _ = c.WriteTo([]byte(r), from)
				}
				if !strings.HasPrefix(msg, "INVITE") {
					reply("200 OK", "b", "")
					continue
				}
				if n488 == 0 {
					n488++
					reply("488 No", "x", "")
					continue
				}
				if n488++; n488 > 2 {
					continue
				}
				for i := range 30 {
					reply("180 Ringing", fmt.Sprint("f", i), sdp("a=x:"+fmt.Sprint(i)+"\r\n"))
				}
				reply("183 A", "a", sdp("a=rtcp-mux\r\n"))
				time.Sleep(time.Second)
				reply("200 OK", "b", sdp(""))
			}
		}()
		call, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if call.Err() != nil {
			w.Errorf("call: %v", call.Err())
		}
		_ = call.Hangup(w.Context())
	})
}

// R13b: leg A muxes and is heard early, leg B answers without mux.
func TestReviewForkReleasesRTCP(t *testing.T) {
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
			_ = in.Respond(183, "", "application/sdp", phone.sdp("a=rtcp-mux"))
			time.Sleep(time.Second)
			_ = in.Respond(200, "", "application/sdp", phone.sdp())
		}()
		call, err := alice.Dial(w.Context(), "sip:phone@203.0.113.30", &session.DialOptions{Security: session.AllowPlain})
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Second)
		if call.Err() != nil {
			w.Errorf("call: %v", call.Err())
		}
		_ = call.Hangup(w.Context())
	})
}

// R15: handler endings
func TestReviewHandlerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		mode := "return"
		n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
			switch mode {
			case "return":
			case "panic":
				panic("x")
			case "panic after":
				_, _ = in.Answer(ctx)
				panic("y")
			case "return after":
				_, _ = in.Answer(ctx)
			case "hangup before":
				_ = in.Ring(ctx)
			}
		})})
		alice := n.Listen("alice", nil)
		for _, m := range []string{"return", "panic", "panic after", "return after"} {
			mode = m
			call, err := alice.Dial(t.Context(), "sip:bob@bob.example", nil)
			if call != nil {
				_ = call.Wait(t.Context())
				t.Log(m, call.Err())
			} else {
				t.Log(m, err)
			}
		}
	})
}

// R16: Shutdown
func TestReviewShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sessiontest.Pair(t)
		go func() { time.Sleep(5 * time.Second); _ = p.BobCall.Hangup(context.Background()) }()
		began := time.Now()
		t.Log(p.Alice.Shutdown(t.Context()), time.Since(began))
		t.Log(p.Alice.Shutdown(t.Context()), p.Alice.Close())
		_, err := p.Alice.Dial(t.Context(), "sip:bob@bob.example", nil)
		t.Log(err)
	})
}

// R17: real time: does Close send the BYE?
func TestReviewCloseByeRealTime(t *testing.T) {
	lost := 0
	for range 10 {
		t.Run("", func(t *testing.T) {
			p := sessiontest.Pair(t)
			_ = p.Alice.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := p.BobCall.Wait(ctx); err != nil {
				lost++
			}
		})
	}
	if lost > 0 {
		t.Errorf("%d of 10 BYEs were never sent", lost)
	}
}
