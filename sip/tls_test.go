package sip

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/internal/testca"
)

// tlsBubble is bubble with a bob who has a certificate for b.example, and an alice who
// trusts it.
func tlsBubble(t *testing.T, f func(p *pair)) {
	t.Helper()
	bubble(t, func(alice, bob *Config) {
		ca := testca.New(t, "the CA")
		alice.TLS = ca.Client()
		bob.TLS = ca.Server("b.example")
		bob.Listen = append(bob.Listen, "tls://192.0.2.2:5061")
	}, func(p *pair) {
		p.sim.AddName("b.example", "192.0.2.2")
		f(p)
	})
}

func TestCallOverTLS(t *testing.T) {
	tlsBubble(t, func(p *pair) {
		p.sim.Trace(func(packet netsim.Packet) {
			if strings.Contains(string(packet.Payload), "SIP/2.0") {
				p.t.Errorf("sent in clear: %q", packet.Payload)
			}
		})
		c := p.call("sip:bob@b.example;transport=tls")
		in := p.incoming()
		via := in.Request.Via()
		if contact := headerText(in.Request, "contact", "m"); via.Transport != "TLS" || !strings.HasSuffix(contact, ";transport=tls>") || in.Transport != "TLS" || !in.Dialog.Secure() {
			p.t.Errorf("Via %v, Contact %s, over %s", via, contact, in.Transport)
		}
		p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
		d := c.answered()
		p.must(d.Ack("", nil))
		if got := d.RemoteTarget().String(); got != "sip:bob@192.0.2.2:5061;transport=tls" || !d.Secure() {
			p.t.Errorf("the callee's Contact is %s", got)
		}
		p.must(in.Dialog.Bye(within(p.t, time.Minute)))
	})
}

// What was begun under TLS is not gone on with in clear, whatever the peer's Contact says.
func TestHostileDowngradeByContact(t *testing.T) {
	tlsBubble(t, func(p *pair) {
		l, err := p.bobHost.Listen(p.t.Context(), "tcp", "192.0.2.2:5071")
		p.must(err)
		defer l.Close()
		c := p.call("sip:bob@b.example:5071;transport=tls")
		raw, err := l.Accept()
		p.must(err)
		conn := tls.Server(raw, p.bob.cfg.TLS)
		defer conn.Close()
		next := func(start, answer string) {
			p.t.Helper()
			buf := make([]byte, 65536)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := conn.Read(buf)
			p.must(err)
			m, err := sipmsg.ParseMessage(buf[:n])
			p.must(err)
			if got := startOf(m); got != start {
				p.t.Fatalf("got %s, want %s", got, start)
			}
			if answer != "" {
				res := sipmsg.NewResponseFromRequest(m.(*Request), 200, "OK", nil)
				res.To().Params.Add("tag", "b")
				res.AppendHeader(NewHeader("Contact", answer))
				_, err = conn.Write([]byte(res.String()))
				p.must(err)
			}
		}
		next("INVITE", "<sip:bob@192.0.2.2:5060>")
		d := c.answered()
		p.sim.Trace(func(packet netsim.Packet) {
			if strings.Contains(string(packet.Payload), "SIP/2.0") {
				p.t.Errorf("sent in clear: %q", packet.Payload)
			}
		})
		if got := d.RemoteTarget().String(); got != "sip:bob@192.0.2.2:5060" {
			p.t.Errorf("the Contact is %s", got)
		}
		p.must(d.Ack("", nil))
		next("ACK", "")
		go func() { _ = d.Bye(p.t.Context()) }()
		next("BYE", "<sip:bob@192.0.2.2:5060>")
		synctest.Wait()
	})
}

// What comes in clear is not of a dialog under TLS, though it knows the tags.
func TestHostileRequestInClear(t *testing.T) {
	tlsBubble(t, func(p *pair) {
		c := p.call("sip:bob@b.example;transport=tls")
		in := p.incoming()
		p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
		d := c.answered()
		p.must(d.Ack("", nil))
		synctest.Wait()
		mallory := newRawPeer(p.t, p.sim.NewHost("192.0.2.9", nil), "192.0.2.2:5060")
		defer mallory.close()
		events := watch(in.Dialog)
		mallory.send(strings.NewReplacer("CALL", d.CallID(), "ALICE", d.LocalTag(), "BOB", d.RemoteTag()).Replace(`BYE sip:bob@192.0.2.2 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKforged;rport
Max-Forwards: 70
From: <sip:alice@a.example>;tag=ALICE
To: <sip:bob@b.example>;tag=BOB
Call-ID: CALL
CSeq: 99 BYE`))
		mallory.wants("403")
		synctest.Wait()
		if len(events) > 0 {
			p.t.Errorf("bob was told %+v", <-events)
		}
		p.must(d.Bye(within(p.t, time.Minute)))
		if ev, ok := (<-events).(DialogEnded); !ok || !ev.ByRemote {
			p.t.Errorf("bob was told %+v", ev)
		}
	})
}

// TLS to a host that has none fails, with a word of what to do, and tries nothing else.
func TestHostileNoTLSThere(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		for _, target := range []string{"sip:bob@192.0.2.2;transport=tls", "sip:bob@192.0.2.2:5060;transport=tls"} {
			err := p.call(target).failed()
			if err == nil || p.ladder.count("INVITE") > 0 {
				p.t.Errorf("%s: %v", target, err)
			}
		}
	})
}

// TestTLSLoopback makes a call on real sockets.
func TestTLSLoopback(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ca := testca.New(t, "the CA")
	calls := make(chan *IncomingInvite, 1)
	server := ca.Server("127.0.0.1")
	server.ClientAuth = tls.RequireAndVerifyClientCert
	bob, err := Listen(ctx, &Config{Listen: []string{"tls://127.0.0.1:0"}, TLS: server, OnInvite: func(in *IncomingInvite) { calls <- in }})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	alice, err := Listen(ctx, &Config{Listen: []string{"udp://127.0.0.1:0"}, TLS: ca.Server("alice.example")})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	at, ok := bob.Addr("tls")
	if !ok {
		t.Fatalf("bob has %v", bob.Addrs())
	}
	target := URI{Scheme: "sip", User: "bob", Host: "127.0.0.1", Port: at.Port(), Params: ";transport=tls"}
	if !alice.Secure(&OutRequest{URI: target}) {
		t.Error("the call would not be secure")
	}
	events := make(chan InviteEvent, 10)
	if _, err = alice.Invite(&OutRequest{URI: target, ContentType: "application/sdp", Body: []byte(offer)}, func(ev InviteEvent) { events <- ev }); err != nil {
		t.Fatal(err)
	}
	in := receive(t, ctx, calls)
	ends := watch(in.Dialog)
	if err := in.Respond(200, "", "application/sdp", []byte(agreed)); err != nil {
		t.Fatal(err)
	}
	var d *Dialog
	for d == nil {
		switch ev := receive(t, ctx, events).(type) {
		case Answered:
			d = ev.Dialog
		case Failed:
			t.Fatal(ev.Err)
		}
	}
	if err := d.Ack("", nil); err != nil || !d.Secure() {
		t.Fatalf("ACK: %v; secure: %v", err, d.Secure())
	}
	if err := d.Bye(ctx); err != nil {
		t.Fatal(err)
	}
	if ev, ok := receive(t, ctx, ends).(DialogEnded); !ok || !ev.ByRemote {
		t.Errorf("bob was told %+v", ev)
	}
}
