package sip

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// withRaw runs a test of bob against a peer written by hand.
func withRaw(t *testing.T, change func(bob *Config), f func(p *pair, raw *rawPeer)) {
	t.Helper()
	bubble(t, func(_, bob *Config) {
		if change != nil {
			change(bob)
		}
	}, func(p *pair) {
		raw := newRawPeer(p.t, p.sim.NewHost("192.0.2.9", nil), "192.0.2.2:5060")
		defer raw.close()
		f(p, raw)
	})
}

func TestRFC3261UAS(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		for i, tt := range []struct {
			rule, method, to, extra string
			want, has               string
		}{
			{"8.2.1: method known, not for us", "SUBSCRIBE", "", "", "405", "Allow: " + allowed},
			{"8.2.1: method unknown", "DANCE", "", "", "501", "Allow: " + allowed},
			{"8.2.2.3: Require", "OPTIONS", "", "Require: timer, x-new", "420", "Unsupported: timer, x-new"},
			{"8.2.3: Content-Encoding", "OPTIONS", "", "Content-Encoding: gzip", "415", "Accept-Encoding: identity"},
			{"11.2: OPTIONS", "OPTIONS", "", "", "200", "Accept: application/sdp"},
			{"RFC 4475 3.3.11: an endpoint takes Max-Forwards 0", "OPTIONS", "", "Max-Forwards: 0", "200", "Supported:"},
			{"12.2.2: a dialog that is not there", "BYE", ";tag=x", "", "481", "tag=x"},
			{"12.2.2: a dialog that is not there", "INVITE", ";tag=x", "", "481", ""},
			{"15.1.2: BYE outside a dialog", "BYE", "", "", "481", ";tag="},
			{"9.2: CANCEL of nothing", "CANCEL", "", "", "481", ";tag="},
		} {
			raw.request(tt.method, "call"+string(rune('a'+i)), tt.to, 1, tt.extra)
			res := raw.wants(tt.want)
			if !strings.Contains(res.String(), tt.has) {
				p.t.Errorf("section %s: no %q in\n%v", tt.rule, tt.has, res)
			}
			if toTag(res) == "" {
				p.t.Errorf("section 8.2.6.2: no To tag in\n%v", res)
			}
			if tt.method == "INVITE" {
				raw.requestWith("z9hG4bKraw"+"8", "ACK", "call"+string(rune('a'+i)), tt.to, 1, "")
			}
		}
	})
}

func TestRFC3261Merged(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "m1", "", 1, "")
		p.incoming()
		raw.wants("100")
		raw.request("INVITE", "m1", "", 1, "") // by another path: another branch
		raw.wants("482")
		select {
		case <-p.invites:
			p.t.Error("a merged request rang a second time (section 8.2.2.2)")
		default:
		}
	})
}

func TestRFC3261CSeqInDialog(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "c1", "", 10, "")
		in := p.incoming()
		told, ends := watchInvite(in), watch(in.Dialog)
		p.must(in.Respond(200, "", "", nil))
		tag := ";tag=" + toTag(raw.wants("200"))
		raw.request("ACK", "c1", tag, 9, "") // a wrong number: no ACK of this INVITE
		raw.request("ACK", "c1", ";tag=other", 10, "")
		synctest.Wait()
		raw.wants("200") // so it comes again
		raw.request("ACK", "c1", tag, 10, "")
		if _, ok := (<-told).(Acked); !ok {
			p.t.Fatal("no ACK")
		}
		raw.request("INFO", "c1", tag, 9, "")
		raw.wants("500")
		raw.request("BYE", "c1", tag, 10, "")
		raw.wants("500")
		raw.request("INFO", "c1", tag, 20, "")
		ev := (<-ends).(DialogRequest)
		p.must(ev.Respond(200, "", "", nil))
		raw.wants("200")
		raw.request("INVITE", "c1", tag, 21, "")
		re := (<-ends).(DialogInvite)
		raw.wants("100")
		raw.request("INVITE", "c1", tag, 22, "")
		if res := raw.wants("500"); headerText(res, "retry-after", "") == "" {
			p.t.Errorf("section 14.2: no Retry-After in\n%v", res)
		}
		p.must(re.Respond(488, "", "", nil))
		raw.wants("488")
		raw.request("BYE", "c1", tag, 30, "Reason: SIP;cause=200")
		for {
			if m := raw.read(time.Second); startOf(m) == "200" {
				break
			} else if m == nil {
				p.t.Fatal("the BYE was not answered")
			}
		}
		if ev := (<-ends).(DialogEnded); !ev.ByRemote || ev.Reason != "SIP;cause=200" {
			p.t.Errorf("got %+v", ev)
		}
	})
}

func TestRFC3261ByeInEarlyDialog(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "e1", "", 1, "")
		in := p.incoming()
		told := watchInvite(in)
		p.must(in.Respond(180, "", "", nil))
		tag := ";tag=" + toTag(raw.wants("180"))
		raw.request("BYE", "e1", tag, 2, "")
		raw.wants("200")
		raw.wants("487")
		if _, ok := (<-told).(Cancelled); !ok {
			p.t.Error("the callee was not told")
		}
	})
}

func TestNoContactNoDialog(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.send("INVITE sip:bob@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKx;rport\nMax-Forwards: 70\nFrom: <sip:a@a>;tag=1\nTo: <sip:b@b>\nCall-ID: x\nCSeq: 1 INVITE")
		raw.wants("400")
	})
}

func TestHostileAccept(t *testing.T) {
	asked := 0
	policy := func(bob *Config) {
		bob.Accept = func(req *Request, from netip.AddrPort) int {
			asked++
			switch req.Recipient.User {
			case "bob":
				if strings.Contains(req.CallID().Value(), "drop") {
					return -1
				}
				return 404
			}
			return 0
		}
	}
	withRaw(t, policy, func(p *pair, raw *rawPeer) {
		for range 100 {
			raw.request("INVITE", "drop", "", 1, "")
		}
		raw.silent(time.Second, "a policy of silence")
		st := p.bob.Stats()
		if st.DroppedPolicy != 100 || st.ServerTransactions != 0 || st.Dialogs != 0 {
			p.t.Errorf("%+v", st)
		}
		raw.request("INVITE", "refuse", "", 1, "")
		raw.wants("404")
		raw.requestWith("z9hG4bKraw101", "ACK", "refuse", ";tag=x", 1, "")
		raw.silent(time.Second, "a refusal without state is not sent again")
		if st := p.bob.Stats(); st.ServerTransactions != 0 {
			p.t.Errorf("%+v", st)
		}
		before := asked
		raw.requestWith("z9hG4bKraw101", "ACK", "refuse", ";tag=x", 1, "")
		synctest.Wait()
		if asked != before {
			p.t.Error("the policy was asked about an ACK")
		}
	})
}

func TestHostileOverload(t *testing.T) {
	withRaw(t, func(bob *Config) { bob.MaxTransactions = 5 }, func(p *pair, raw *rawPeer) {
		for i := range 5 {
			raw.request("INVITE", "flood"+string(rune('a'+i)), "", 1, "")
			p.incoming()
		}
		raw.request("INVITE", "more", "", 1, "")
		for {
			m := raw.read(time.Second)
			if m == nil {
				p.t.Fatal("no 503")
			}
			if startOf(m) == "503" {
				if headerText(m, "retry-after", "") == "" {
					p.t.Errorf("no Retry-After in\n%v", m)
				}
				break
			}
		}
		if p.bob.Stats().Overload != 1 {
			p.t.Errorf("%+v", p.bob.Stats())
		}
	})
}

// TestHostileUserHeaders lets an application pass header fields that would change
// the message.
func TestHostileUserHeaders(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "h1", "", 1, "")
		in := p.incoming()
		p.must(in.Respond(486, "Busy\r\nEvil: 1", "text/plain\r\nEvil: 2", []byte("x"), NewHeader("X-A", "1\r\nEvil: 3"), NewHeader("Via", "x"), NewHeader("Content-Length", "0")))
		res := raw.wants("486")
		if len(res.GetHeaders("evil")) != 0 || len(res.GetHeaders("via")) != 1 || string(res.Body()) != "x" {
			p.t.Errorf("got\n%v", res)
		}
	})
}

func TestTraceHasNoSecrets(t *testing.T) {
	var seen []string
	bubble(t, func(_, bob *Config) {
		bob.Trace = func(tr Trace) { seen = append(seen, tr.Start, tr.CSeq, tr.CallID, tr.Transport) }
	}, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		p.must(p.incoming().Respond(486, "Busy \x1b[31m", "application/sdp", []byte("a=crypto:1 KEY")))
		c.failed()
		synctest.Wait()
		all := strings.Join(seen, "\n")
		if strings.Contains(all, "a=crypto") || strings.Contains(all, "\x1b") || strings.Contains(all, "o=offer") || !strings.Contains(all, "INVITE sip:bob@192.0.2.2\n1 INVITE") {
			p.t.Errorf("the trace is %q", all)
		}
	})
}

// TestHostileUnheard floods a dialog whose application does not listen: what is
// not kept for it is refused.
func TestHostileUnheard(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "u1", "", 1, "")
		in := p.incoming()
		p.must(in.Respond(200, "", "", nil))
		tag := ";tag=" + toTag(raw.wants("200"))
		raw.request("ACK", "u1", tag, 1, "")
		for i := range 200 {
			raw.request("INFO", "u1", tag, 2+i, "")
		}
		refused := 0
		for m := raw.read(100 * time.Millisecond); m != nil; m = raw.read(100 * time.Millisecond) {
			if startOf(m) == "500" {
				refused++
			}
		}
		if refused != 200-maxWaiting {
			p.t.Errorf("%d of 200 were refused, want all but %d", refused, maxWaiting)
		}
		events := watch(in.Dialog)
		synctest.Wait()
		if len(events) != maxWaiting {
			p.t.Errorf("%d were kept", len(events))
		}
	})
}
