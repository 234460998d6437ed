package registrar_test

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/peercall/peercall/internal/testca"
	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

// loopbackPhone is a user agent on real sockets of this machine.
func loopbackPhone(t testing.TB, srv *registrar.Server, name, transport string, trust *tls.Config) *phone {
	t.Helper()
	p := &phone{calls: make(chan *sip.IncomingInvite, 100), events: make(chan sip.RegistrationEvent, 100)}
	var err error
	p.agent, err = sip.Listen(t.Context(), &sip.Config{
		TLS:      trust,
		Listen:   []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"},
		OnInvite: func(in *sip.IncomingInvite) { p.calls <- in },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.agent.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	p.acct = &sip.Account{AOR: uri(t, "sip:"+name+"@"+domain), Password: users[name]}
	p.acct.Registrar = uri(t, "sip:"+srv.Addr(transport).String()+";transport="+transport)
	return p
}

func loopbackServer(t testing.TB, ca *testca.CA) *registrar.Server {
	t.Helper()
	srv, err := registrar.Listen(t.Context(), &registrar.Config{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0", "tls://127.0.0.1:0"}, Domain: domain, Users: users, TLS: ca.Server("127.0.0.1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return srv
}

func TestLoopback(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			ca := testca.New(t, "the CA")
			srv := loopbackServer(t, ca)
			alice, bob := loopbackPhone(t, srv, "alice", transport, ca.Client()), loopbackPhone(t, srv, "bob", "udp", nil)
			for _, p := range []*phone{alice, bob} {
				p.w = &world{t: t}
				p.registered()
			}
			talk(t, alice, bob)
			talk(t, bob, alice)
		})
	}
}

// A whole call through the proxy with authentication: INVITE, 407, ACK, INVITE,
// 100, 200, ACK, BYE, 200, all four of caller, server and callee in one process.
func BenchmarkCall(b *testing.B) {
	srv := loopbackServer(b, testca.New(b, "the CA"))
	alice, bob := loopbackPhone(b, srv, "alice", "udp", nil), loopbackPhone(b, srv, "bob", "udp", nil)
	r, err := bob.agent.Register(bob.acct, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Registered(b.Context()); err != nil {
		b.Fatal(err)
	}
	var failed atomic.Int64
	go func() {
		for in := range bob.calls {
			if err := in.Respond(200, "", "application/sdp", []byte(answerSDP)); err != nil {
				failed.Add(1)
			}
		}
	}()
	to := uri(b, "sip:bob@"+domain)
	b.ReportAllocs()
	for b.Loop() {
		done := make(chan error, 1)
		_, err := alice.agent.Invite(&sip.OutRequest{URI: to, Account: alice.acct, Body: []byte(offer), ContentType: "application/sdp"}, func(ev sip.InviteEvent) {
			switch ev := ev.(type) {
			case sip.Answered:
				if err := ev.Dialog.Ack("", nil); err != nil {
					done <- err
					return
				}
				go func() { done <- ev.Dialog.Bye(b.Context()) }()
			case sip.Failed:
				done <- ev.Err
			}
		})
		if err == nil {
			err = <-done
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	close(bob.calls)
	if n := failed.Load(); n > 0 {
		b.Error(fmt.Errorf("%d answers were not sent", n))
	}
}
