package sip

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNormalCall(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		if in.From.Name != "Alice" || in.Target.User != "bob" || in.Transport != "UDP" || string(in.Request.Body()) != offer {
			p.t.Fatalf("the call is %+v", in)
		}
		events := watchInvite(in)
		time.Sleep(time.Second)
		p.must(in.Respond(180, "", "", nil))
		early := c.rings(180)
		if !early.Early() {
			p.t.Error("the dialog of a 180 is early")
		}
		time.Sleep(2 * time.Second)
		p.must(in.Respond(200, "", "application/sdp", []byte(agreed)))
		d := c.answered()
		if d != early || d.Early() || d.RemoteTarget().String() != "sip:bob@192.0.2.2:5060" || d.Transport() != "UDP" {
			p.t.Fatalf("the dialog of the 200 is %+v", d)
		}
		p.must(d.Ack("application/sdp", []byte("late answer")))
		if ev, ok := (<-events).(Acked); !ok || ev.ContentType != "application/sdp" || string(ev.Body) != "late answer" {
			p.t.Fatalf("got %+v, want the ACK with its body", ev)
		}
		if d.CallID() != in.Dialog.CallID() || d.LocalTag() != in.Dialog.RemoteTag() || d.RemoteTag() != in.Dialog.LocalTag() {
			p.t.Error("the two ends disagree about the dialog")
		}
		time.Sleep(time.Hour)
		ends := watch(in.Dialog)
		p.must(d.Bye(p.t.Context(), NewHeader("Reason", `Q.850;cause=16`)))
		if ev := (<-ends).(DialogEnded); !ev.ByRemote || ev.Reason != `Q.850;cause=16` || ev.Err != nil {
			p.t.Errorf("bob was told %+v", ev)
		}
		p.ladder.wants(p.t, "RFC 3665 section 3.1",
			"0s alice: INVITE",
			"205ms bob: 100 INVITE", // 200 ms without an answer (RFC 3261 section 17.2.1)
			"1.005s bob: 180 INVITE",
			"3.01s bob: 200 INVITE",
			"3.015s alice: ACK",
			"1h0m3.02s alice: BYE",
			"1h0m3.025s bob: 200 BYE")
	})
}

func TestBusy(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		p.must(p.incoming().Respond(486, "", "", nil, NewHeader("Warning", `399 bob "on the phone"`), NewHeader("Retry-After", "30")))
		err := c.failed()
		se, ok := errors.AsType[*StatusError](err)
		if !ok || se.Code != 486 || se.Reason != "Busy Here" || se.Warning != "on the phone" || se.RetryAfter != 30*time.Second {
			p.t.Fatalf("got %v", err)
		}
		synctest.Wait()
		if a, b := p.alice.Stats().Dialogs, p.bob.Stats().Dialogs; a+b != 0 {
			p.t.Errorf("%d and %d dialogs are left", a, b)
		}
	})
}
