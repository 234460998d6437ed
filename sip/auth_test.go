package sip

import (
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

func uri(t *testing.T, s string) URI {
	t.Helper()
	u, err := ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const challenge = `WWW-Authenticate: Digest realm="a.example", nonce="n1", qop="auth", algorithm=SHA-256`

func credentialsIn(m sipmsg.Message) string { return headerText(m, "authorization", "") }

func TestRFC3261InviteWithCredentials(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		proxy := newRawPeer(p.t, p.bobHost, "")
		defer proxy.close()
		acct := &Account{AOR: uri(p.t, "sip:alice@a.example"), Password: "s3cret", Registrar: uri(p.t, "sip:192.0.2.2:5070")}
		events := make(chan InviteEvent, 10)
		_, err := p.alice.Invite(&OutRequest{URI: uri(p.t, "sip:bob@b.example"), Account: acct, Body: []byte(offer), ContentType: "application/sdp"}, func(ev InviteEvent) { events <- ev })
		p.must(err)
		first := proxy.wants("INVITE").(*Request)
		if first.Recipient.Host != "b.example" || first.From().Address.User != "alice" || credentialsIn(first) != "" || first.Route() != nil {
			p.t.Fatalf("got\n%v", first)
		}
		proxy.answer(first, "401 Unauthorized", "x", challenge)
		proxy.wants("ACK")
		second := proxy.wants("INVITE").(*Request)
		if c := credentialsIn(second); !strings.Contains(c, `username="alice"`) || strings.Contains(c, "s3cret") {
			p.t.Errorf("the credentials are %q", c)
		}
		b1, _ := first.Via().Params.Get("branch")
		b2, _ := second.Via().Params.Get("branch")
		if second.CallID().Value() != first.CallID().Value() || fromTag(second) != fromTag(first) || second.CSeq().SeqNo != first.CSeq().SeqNo+1 || b1 == b2 || toTag(second) != "" {
			p.t.Errorf("section 22.2 wants the same Call-ID and From tag, a higher CSeq and a new branch:\n%v\n%v", first, second)
		}
		if string(second.Body()) != offer || len(second.GetHeaders("contact")) != 1 || len(second.GetHeaders("via")) != 1 {
			p.t.Errorf("got\n%v", second)
		}
		proxy.answer(second, "200 OK", "b", "Contact: <sip:bob@192.0.2.2:5070>\nRecord-Route: <sip:192.0.2.2:5070;lr>")
		d := (<-events).(Answered).Dialog
		p.must(d.Ack("", nil))
		if ack := proxy.wants("ACK"); credentialsIn(ack) != credentialsIn(second) || ack.CSeq().SeqNo != second.CSeq().SeqNo {
			p.t.Errorf("section 13.2.2.4: the ACK has the number and credentials of its INVITE:\n%v", ack)
		}
		// the BYE is challenged too, with a fresh nonce
		go func() { _ = d.Bye(p.t.Context()) }()
		bye := proxy.wants("BYE")
		proxy.answer(bye, "407 Proxy Authentication Required", "", strings.ReplaceAll(strings.Replace(challenge, "WWW", "Proxy", 1), "n1", "n2"))
		again := proxy.wants("BYE")
		if headerText(again, "proxy-authorization", "") == "" || again.CSeq().SeqNo != bye.CSeq().SeqNo+1 {
			p.t.Errorf("the BYE with credentials is\n%v", again)
		}
		proxy.answer(again, "200 OK", "", "")
	})
}

// TestHostileChallenge has servers that ask for what is not theirs: "Credentials
// answer only the account's registrar and outbound proxy in their realms".
func TestHostileChallenge(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		peer := newRawPeer(p.t, p.bobHost, "")
		defer peer.close()
		try := func(out *OutRequest, with string) (credentials bool) {
			p.t.Helper()
			done := make(chan error, 1)
			go func() {
				_, err := p.alice.Do(p.t.Context(), out)
				done <- err
			}()
			req := peer.wants(out.Method)
			if credentialsIn(req) == "" {
				peer.answer(req, "401 Unauthorized", "x", with)
				again := peer.read(time.Second)
				if again == nil {
					if err := <-done; !isStatus(err, 401) {
						p.t.Errorf("got %v", err)
					}
					return false
				}
				req = again
			}
			peer.answer(req, "200 OK", "x", "")
			p.must(<-done)
			return credentialsIn(req) != ""
		}
		elsewhere := &Account{AOR: uri(p.t, "sip:alice@a.example"), Password: "s3cret", Registrar: uri(p.t, "sip:192.0.2.1")}
		if try(&OutRequest{Method: "MESSAGE", URI: uri(p.t, "sip:bob@192.0.2.2:5070"), Account: elsewhere, Route: []URI{uri(p.t, "sip:192.0.2.2:5070;lr")}}, challenge) {
			p.t.Error("a peer that is not the account's server got credentials")
		}
		here := &Account{AOR: uri(p.t, "sip:alice@a.example"), Password: "s3cret", Registrar: uri(p.t, "sip:192.0.2.2:5070")}
		other := strings.ReplaceAll(challenge, "a.example", "asterisk")
		if !try(&OutRequest{Method: "MESSAGE", URI: uri(p.t, "sip:bob@b.example"), Account: here}, other) {
			p.t.Error("the account's server has a realm of its own: not answered")
		}
		if !try(&OutRequest{Method: "REGISTER", URI: uri(p.t, "sip:192.0.2.2:5070"), To: Address{URI: here.AOR}, Account: here}, other) {
			p.t.Error("REGISTER was not answered")
		}
		foreign := strings.ReplaceAll(strings.ReplaceAll(challenge, "a.example", "evil.example"), "WWW-", "Proxy-")
		done := make(chan error, 1)
		go func() {
			_, err := p.alice.Do(p.t.Context(), &OutRequest{Method: "MESSAGE", URI: uri(p.t, "sip:bob@b.example"), Account: here})
			done <- err
		}()
		peer.answer(peer.wants("MESSAGE"), "407 Proxy Authentication Required", "x", foreign)
		if err := <-done; !isStatus(err, 407) {
			p.t.Errorf("a realm other than the registrar's: got %v, want the 407 reported", err)
		}
	})
}

// A proxy may challenge the requests of a called party too: its account is the one
// that the call came to.
func TestRFC3261ByeOfTheCalledWithCredentials(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		proxy := newRawPeer(p.t, p.aliceHost, "192.0.2.2:5060")
		defer proxy.close()
		acct := &Account{AOR: uri(p.t, "sip:bob@b.example"), Password: "s3cret", Registrar: uri(p.t, "sip:192.0.2.1:5070")}
		reg, err := p.bob.Register(acct, nil)
		p.must(err)
		defer reg.Close()
		register := proxy.wants("REGISTER")
		proxy.answer(register, "200 OK", "r", "Contact: "+headerText(register, "contact", "m"))
		p.must(reg.Registered(within(p.t, time.Second)))
		hangUp := func(callID, extra string) *Request {
			p.t.Helper()
			proxy.request("INVITE", callID, "", 1, extra)
			in := p.incoming()
			p.must(in.Respond(200, "", "", nil))
			ok := proxy.wants("200")
			proxy.request("ACK", callID, ";tag="+toTag(ok), 1, "")
			go func() { _ = in.Dialog.Bye(p.t.Context()) }()
			bye := proxy.wants("BYE")
			proxy.answer(bye, "407 Proxy Authentication Required", "", strings.Replace(strings.Replace(challenge, "WWW", "Proxy", 1), "a.example", "b.example", 1))
			again, _ := proxy.read(time.Second).(*Request)
			if again != nil {
				proxy.answer(again, "200 OK", "", "")
			}
			return again
		}
		if again := hangUp("1", "Record-Route: <sip:192.0.2.1:5070;lr>"); again == nil || !strings.Contains(headerText(again, "proxy-authorization", ""), `username="bob"`) {
			p.t.Errorf("the BYE was not sent with credentials:\n%v", again)
		}
		stranger := newRawPeer(p.t, p.sim.NewHost("192.0.2.9", nil), "192.0.2.2:5060")
		defer stranger.close()
		stranger.seq = 100 // branches of its own
		proxy = stranger
		if again := hangUp("2", ""); again != nil {
			p.t.Errorf("a stranger got credentials:\n%v", again)
		}
	})
}
