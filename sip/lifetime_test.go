package sip

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// idle says that nothing is left of what went before.
func (p *pair) idle() {
	p.t.Helper()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	for name, a := range map[string]*Agent{"alice": p.alice, "bob": p.bob} {
		if s := a.Stats(); s.ClientTransactions+s.ServerTransactions+s.Dialogs != 0 {
			p.t.Errorf("%s still has %+v", name, s)
		}
		a.mu.Lock()
		if len(a.serving) != 0 {
			p.t.Errorf("%s still serves %d INVITEs", name, len(a.serving))
		}
		a.mu.Unlock()
	}
}

// An INVITE that nobody answers ends by itself, and leaves nothing behind.
func TestUnansweredInvites(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		c := p.call("sip:bob@192.0.2.2")
		events := watchInvite(p.incoming())
		begin := time.Now()
		if err := c.failed(); !isStatus(err, 487) || time.Since(begin).Round(time.Second) != 3*time.Minute {
			p.t.Errorf("ignored: %v after %v, want 487 after 3 minutes", err, time.Since(begin))
		}
		if ev, ok := (<-events).(Cancelled); !ok || ev.Reason == "" {
			p.t.Errorf("the callee was told %+v", ev)
		}
		c = p.call("sip:bob@192.0.2.2")
		in := p.incoming()
		p.must(in.Respond(180, "", "", nil))
		c.rings(180)
		begin = time.Now()
		var err error
		for err == nil {
			if f, ok := c.next().(Failed); ok {
				err = f.Err
			}
		}
		if !isStatus(err, 487) || time.Since(begin).Round(time.Second) != 10*time.Minute {
			p.t.Errorf("ringing: %v after %v, want 487 after 10 minutes", err, time.Since(begin))
		}
		p.idle()
	})
}

func TestRFC3261InviteExpires(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		for _, deaf := range []bool{false, true} { // who looks at Expires: the callee, else the caller
			peer := newRawPeer(p.t, p.bobHost, "")
			target := "sip:bob@192.0.2.2"
			if deaf {
				target += ":5070"
			}
			events := make(chan InviteEvent, 10)
			_, err := p.alice.Invite(&OutRequest{URI: uri(p.t, target), Header: []Header{NewHeader("Expires", "20")}}, func(ev InviteEvent) {
				if _, ok := ev.(Failed); ok {
					events <- ev
				}
			})
			p.must(err)
			begin := time.Now()
			if deaf {
				invite := peer.wants("INVITE")
				peer.answer(invite, "180 Ringing", "b", "Contact: <sip:bob@192.0.2.2:5070>")
				cancel := peer.wants("CANCEL")
				peer.answer(cancel, "200 OK", "b", "")
				peer.answer(invite, "487 Request Terminated", "b", "")
				peer.wants("ACK")
			} else {
				p.incoming()
			}
			if ev := (<-events).(Failed); !isStatus(ev.Err, 487) || time.Since(begin).Round(time.Second) != 20*time.Second {
				p.t.Errorf("got %v after %v, want 487 after 20 s", ev.Err, time.Since(begin))
			}
			peer.close()
		}
		p.idle()
	})
}

// A peer that rings and never answers the CANCEL does not keep the transaction.
func TestRFC3261CancelWithoutAnswer(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		peer := newRawPeer(p.t, p.bobHost, "")
		defer peer.close()
		c := p.call("sip:bob@192.0.2.2:5070")
		peer.answer(peer.wants("INVITE"), "180 Ringing", "b", "Contact: <sip:bob@192.0.2.2:5070>")
		c.rings(180)
		c.out.Cancel("")
		if err := c.failed(); !errors.Is(err, ErrTimeout) {
			p.t.Errorf("got %v, want ErrTimeout", err)
		}
		p.idle()
	})
}
