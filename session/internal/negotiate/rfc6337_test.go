package negotiate

import (
	"errors"
	"strings"
	"testing"
)

func TestRFC6337States(t *testing.T) {
	t.Run("nothing comes of nothing", func(t *testing.T) {
		m := New(testConfig(), 1)
		if _, err := m.Answer(text(oldPhoneOffer)); !errors.Is(err, ErrState) {
			t.Errorf("Answer without an offer: %v", err)
		}
		if _, _, err := m.Accept(testLocal()); !errors.Is(err, ErrState) {
			t.Errorf("Accept without an offer: %v", err)
		}
		m.Reject()
		m.Withdraw()
	})
	t.Run("glare", func(t *testing.T) {
		m := New(testConfig(), 1)
		if _, err := m.Offer(testLocal(), Plain); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, m, oldPhoneOffer, 491, "")
		m.Withdraw()
		if _, err := m.Receive(text(oldPhoneOffer)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Offer(testLocal(), Plain); !errors.Is(err, ErrState) {
			t.Errorf("an offer over a received one: %v", err)
		}
		m.Reject()
		if _, err := m.Offer(testLocal(), Plain); err != nil {
			t.Error(err)
		}
	})
	t.Run("a refused re-offer leaves all as it was", func(t *testing.T) {
		p := newPair(t, testConfig(), testConfig())
		p.exchange(p.a, p.b, testLocal(), testLocal(), DTLS)
		before, _ := p.a.Agreed()
		held := testLocal()
		held.Direction = Inactive
		if _, err := p.a.Offer(held, DTLS); err != nil {
			t.Fatal(err)
		}
		p.a.Withdraw()
		after, ok := p.a.Agreed()
		x, _ := before.Audio()
		y, _ := after.Audio()
		if !ok || x.Sending != y.Sending || x.Remote != y.Remote {
			t.Errorf("got %+v, want %+v", y, x)
		}
		offer, _, _, _ := p.exchange(p.a, p.b, testLocal(), testLocal(), DTLS)
		if version(t, offer) != "3" {
			t.Errorf("version %s after two other offers", version(t, offer))
		}
	})
}

// TestRFC6337RepeatedAnswer: the answer in a 18x may come again in the 2xx,
// and the 2xx counts when it differs.
func TestRFC6337RepeatedAnswer(t *testing.T) {
	m := New(testConfig(), 1)
	if _, err := m.Offer(testLocal(), Plain); err != nil {
		t.Fatal(err)
	}
	early, err := m.Answer(text(oldPhoneOffer))
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(oldPhoneOffer, "192.0.2.40\nt", "192.0.2.41\nt", 1)
	final, err := m.Answer(text(moved))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := early.Audio()
	b, _ := final.Audio()
	if a.Remote.String() != "192.0.2.40:11780" || b.Remote.String() != "192.0.2.41:11780" {
		t.Errorf("got %v then %v", a.Remote, b.Remote)
	}
	if _, err = m.Answer(text("v=0")); err == nil {
		t.Error("a bad repetition was taken")
	}
	if now, _ := m.Agreed(); len(now.Lines) != 1 || now.Lines[0].Remote != b.Remote {
		t.Error("a bad repetition changed the agreement")
	}
	// After the next exchange there is no offer left to answer.
	accepts(t, m, oldPhoneOffer, testLocal())
	if _, err = m.Answer(text(moved)); !errors.Is(err, ErrState) {
		t.Errorf("got %v", err)
	}
}

// TestRFC6337LateOffer: an INVITE without SDP. The callee offers in the 2xx, the caller answers in the ACK.
func TestRFC6337LateOffer(t *testing.T) {
	p := newPair(t, testConfig(), testConfig())
	_, _, callee, caller := p.exchange(p.b, p.a, iceLocal(), iceLocal(), DTLS)
	if callee.DTLSClient || !caller.DTLSClient || callee.ICE == nil || caller.ICE == nil {
		t.Errorf("got %+v and %+v", callee, caller)
	}
	// "the UAS SHOULD construct the offer as if the UAS were making a brand new
	// call" (RFC 3261 section 14.2): with all codecs, not only those agreed.
	one := testConfig()
	one.Codecs = []Codec{pcmu}
	q := newPair(t, testConfig(), one)
	q.exchange(q.a, q.b, testLocal(), testLocal(), Plain)
	again, err := q.a.Offer(testLocal(), Plain)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(again), "m=audio 40000 RTP/AVP 0 9 8 101")
}

// TestRFC6337Section53Hold: both sides hold, then one lets go and then the other.
func TestRFC6337Section53Hold(t *testing.T) {
	p := newPair(t, testConfig(), testConfig())
	talking, holding := testLocal(), testLocal()
	holding.Direction = SendOnly
	p.exchange(p.a, p.b, talking, talking, DTLS)
	for _, step := range []struct {
		name           string
		byA            bool
		a, b           Local
		aSends, bSends bool
	}{
		{"a holds", true, holding, talking, true, false},
		{"b holds as well", false, holding, holding, false, false},
		{"a lets go", true, talking, holding, false, true},
		{"b lets go", false, talking, talking, true, true},
	} {
		var a, b *Line
		if step.byA {
			_, _, a, b = p.exchange(p.a, p.b, step.a, step.b, DTLS)
		} else {
			_, _, b, a = p.exchange(p.b, p.a, step.b, step.a, DTLS)
		}
		if a.Sending != step.aSends || b.Sending != step.bSends || a.Receiving != b.Sending || b.Receiving != a.Sending {
			t.Errorf("%s: a %v/%v, b %v/%v", step.name, a.Sending, a.Receiving, b.Sending, b.Receiving)
		}
		if a.DTLSChanged || b.DTLSChanged || a.Send.key() != b.Send.key() {
			t.Errorf("%s: more changed than the direction: %+v %+v", step.name, a, b)
		}
	}
}
