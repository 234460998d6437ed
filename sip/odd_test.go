package sip

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Messages written in legal ways that few write: compact forms, any case, several
// values in a line, commas and brackets in quotes, IPv6 addresses.
func TestOddlyWrittenMessages(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.send(`INVITE SIP:bob@192.0.2.2 SIP/2.0
v: SIP / 2.0 / UDP 192.0.2.9:5070;Branch=z9hG4bKodd1;RPort , SIP/2.0/UDP [2001:db8::9]:5061;branch=z9hG4bKinner
MAX-FORWARDS: 70
f: "Raw, \"the\" peer; <x>" <sip:raw@192.0.2.9>;TAG=raw
t: <Sip:bob@192.0.2.2>
i: odd1
CSEQ: 1 INVITE
m: "Contact, me; <x>" <SIP:raw@[2001:db8::9]:5070;transport=udp>;expires=3
Record-Route: "P, 1" <sip:192.0.2.9:5070;lr>, <sip:p2.example;lr;x=y>
record-route: <sip:[2001:db8::3]:5062;lr>
c: application/sdp

v=0`)
		in := p.incoming()
		if in.From.Name != `Raw, "the" peer; <x>` || in.To.URI.Host != "192.0.2.2" || in.Target.User != "bob" || string(in.Request.Body()) != "v=0" {
			p.t.Errorf("From %+v, To %+v, target %+v", in.From, in.To, in.Target)
		}
		if got := headerText(in.Request, "content-type", "c"); got != "application/sdp" {
			p.t.Errorf("Content-Type is %q", got)
		}
		p.must(in.Respond(200, "", "", nil))
		res := raw.wants("200").(*Response)
		text := res.String()
		if n := len(res.GetHeaders("via")); n != 2 || !strings.Contains(text, "[2001:db8::9]:5061;branch=z9hG4bKinner") {
			p.t.Errorf("%d Via values in\n%s", n, text)
		}
		const routes = "sip:192.0.2.9:5070;lr sip:p2.example;lr;x=y sip:[2001:db8::3]:5062;lr"
		if got := uris(recordRoutes(res)); got != routes {
			p.t.Errorf("section 12.1.1: Record-Route is %s, want %s in\n%s", got, routes, text)
		}
		raw.requestWith("z9hG4bKodd2", "ACK", "odd1", ";Tag="+toTag(res), 1, "")
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		go func() { _ = in.Dialog.Bye(p.t.Context()) }()
		bye := raw.wants("BYE").(*Request)
		var got []URI
		for _, h := range fields(bye, "route", "") {
			got = append(got, uriOf(&h.(*sipmsg.RouteHeader).Address))
		}
		target := uriOf(&bye.Recipient)
		if uris(got) != routes || target.String() != "sip:raw@[2001:db8::9]:5070;transport=udp" {
			p.t.Errorf("section 12.2.1.1: BYE %v with %s", target, uris(got))
		}
		if name := toOf(bye).Name; name != `Raw, "the" peer; <x>` {
			p.t.Errorf("To of the BYE is %q", name)
		}
		raw.answer(bye, "200 OK", "", "")
	})
}

func uris(all []URI) string {
	var s []string
	for _, u := range all {
		s = append(s, u.String())
	}
	return strings.Join(s, " ")
}

// What we cannot reach or keep a promise to is refused at once.
func TestSIPSRefused(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		for i, tt := range []struct{ uri, contact, want string }{
			{"sips:bob@192.0.2.2", "<sip:raw@192.0.2.9:5070>", "416"},
			{"tel:+123", "<sip:raw@192.0.2.9:5070>", "416"},
			{"sip:bob@192.0.2.2", "<sips:raw@192.0.2.9:5070>", "400"},
			{"sip:bob@192.0.2.2", "<tel:+123>", "400"},
			{"sip:bob@192.0.2.2", "*", "400"},
		} {
			raw.send(strings.NewReplacer("URI", tt.uri, "CONTACT", tt.contact, "NUM", string(rune('a'+i))).Replace(`INVITE URI SIP/2.0
Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKrefusedNUM;rport
Max-Forwards: 70
From: <sip:raw@192.0.2.9>;tag=raw
To: <sip:bob@192.0.2.2>
Call-ID: refused-NUM
CSeq: 1 INVITE
Contact: CONTACT`))
			res := raw.wants(tt.want)
			raw.requestWith("z9hG4bKrefused"+string(rune('a'+i)), "ACK", "refused-"+string(rune('a'+i)), ";Tag="+toTag(res), 1, "")
		}
		events := make(chan InviteEvent, 1)
		if _, err := p.alice.Invite(&OutRequest{URI: uri(p.t, "sips:bob@192.0.2.2")}, func(ev InviteEvent) { events <- ev }); err != nil {
			p.t.Fatal(err)
		}
		if f, ok := (<-events).(Failed); !ok || p.ladder.count("alice: INVITE") != 0 {
			p.t.Errorf("got %+v, want nothing sent without TLS", f)
		}
	})
}
