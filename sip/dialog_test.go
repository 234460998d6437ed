package sip

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReinvite(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, b := p.up()
		bobs := watch(b)
		events := make(chan InviteEvent, 10)
		_, err := a.Reinvite("application/sdp", []byte("hold"), func(ev InviteEvent) { events <- ev })
		p.must(err)
		if _, err := a.Reinvite("", nil, func(InviteEvent) {}); !isStatus(err, 491) {
			p.t.Errorf("a second INVITE at once: %v, want 491 (RFC 3261 section 14.1)", err)
		}
		re := (<-bobs).(DialogInvite)
		acks := watchInvite(re.IncomingInvite)
		if re.Dialog != b || string(re.Request.Body()) != "hold" {
			p.t.Fatalf("bob got %+v", re)
		}
		p.must(re.Respond(200, "", "application/sdp", []byte("held")))
		an := (<-events).(Answered)
		if an.Dialog != a || string(an.Response.Body()) != "held" {
			p.t.Fatalf("alice got %+v", an)
		}
		p.must(a.Ack("", nil))
		if _, ok := (<-acks).(Acked); !ok {
			p.t.Fatal("no ACK")
		}
		// the other way, refused: the dialog stands
		alices := watch(a)
		_, err = b.Reinvite("application/sdp", []byte("resume"), func(ev InviteEvent) { events <- ev })
		p.must(err)
		p.must((<-alices).(DialogInvite).Respond(488, "", "", nil))
		if ev := (<-events).(Failed); !isStatus(ev.Err, 488) {
			p.t.Errorf("bob got %v", ev.Err)
		}
		p.must(b.Bye(p.t.Context()))
		if ev := (<-alices).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("got %+v", ev)
		}
		p.ladder.wants(p.t, "section 14", append([]string{"0s alice: INVITE", "5ms bob: 200 INVITE", "10ms alice: ACK"},
			"10ms alice: INVITE", "15ms bob: 200 INVITE", "20ms alice: ACK",
			"25ms bob: INVITE", "30ms alice: 488 INVITE", "35ms bob: ACK",
			"35ms bob: BYE", "40ms alice: 200 BYE")...)
	})
}

func TestRFC3261Glare(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, b := p.up()
		time.Sleep(time.Second)
		as, bs := make(chan InviteEvent, 10), make(chan InviteEvent, 10)
		_, err := a.Reinvite("", nil, func(ev InviteEvent) { as <- ev })
		p.must(err)
		_, err = b.Reinvite("", nil, func(ev InviteEvent) { bs <- ev })
		p.must(err)
		if ev := (<-as).(Failed); !isStatus(ev.Err, 491) {
			p.t.Errorf("alice got %v, want 491 (section 14.2)", ev.Err)
		}
		if ev := (<-bs).(Failed); !isStatus(ev.Err, 491) {
			p.t.Errorf("bob got %v, want 491 (section 14.2)", ev.Err)
		}
		if a.Early() || p.alice.Stats().Dialogs != 1 {
			p.t.Error("the call is to go on")
		}
	})
}

func TestReinviteCancelledAndHungUp(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, b := p.up()
		bobs := watch(b)
		events := make(chan InviteEvent, 10)
		on := func(ev InviteEvent) { events <- ev }
		out, err := a.Reinvite("", nil, on)
		p.must(err)
		told := watchInvite((<-bobs).(DialogInvite).IncomingInvite)
		out.Cancel("")
		for {
			ev := <-events
			if f, ok := ev.(Failed); ok {
				if !isStatus(f.Err, 487) {
					p.t.Fatal(f.Err)
				}
				break
			}
		}
		if _, ok := (<-told).(Cancelled); !ok {
			p.t.Error("bob was not told")
		}
		// RFC 3261 section 15.1.2: a BYE answers what is pending with 487
		_, err = a.Reinvite("", nil, on)
		p.must(err)
		told = watchInvite((<-bobs).(DialogInvite).IncomingInvite)
		p.must(a.Bye(p.t.Context()))
		if _, ok := (<-told).(Cancelled); !ok {
			p.t.Error("bob was not told")
		}
		if ev := (<-events).(Failed); !isStatus(ev.Err, 487) {
			p.t.Errorf("alice got %v", ev.Err)
		}
		if ev := (<-bobs).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("bob got %+v", ev)
		}
	})
}

func TestRequestsInDialog(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, b := p.up()
		go func() {
			for ev := range watch(b) {
				if r, ok := ev.(DialogRequest); ok {
					_ = r.Respond(200, "", "text/plain", r.Request.Body())
					if err := r.Respond(500, "", "", nil); !errors.Is(err, ErrClosed) {
						p.t.Errorf("a second final response: %v", err)
					}
				} else {
					return
				}
			}
		}()
		for i := range 5 {
			res, err := a.Do(p.t.Context(), "INFO", "text/plain", []byte{byte('0' + i)})
			if err != nil || string(res.Body()) != strconv.Itoa(i) {
				p.t.Fatalf("INFO %d: %v, %v", i, res, err)
			}
		}
		if _, err := a.Do(p.t.Context(), "UPDATE", "", nil); err != nil {
			p.t.Fatal(err)
		}
		if _, err := a.Do(p.t.Context(), "BYE", "", nil); err == nil {
			p.t.Error("Do sent a BYE")
		}
		p.must(a.Bye(p.t.Context()))
		if _, err := a.Do(p.t.Context(), "INFO", "", nil); !errors.Is(err, ErrClosed) {
			p.t.Errorf("INFO after BYE: %v", err)
		}
		synctest.Wait()
	})
}

// TestRFC3261Section15 holds back the BYE of a callee whose 200 has no ACK yet.
func TestRFC3261ByeWaitsForAck(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		p.must(in.Respond(200, "", "", nil))
		d := c.answered()
		over := make(chan error, 1)
		go func() { over <- in.Dialog.Bye(p.t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		ends := watch(d)
		p.must(d.Ack("", nil))
		if ev := (<-ends).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("got %+v", ev)
		}
		p.must(<-over) // Bye waits for the answer, wherever its BYE had to wait
		p.ladder.wants(p.t, "section 15: \"MUST NOT send a BYE on a confirmed dialog until it has received an ACK\"",
			"0s alice: INVITE", "5ms bob: 200 INVITE", "110ms alice: ACK", "115ms bob: BYE", "120ms alice: 200 BYE")
		synctest.Wait()
		if n := p.bob.Stats().Dialogs; n != 0 {
			p.t.Errorf("bob has %d dialogs left", n)
		}
	})
}

func TestByeOfUnanswered(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		p.must(in.Dialog.Bye(p.t.Context()))
		if err := c.failed(); !isStatus(err, 480) {
			p.t.Errorf("got %v, want 480", err)
		}
	})
}

func TestRFC3261Gone(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, _ := p.up()
		ends := watch(a)
		p.must(p.bob.Close())
		bob := p.listen(&Config{Network: p.bobHost, Listen: []string{"udp://:5060"}}) // came up again, knows nothing
		defer bob.Close()
		if _, err := a.Do(p.t.Context(), "OPTIONS", "", nil); !isStatus(err, 481) {
			p.t.Fatalf("got %v, want 481", err)
		}
		if ev := (<-ends).(DialogEnded); !isStatus(ev.Err, 481) {
			p.t.Errorf("got %+v, want an end because of the 481 (section 12.2.1.2)", ev)
		}
	})
}

// TestRFC3261Routes has a peer that records routes and moves its Contact.
func TestRFC3261Routes(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		proxy := newRawPeer(p.t, p.bobHost, "")
		defer proxy.close()
		c := p.call("sip:bob@192.0.2.2:5070")
		inv := proxy.wants("INVITE")
		proxy.answer(inv, "200 OK", "b", "Contact: <sip:bob@10.9.9.9>\nRecord-Route: <sip:far.example;lr>\nRecord-Route: <sip:192.0.2.2:5070;lr>")
		d := c.answered()
		p.must(d.Ack("", nil))
		check := func(m any, seq uint32) {
			p.t.Helper()
			req := m.(*Request)
			var routes []string
			for _, h := range req.GetHeaders("route") {
				routes = append(routes, h.Value())
			}
			if req.Recipient.Host != "10.9.9.9" || strings.Join(routes, ", ") != "<sip:192.0.2.2:5070;lr>, <sip:far.example;lr>" || req.CSeq().SeqNo != seq {
				p.t.Errorf("section 12.2.1.1: got\n%v", req)
			}
		}
		check(proxy.wants("ACK"), 1)
		go func() { _, _ = d.Do(p.t.Context(), "INFO", "", nil) }()
		info := proxy.wants("INFO")
		check(info, 2)
		proxy.answer(info, "200 OK", "", "")
		go func() { _ = d.Bye(p.t.Context()) }()
		bye := proxy.wants("BYE")
		check(bye, 3)
		proxy.answer(bye, "200 OK", "", "")
	})
}

// The ACK of the first INVITE is lost, and the peer's next INVITE comes before it is
// sent again: the call goes on (RFC 5407 section 3.1.4).
func TestReinviteOvertakesAck(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "o1", "", 1, "")
		in := p.incoming()
		first, events := watchInvite(in), watch(in.Dialog)
		p.must(in.Respond(200, "", "", nil))
		tag := ";tag=" + toTag(raw.wants("200"))
		raw.request("INVITE", "o1", tag, 2, "")
		re := (<-events).(DialogInvite)
		second := watchInvite(re.IncomingInvite)
		p.must(re.Respond(200, "", "", nil))
		raw.request("ACK", "o1", tag, 2, "")
		raw.request("ACK", "o1", tag, 1, "")
		for _, told := range []chan IncomingEvent{first, second} {
			if ev, ok := (<-told).(Acked); !ok {
				p.t.Errorf("got %+v, want the ACK", ev)
			}
		}
		time.Sleep(time.Minute)
		if len(events) != 0 || p.bob.Stats().Dialogs != 1 {
			p.t.Errorf("the call did not go on: %+v", <-events)
		}
		// one after the other without any ACK: bounded, and all gone with the dialog
		answered := 0
		for i := range 20 {
			raw.request("INVITE", "o1", tag, 10+i, "")
			synctest.Wait()
			time.Sleep(20 * time.Millisecond)
			select {
			case ev := <-events:
				p.must(ev.(DialogInvite).Respond(200, "", "", nil))
				answered++
			default:
			}
		}
		if answered > maxUnacked+1 {
			p.t.Errorf("%d INVITEs wait for their ACK", answered)
		}
		raw.request("BYE", "o1", tag, 100, "")
		p.idle()
	})
}

// A dialog that ended while its ACK was on the way is not kept when it came.
func TestRFC3261GoneBeforeAck(t *testing.T) {
	withRaw(t, nil, func(p *pair, raw *rawPeer) {
		raw.request("INVITE", "g1", "", 1, "")
		in := p.incoming()
		p.must(in.Respond(200, "", "", nil))
		ok := raw.wants("200")
		go func() { _, _ = in.Dialog.Do(p.t.Context(), "INFO", "", nil) }()
		raw.answer(raw.wants("INFO"), "481 Gone", "", "")
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		raw.request("ACK", "g1", ";tag="+toTag(ok), 1, "")
		p.idle()
	})
}

// The BYE of an impatient peer overtakes its 200: the call is answered and over.
func TestByeOvertakes200(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		peer := newRawPeer(p.t, p.bobHost, "")
		defer peer.close()
		c := p.call("sip:bob@192.0.2.2:5070")
		invite := peer.wants("INVITE")
		peer.answer(invite, "180 Ringing", "b", "Contact: <sip:bob@192.0.2.2:5070>")
		early := c.rings(180)
		events := watch(early)
		peer.send(strings.NewReplacer("TAG", fromTag(invite), "CALL", invite.CallID().Value()).Replace(`BYE sip:alice@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bKearly;rport
Max-Forwards: 70
From: <sip:bob@192.0.2.2>;tag=b
To: <sip:alice@a.example>;tag=TAG
Call-ID: CALL
CSeq: 1 BYE`))
		peer.wants("200")
		peer.answer(invite, "200 OK", "b", "Contact: <sip:bob@192.0.2.2:5070>")
		d := c.answered()
		p.must(d.Ack("", nil))
		peer.wants("ACK")
		synctest.Wait()
		select {
		case ev := <-events:
			if e, ok := ev.(DialogEnded); !ok || !e.ByRemote || d != early {
				p.t.Errorf("got %+v", ev)
			}
		default:
			p.t.Error("nobody was told that the call is over")
		}
		p.idle()
	})
}
