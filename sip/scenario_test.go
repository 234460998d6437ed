package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

func isStatus(err error, code int) bool {
	se, ok := errors.AsType[*StatusError](err)
	return ok && se.Code == code
}

func TestNoAnswerThenCancel(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		events := watchInvite(in)
		p.must(in.Respond(180, "", "", nil))
		c.rings(180)
		time.Sleep(30*time.Second - 10*time.Millisecond)
		c.out.Cancel(`SIP;cause=487;text="gave up"`)
		if err := c.failed(); !isStatus(err, 487) {
			p.t.Fatalf("got %v, want 487", err)
		}
		if ev, ok := (<-events).(Cancelled); !ok || ev.Reason != `SIP;cause=487;text="gave up"` {
			p.t.Fatalf("bob got %+v", ev)
		}
		if err := in.Respond(200, "", "", nil); !errors.Is(err, ErrClosed) {
			p.t.Errorf("an answer after CANCEL: %v, want ErrClosed", err)
		}
		p.ladder.wants(p.t, "RFC 3665 section 3.8",
			"0s alice: INVITE", "5ms bob: 180 INVITE", "30s alice: CANCEL", "30.005s bob: 200 CANCEL", "30.005s bob: 487 INVITE", "30.01s alice: ACK")
	})
}

func TestRFC3261CancelBeforeProvisional(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		events := watchInvite(p.incoming())
		time.Sleep(50 * time.Millisecond)
		c.out.Cancel("")
		if err := c.failed(); !isStatus(err, 487) {
			p.t.Fatalf("got %v, want 487", err)
		}
		if _, ok := (<-events).(Cancelled); !ok {
			p.t.Fatal("bob was not told")
		}
		p.ladder.wants(p.t, "section 9.1: the CANCEL waits for a provisional response",
			"0s alice: INVITE", "205ms bob: 100 INVITE", "210ms alice: CANCEL", "215ms bob: 200 CANCEL", "215ms bob: 487 INVITE", "220ms alice: ACK")
	})
}

func TestCancelBeforeSent(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		p.sim.AddName("slow.example", "192.0.2.2")
		c := p.call("sip:bob@slow.example")
		c.out.Cancel("")
		if err := c.failed(); !isStatus(err, 487) {
			p.t.Fatalf("got %v, want 487", err)
		}
	})
}

func TestRFC3261CancelCrosses200(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		events, ends := watchInvite(in), watch(in.Dialog)
		p.must(in.Respond(180, "", "", nil))
		c.rings(180)
		p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
		c.out.Cancel("")
		if err := c.failed(); !isStatus(err, 487) {
			p.t.Fatalf("got %v, want 487", err)
		}
		if _, ok := (<-events).(Acked); !ok {
			p.t.Fatal("the 200 was not acknowledged")
		}
		if ev, ok := (<-ends).(DialogEnded); !ok || !ev.ByRemote {
			p.t.Fatalf("got %+v, want BYE", ev)
		}
		synctest.Wait()
		if a, b := p.alice.Stats().Dialogs, p.bob.Stats().Dialogs; a+b != 0 {
			p.t.Errorf("%d and %d dialogs are left", a, b)
		}
		if p.ladder.count("487 INVITE") != 0 || p.ladder.count("200 CANCEL") != 1 {
			p.t.Error("a late CANCEL has no effect but its own 200 (section 9.2)")
		}
	})
}

func TestRFC3261TwoForked2xx(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		fork := newRawPeer(p.t, p.bobHost, "")
		defer fork.close()
		c := p.call("sip:bob@192.0.2.2:5070")
		inv := fork.wants("INVITE")
		fork.answer(inv, "180 Ringing", "one", "Contact: <sip:one@192.0.2.2:5070>")
		fork.answer(inv, "183 Session Progress", "two", "Contact: <sip:two@192.0.2.2:5070>")
		one, two := c.rings(180), c.rings(183)
		if one == two || one.RemoteTag() != "one" {
			p.t.Fatal("two legs are two dialogs")
		}
		fork.answer(inv, "200 OK", "two", "Contact: <sip:two@192.0.2.2:5070>")
		if d := c.answered(); d != two {
			p.t.Fatal("the answer is of leg two")
		}
		p.must(two.Ack("", nil))
		if ack := fork.wants("ACK"); toTag(ack) != "two" {
			p.t.Errorf("the ACK is %v", ack)
		}
		fork.answer(inv, "200 OK", "one", "Contact: <sip:1@192.0.2.77:5070>\nRecord-Route: <sip:192.0.2.2:5070;lr;leg=one>")
		if ack := fork.wants("ACK").(*Request); toTag(ack) != "one" || ack.Recipient.User != "1" || ack.Route() == nil || !strings.Contains(ack.Route().Value(), "leg=one") {
			p.t.Errorf("the ACK of the other leg is %v", ack)
		}
		bye := fork.wants("BYE").(*Request)
		if toTag(bye) != "one" || bye.Recipient.User != "1" || bye.Route() == nil {
			p.t.Errorf("the BYE is %v", bye)
		}
		fork.answer(bye, "200 OK", "", "")
		fork.answer(inv, "200 OK", "one", "Contact: <sip:one@192.0.2.2:5070>") // again: its ACK again, no second BYE
		if ack := fork.wants("ACK"); toTag(ack) != "one" {
			p.t.Errorf("the ACK is %v", ack)
		}
		fork.silent(40*time.Second, "leg two is up")
		if n := p.alice.Stats().Dialogs; n != 1 {
			p.t.Errorf("%d dialogs, want the one that was answered", n)
		}
	})
}

func TestBothByeAtOnce(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, b := p.up()
		time.Sleep(time.Second) // the ACK is there
		aEnds, bEnds := watch(a), watch(b)
		start := time.Now()
		result := make(chan error, 2)
		go func() { result <- a.Bye(p.t.Context()) }()
		go func() { result <- b.Bye(p.t.Context()) }()
		p.must(<-result)
		p.must(<-result)
		if took := time.Since(start); took != 10*time.Millisecond {
			p.t.Errorf("it took %v", took)
		}
		if n := p.ladder.count("200 BYE"); n != 2 {
			p.t.Errorf("%d BYEs were answered with 200, want both", n)
		}
		for _, ends := range []chan DialogEvent{aEnds, bEnds} {
			if ev := (<-ends).(DialogEnded); ev.ByRemote || ev.Err != nil {
				p.t.Errorf("got %+v, want an end by our own BYE", ev)
			}
		}
		p.must(a.Bye(p.t.Context())) // once more: nothing happens
	})
}

func TestRFC3261LostAck(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		events := watchInvite(in)
		p.must(in.Respond(200, "", "", nil))
		d := c.answered()
		p.aliceHost.SetLink(netsim.Link{Down: true}, netsim.Link{})
		p.must(d.Ack("", nil))
		time.Sleep(100 * time.Millisecond)
		p.aliceHost.SetLink(netsim.Link{Delay: 5 * time.Millisecond}, netsim.Link{Delay: 5 * time.Millisecond})
		if _, ok := (<-events).(Acked); !ok {
			p.t.Fatal("no ACK")
		}
		p.ladder.wants(p.t, "section 13.3.1.4: the 200 again after T1, and its ACK again (section 13.2.2.4)",
			"0s alice: INVITE", "5ms bob: 200 INVITE", "10ms alice: ACK", "505ms bob: 200 INVITE", "510ms alice: ACK")
		time.Sleep(time.Minute)
		if n := p.ladder.count("bob: 200 INVITE"); n != 2 {
			p.t.Errorf("the 200 was sent %d times", n)
		}
	})
}

func TestRFC3261NoAck(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		events, ends := watchInvite(in), watch(in.Dialog)
		p.must(in.Respond(200, "", "", nil))
		aEnds := watch(c.answered()) // never acknowledged
		if _, ok := (<-events).(NoAck); !ok {
			p.t.Fatal("want NoAck")
		}
		if d := time.Since(p.ladder.start); d != 32*time.Second+5*time.Millisecond {
			p.t.Errorf("bob gave up after %v, want 64*T1 after his 200", d)
		}
		if ev := (<-ends).(DialogEnded); !errors.Is(ev.Err, ErrTimeout) {
			p.t.Errorf("got %+v", ev)
		}
		if ev := (<-aEnds).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("alice got %+v, want bob's BYE", ev)
		}
		if n := p.ladder.count("bob: 200 INVITE"); n != 11 {
			p.t.Errorf("the 200 was sent %d times, want 11", n)
		}
	})
}

func TestLoss(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		lossy := netsim.Link{Delay: 5 * time.Millisecond, Loss: 0.15}
		p.aliceHost.SetLink(lossy, lossy)
		for i := range 100 {
			c := p.call("sip:bob@192.0.2.2")
			in := p.incoming()
			events, ends := watchInvite(in), watch(in.Dialog)
			p.must(in.Respond(180, "", "", nil))
			time.Sleep(time.Second)
			p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
			var d *Dialog
			for d == nil {
				switch ev := c.next().(type) {
				case Answered:
					d = ev.Dialog
				case Failed:
					p.t.Fatalf("call %d: %v", i, ev.Err)
				}
			}
			p.must(d.Ack("", nil))
			if ev, ok := (<-events).(Acked); !ok {
				p.t.Fatalf("call %d: %T %+v", i, ev, ev)
			}
			if i%2 == 0 {
				p.must(d.Bye(p.t.Context()))
			} else {
				p.must(in.Dialog.Bye(p.t.Context()))
			}
			if ev := (<-ends).(DialogEnded); ev.Err != nil {
				p.t.Fatalf("call %d ended with %v", i, ev.Err)
			}
		}
	})
}

func TestCallOverTCP(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2;transport=tcp")
		in := p.incoming()
		if in.Transport != "TCP" || !strings.Contains(in.Request.Contact().Value(), "sip:alice@192.0.2.1:5060;transport=tcp") {
			p.t.Fatalf("over %s with %s", in.Transport, in.Request.Contact())
		}
		p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
		d := c.answered()
		p.must(d.Ack("", nil))
		ends := watch(d)
		time.Sleep(time.Hour) // a dialog keeps its connection
		p.must(in.Dialog.Bye(p.t.Context()))
		if ev := (<-ends).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("got %+v", ev)
		}
		if d.Transport() != "TCP" || d.RemoteTarget().String() != "sip:bob@192.0.2.2:5060;transport=tcp" {
			p.t.Errorf("the target is %v", d.RemoteTarget())
		}
	})
}

func TestManyProvisionals(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		for i := range 100 {
			p.must(in.Respond(183, fmt.Sprint("Progress ", i), "", nil))
		}
		for range 100 {
			c.rings(183)
		}
		p.must(in.Respond(200, "", "", nil))
		p.must(c.answered().Ack("", nil))
	})
}

func TestRFC3261RingingAgainEachMinute(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		p.must(in.Respond(180, "", "", nil))
		time.Sleep(3*time.Minute + time.Second)
		p.must(in.Respond(603, "", "", nil))
		for range 4 {
			c.rings(180)
		}
		if err := c.failed(); !isStatus(err, 603) {
			p.t.Error(err)
		}
	})
}

func TestGiantRequest(t *testing.T) {
	giant := []byte("v=0\r\n" + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", 60))
	invite := func(p *pair) (*outgoingCall, *IncomingInvite) {
		c := &outgoingCall{p: p, events: make(chan InviteEvent, 100)}
		var err error
		c.out, err = p.alice.Invite(&OutRequest{URI: URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}, ContentType: "application/sdp", Body: giant}, func(ev InviteEvent) { c.events <- ev })
		p.must(err)
		in := p.incoming()
		if string(in.Request.Body()) != string(giant) || strings.Contains(in.Request.Contact().Value(), "transport") {
			p.t.Fatalf("bob got\n%v", in.Request)
		}
		p.must(in.Respond(200, "", "application/sdp", giant))
		p.must(c.answered().Ack("", nil))
		return c, in
	}
	t.Run("RFC 3261 18.1.1: by TCP", func(t *testing.T) {
		bubble(t, nil, func(p *pair) {
			_, in := invite(p)
			if in.Transport != "TCP" {
				p.t.Errorf("over %s", in.Transport)
			}
			p.must(in.Dialog.Bye(p.t.Context()))
		})
	})
	t.Run("TCP refused: UDP after all", func(t *testing.T) {
		bubble(t, func(_, bob *Config) { bob.Listen = bob.Listen[:1] }, func(p *pair) {
			_, in := invite(p)
			if in.Transport != "UDP" {
				p.t.Errorf("over %s", in.Transport)
			}
			p.must(in.Dialog.Bye(p.t.Context()))
		})
	})
	t.Run("CANCEL follows the INVITE", func(t *testing.T) {
		bubble(t, nil, func(p *pair) {
			c := &outgoingCall{p: p, events: make(chan InviteEvent, 100)}
			var err error
			c.out, err = p.alice.Invite(&OutRequest{URI: URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}, ContentType: "application/sdp", Body: giant}, func(ev InviteEvent) { c.events <- ev })
			p.must(err)
			in := p.incoming()
			p.must(in.Respond(180, "", "", nil))
			c.rings(180)
			c.out.Cancel("")
			if err := c.failed(); !isStatus(err, 487) {
				p.t.Fatal(err)
			}
		})
	})
}

func TestNobodyAnswers(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		p.bobHost.Crash(true)
		start := time.Now()
		c := p.call("sip:bob@192.0.2.2")
		if err := c.failed(); !errors.Is(err, ErrTimeout) {
			p.t.Fatal(err)
		}
		if d := time.Since(start); d != 32*time.Second {
			p.t.Errorf("timer B fired after %v", d)
		}
		start = time.Now()
		_, err := p.alice.Do(p.t.Context(), &OutRequest{Method: "OPTIONS", URI: URI{Scheme: "sip", Host: "192.0.2.2"}})
		if !errors.Is(err, ErrTimeout) || time.Since(start) != 32*time.Second {
			p.t.Errorf("OPTIONS: %v after %v", err, time.Since(start))
		}
		_, err = p.alice.Do(within(p.t, time.Second), &OutRequest{Method: "OPTIONS", URI: URI{Scheme: "sip", Host: "192.0.2.2"}})
		if err == nil || errors.Is(err, ErrTimeout) {
			p.t.Errorf("OPTIONS bounded by its context: %v", err)
		}
		_, err = p.alice.Do(p.t.Context(), &OutRequest{Method: "OPTIONS", URI: URI{Scheme: "sip", Host: "nowhere.example"}})
		if _, ok := errors.AsType[*TransportError](err); !ok {
			p.t.Errorf("a name that is not there: %v", err)
		}
	})
}

func TestCloseEndsAll(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		a, _ := p.up()
		ends := watch(a)
		c := p.call("sip:bob@192.0.2.2")
		p.incoming()
		done := make(chan error, 1)
		go func() {
			_, err := p.alice.Do(p.t.Context(), &OutRequest{Method: "OPTIONS", URI: URI{Scheme: "sip", Host: "192.0.2.77"}})
			done <- err
		}()
		synctest.Wait()
		p.must(p.alice.Close())
		if err := c.failed(); !errors.Is(err, ErrClosed) {
			p.t.Errorf("the call ended with %v", err)
		}
		if err := <-done; !errors.Is(err, ErrClosed) {
			p.t.Errorf("Do ended with %v", err)
		}
		if ev := (<-ends).(DialogEnded); !errors.Is(ev.Err, ErrClosed) {
			p.t.Errorf("the dialog ended with %+v", ev)
		}
		if _, err := p.alice.Invite(&OutRequest{URI: URI{Scheme: "sip", Host: "192.0.2.2"}}, func(InviteEvent) {}); !errors.Is(err, ErrClosed) {
			p.t.Errorf("a call after Close: %v", err)
		}
		if err := a.Bye(p.t.Context()); err != nil && !errors.Is(err, ErrClosed) {
			p.t.Errorf("BYE after Close: %v", err)
		}
		p.must(p.alice.Close())
	})
}

// TestBehindNAT calls from behind a NAT straight to bob: what he sends within the
// dialog comes by the flow, not to the private Contact.
func TestBehindNAT(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		home := p.sim.NewNAT(netsim.PortRestricted, "203.0.113.1")
		carol := p.listen(&Config{Network: p.sim.NewHost("10.0.0.2", home), Listen: []string{"udp://:5060"}})
		defer carol.Close()
		events := make(chan InviteEvent, 10)
		_, err := carol.Invite(&OutRequest{URI: URI{Scheme: "sip", User: "bob", Host: "192.0.2.2"}}, func(ev InviteEvent) { events <- ev })
		p.must(err)
		in := p.incoming()
		if in.Remote.Addr() != netip.MustParseAddr("203.0.113.1") || in.Dialog.RemoteTarget().Host != "10.0.0.2" {
			p.t.Fatalf("from %v, target %v", in.Remote, in.Dialog.RemoteTarget())
		}
		p.must(in.Respond(200, "", "", nil))
		d := (<-events).(Answered).Dialog
		p.must(d.Ack("", nil))
		ends := watch(d)
		p.must(in.Dialog.Bye(p.t.Context()))
		if ev := (<-ends).(DialogEnded); !ev.ByRemote {
			p.t.Errorf("got %+v", ev)
		}
	})
}
