package session_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

func overTLS(t *testing.T, f func(w *world)) {
	t.Helper()
	inWorldOver(t, "tls", netsim.PortRestricted, f)
}

// TestCallOverTLS: signalling by TLS through the registrar, media by DTLS-SRTP, ICE.
func TestCallOverTLS(t *testing.T) {
	overTLS(t, func(w *world) {
		w.sim.Trace(func(p netsim.Packet) {
			if bytes.Contains(p.Payload, []byte("SIP/2.0")) {
				w.Errorf("sent in clear: %.200q", p.Payload)
			}
		})
		alice, bob := w.established()
		talk(w.T, alice, bob)
		for _, c := range []*session.Call{alice, bob} {
			if s := c.Security(); s.Hop != "TLS" || !s.HopVerified || s.Profile != "DTLS-SRTP" || s.LocalFingerprint == "" {
				w.Errorf("protected by %+v", s)
			}
		}
		if err := alice.Hold(w.Context()); err != nil {
			w.Error(err)
		}
		if err := alice.Hangup(w.Context()); err != nil {
			w.Error(err)
		}
		if err := bob.Wait(w.Context()); err != nil {
			w.Error(err)
		}
	})
}

// sdesPhone is a telephone that knows SDES and no DTLS. It is bob, behind the registrar.
func (w *world) sdesPhone() (*phone, *sip.Account) {
	w.Helper()
	p := &phone{w: w, ip: phoneIP, in: make(chan *sip.IncomingInvite, 4)}
	var err error
	p.agent, err = sip.Listen(w.Context(), &sip.Config{
		Network: w.host("phone", phoneIP, nil), Listen: []string{"udp://" + phoneIP + ":5060", "tcp://" + phoneIP + ":5060"},
		TLS: w.ca.Client(), OnInvite: func(in *sip.IncomingInvite) { p.in <- in },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = p.agent.Close() })
	p.rtp = w.socket(phoneIP)
	acct := &sip.Account{AOR: sip.URI{Scheme: "sip", User: "bob", Host: "example.org"}, Password: passwords["bob"]}
	acct.Registrar = sip.URI{Scheme: "sip", Host: "example.org", Params: ";transport=tls"}
	r, err := p.agent.Register(acct, nil)
	if err != nil {
		w.Fatal(err)
	}
	if err := r.Registered(w.Context()); err != nil {
		w.Fatal(err)
	}
	return p, acct
}

// registeredAlice is a public alice who registers over TLS.
func (w *world) registeredAlice(change func(*session.Config)) *session.Endpoint {
	w.Helper()
	ep := w.publicAlice(func(cfg *session.Config) {
		cfg.Identity, cfg.Password, cfg.Registrar, cfg.TLS = "sip:alice@example.org", passwords["alice"], "sip:example.org;transport=tls", w.ca.Client()
		if change != nil {
			change(cfg)
		}
	})
	w.registered(ep)
	return ep
}

// key is a crypto line of a suite; n tells keys apart.
func key(tag int, suite string, n byte) string {
	size := 30
	if suite == "AEAD_AES_128_GCM" {
		size = 28
	}
	return fmt.Sprintf("%d %s inline:%s", tag, suite, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, size)))
}

// sdes is the phone's SDP with a crypto line.
func (p *phone) sdes(crypto string) []byte {
	return edit(p.w.T, p.sdp("a=crypto:"+crypto), "RTP/AVP", "RTP/SAVP")
}

// context makes SRTP of a crypto line.
func (p *phone) context(crypto string) *srtp.Context {
	p.w.Helper()
	f := strings.Fields(crypto)
	text, _, _ := strings.Cut(strings.TrimPrefix(f[2], "inline:"), "|")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		p.w.Fatal(err)
	}
	c, err := srtp.CreateContext(raw[:16], raw[16:], map[string]srtp.ProtectionProfile{
		"AEAD_AES_128_GCM": srtp.ProtectionProfileAeadAes128Gcm, "AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80,
		"AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32,
	}[f[1]])
	if err != nil {
		p.w.Fatal(err)
	}
	return c
}

// keys makes the phone send and receive SRTP.
func (p *phone) keys(ours, theirs string) {
	out, in := p.context(ours), p.context(theirs)
	p.protect = func(b []byte) []byte { b, _ = out.EncryptRTP(nil, b, nil); return b }
	p.unprotect = func(b []byte) []byte { b, _ = in.DecryptRTP(nil, b, nil); return b }
}

// TestRFC4568Retry: a callee that cannot do DTLS-SRTP is called again with SDES when our
// own hop is TLS. Each suite works, and no key is in a log.
func TestRFC4568Retry(t *testing.T) {
	for tag, suite := range []string{"AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"} {
		t.Run(suite, func(t *testing.T) {
			overTLS(t, func(w *world) {
				log := &syncBuffer{}
				phone, _ := w.sdesPhone()
				alice := w.registeredAlice(func(cfg *session.Config) {
					cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					cfg.Trace = func(tr sip.Trace) { fmt.Fprintf(log, "%+v", tr) }
				})
				offered := make(chan []byte, 1)
				ours := key(tag+1, suite, 'k')
				go func() {
					in := phone.plain()
					if in == nil {
						return
					}
					_ = in.Respond(200, "", "application/sdp", phone.sdes(ours))
					offered <- in.Request.Body()
				}()
				call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
				if err != nil {
					w.Fatal(err)
				}
				offer := <-offered
				lines := attr(offer, "crypto")
				if len(lines) != 3 || !strings.Contains(lines[0], "AEAD_AES_128_GCM") || !bytes.Contains(offer, []byte("RTP/SAVP ")) || bytes.Contains(offer, []byte("fingerprint")) {
					w.Fatalf("the second offer is %s", offer)
				}
				phone.keys(ours, lines[tag])
				phone.talk(call, offer)
				if s := call.Security(); s.Hop != "TLS" || !s.HopVerified || s.Profile != "SDES" || s.Suite != suite || s.LocalFingerprint != "" {
					w.Errorf("protected by %+v", s)
				}
				for _, l := range append(lines, ours) {
					if secret := l[strings.Index(l, "inline:")+7:]; strings.Contains(log.String(), secret[:20]) {
						w.Error("a key is in the log")
					}
				}
			})
		})
	}
}

// TestRFC4568IncomingAndRekey: SDES over TLS is taken from a caller; our key stays in a
// re-offer; a peer that takes another key then is still heard.
func TestRFC4568IncomingAndRekey(t *testing.T) {
	overTLS(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		w.registeredAlice(func(cfg *session.Config) { cfg.Handler = answering(calls) })
		phone, acct := w.sdesPhone()
		first, second := key(7, "AES_CM_128_HMAC_SHA1_80", '1'), key(7, "AES_CM_128_HMAC_SHA1_80", '2')
		on, done := outcome(nil)
		uri := sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}
		if _, err := phone.agent.Invite(&sip.OutRequest{URI: uri, Account: acct, ContentType: "application/sdp", Body: phone.sdes(first)}, on); err != nil {
			w.Fatal(err)
		}
		a := <-done
		if a.err != nil {
			w.Fatal(a.err)
		}
		call := <-calls
		theirs := attr(a.body, "crypto")
		if len(theirs) != 1 || !strings.HasPrefix(theirs[0], "7 AES_CM_128_HMAC_SHA1_80 inline:") {
			w.Fatalf("the answer is %s", a.body)
		}
		phone.keys(first, theirs[0])
		phone.talk(call, a.body)

		again := make(chan []byte, 2)
		a.dialog.Handle(func(ev sip.DialogEvent) {
			if in, ok := ev.(sip.DialogInvite); ok {
				again <- in.Request.Body()
				_ = in.Respond(200, "", "application/sdp", version(w.T, phone.sdes(second), 2))
			}
		})
		if err := call.Resume(w.Context()); err != nil { // a re-INVITE
			w.Fatal(err)
		}
		if kept := attr(<-again, "crypto"); len(kept) != 1 || kept[0] != theirs[0] {
			w.Errorf("the re-offer has %d other keys than %d", len(kept), len(theirs))
		}
		out := phone.context(second)
		phone.protect = func(b []byte) []byte { b, _ = out.EncryptRTP(nil, b, nil); return b }
		phone.talk(call, a.body)
		// Another suite, and no protection, are not for a call that goes on.
		for _, weaker := range [][]byte{phone.sdes(key(7, "AES_CM_128_HMAC_SHA1_32", '3')), phone.sdp()} {
			_, err := reinvite(a.dialog, version(w.T, weaker, 3), nil)
			wantStatus(w.T, err, 488)
		}
		phone.talk(call, a.body)
	})
}

// TestSDESBetweenEndpoints: two of us behind NATs with SDES and ICE, held by
// either side; the first offer is refused by hand.
func TestSDESBetweenEndpoints(t *testing.T) {
	overTLS(t, func(w *world) {
		calls := make(chan *session.Call, 1)
		answer, first := answering(calls), make(chan struct{}, 1)
		first <- struct{}{}
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			select {
			case <-first:
				_ = in.Reject(ctx, 488)
			default:
				answer(ctx, in)
			}
		})
		alice := w.person("alice", nil)
		w.registered(alice, bob)
		a, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		if err != nil {
			w.Fatal(err)
		}
		b := <-calls
		talk(w.T, a, b)
		for _, c := range []*session.Call{a, b} {
			if s := c.Security(); s.Profile != "SDES" || s.Suite != "AEAD_AES_128_GCM" || s.Hop != "TLS" {
				w.Errorf("protected by %+v", s)
			}
			if err := c.Hold(w.Context()); err != nil {
				w.Error(err)
			}
			time.Sleep(5 * time.Second)
			if err := c.Resume(w.Context()); err != nil {
				w.Error(err)
			}
		}
		a.Audio().Discard()
		b.Audio().Discard()
		talk(w.T, a, b)
	})
}

// TestHostileSDESInClear: keys that anyone on the way can read are refused, also by who
// allows plain RTP, and so are they by who wants DTLS-SRTP over TLS.
func TestHostileSDESInClear(t *testing.T) {
	for _, security := range []session.Protection{session.AllowSDES, session.AllowPlain} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(transport+", "+security.String(), func(t *testing.T) {
				inWorld(t, func(w *world) {
					w.answeringAlice(security)
					phone := w.phone()
					wantStatus(w.T, phone.invite(toAlice+";transport="+transport, "application/sdp", phone.sdes(key(1, "AES_CM_128_HMAC_SHA1_80", 'k')), nil).err, 488)
				})
			})
		}
	}
	t.Run("DTLS required", func(t *testing.T) {
		overTLS(t, func(w *world) {
			phone, acct := w.sdesPhone()
			alice := w.registeredAlice(func(cfg *session.Config) { cfg.Handler, cfg.Security = answering(nil), session.RequireDTLS })
			on, done := outcome(nil)
			uri := sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}
			if _, err := phone.agent.Invite(&sip.OutRequest{URI: uri, Account: acct, ContentType: "application/sdp", Body: phone.sdes(key(1, "AEAD_AES_128_GCM", 'k'))}, on); err != nil {
				w.Fatal(err)
			}
			wantStatus(w.T, (<-done).err, 488)
			go func() {
				if in := phone.next(); in != nil {
					_ = in.Respond(488, "", "", nil)
				}
			}()
			_, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
			wantStatus(w.T, err, 488)
		})
	})
}

// TestHostileUnverifiedHop: who does not look at the certificate gives no keys away.
func TestHostileUnverifiedHop(t *testing.T) {
	overTLS(t, func(w *world) {
		phone, acct := w.sdesPhone()
		alice := w.registeredAlice(func(cfg *session.Config) {
			cfg.Handler = answering(nil)
			cfg.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // what is tested
		})
		offers := make(chan int, 1)
		go func() {
			n := 0
			for in := phone.next(); in != nil; in = phone.next() {
				n++
				_ = in.Respond(488, "", "", nil)
				select {
				case <-offers:
				default:
				}
				offers <- n
			}
		}()
		_, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		wantStatus(w.T, err, 488)
		time.Sleep(time.Minute)
		if n := <-offers; n != 1 {
			w.Errorf("%d offers went out, want one of DTLS-SRTP", n)
		}
		on, done := outcome(nil)
		uri := sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}
		if _, err := phone.agent.Invite(&sip.OutRequest{URI: uri, Account: acct, ContentType: "application/sdp", Body: phone.sdes(key(1, "AEAD_AES_128_GCM", 'k'))}, on); err != nil {
			w.Fatal(err)
		}
		wantStatus(w.T, (<-done).err, 488)
	})
}

// TestHostileKeyEchoed: a peer that says our own key is refused: two streams would be
// protected by one.
func TestHostileKeyEchoed(t *testing.T) {
	overTLS(t, func(w *world) {
		phone, _ := w.sdesPhone()
		alice := w.registeredAlice(nil)
		go func() {
			if in := phone.plain(); in != nil {
				_ = in.Respond(200, "", "application/sdp", phone.sdes(attr(in.Request.Body(), "crypto")[0]))
			}
		}()
		call, err := alice.Dial(w.Context(), "sip:bob@example.org", nil)
		if err == nil {
			err = call.Wait(w.Context())
		}
		if e, ok := errors.AsType[*session.EndError](err); !ok || e.Cause != session.NoMedia {
			w.Errorf("got %v", err)
		}
	})
}

// TestHostileForgedRegistrar: who registers over TLS is not called by datagrams that claim
// to come from the registrar's host.
func TestHostileForgedRegistrar(t *testing.T) {
	overTLS(t, func(w *world) {
		alice := w.registeredAlice(func(cfg *session.Config) {
			cfg.Handler = session.HandlerFunc(func(context.Context, *session.Incoming) { w.Error("it rings") })
		})
		forger, err := sip.Listen(w.Context(), &sip.Config{Network: w.hosts["registrar"], Listen: []string{"udp://" + registrarIP + ":5070"}})
		if err != nil {
			w.Fatal(err)
		}
		defer forger.Close()
		on, done := outcome(nil)
		uri := sip.URI{Scheme: "sip", User: "alice", Host: aliceIP}
		if _, err := forger.Invite(&sip.OutRequest{URI: uri, ContentType: "application/sdp", Body: []byte("v=0")}, on); err != nil {
			w.Fatal(err)
		}
		if a := <-done; !errors.Is(a.err, sip.ErrTimeout) || alice.Stats().SIP.DroppedPolicy == 0 {
			w.Errorf("the forger got %v", a.err)
		}
		time.Sleep(time.Second)
	})
}

// syncBuffer is a buffer that several may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
