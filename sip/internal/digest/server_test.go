package digest

import (
	"net/netip"
	"testing"
	"time"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

const target = "sip:example.org"

func passwords(user string) (string, bool) {
	p, ok := map[string]string{"bob": "secret"}[user]
	return p, ok
}

func TestServerCheck(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	good := func(ch Challenge) Credentials {
		c, err := Answer(ch, "bob", "secret", "REGISTER", target, "cafe", 1)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, tt := range []struct {
		name   string
		change func(*Credentials, *Challenge)
		source netip.Addr
		after  time.Duration
		uri    string
		want   Verdict
	}{
		{"right", nil, here, 0, target, Granted},
		{"right, URI with parameters", nil, here, 0, target + ";transport=tcp", Granted},
		{"right, mapped source", nil, netip.AddrFrom16(here.As16()), 0, target, Granted},
		{"just before the end", nil, here, DefaultLifetime - time.Millisecond, target, Granted},
		{"expired", nil, here, DefaultLifetime, target, Stale},
		{"from the past", nil, here, -time.Second, target, Stale},
		{"another source", nil, there, 0, target, Stale},
		{"another URI", nil, here, 0, "sip:example.com", Refused},
		{"wrong response", func(c *Credentials, _ *Challenge) { c.Response = "00" + c.Response[2:] }, here, 0, target, Refused},
		{"empty-looking response", func(c *Credentials, _ *Challenge) { c.Response = "0" }, here, 0, target, Refused},
		{"other realm", func(c *Credentials, _ *Challenge) { c.Realm = "x" }, here, 0, target, Refused},
		{"other user", func(c *Credentials, _ *Challenge) { c.Username = "alice" }, here, 0, target, Refused},
		{"algorithm not offered", func(c *Credentials, _ *Challenge) { c.Algorithm = "SHA-512-256" }, here, 0, target, Refused},
		{"userhash", func(c *Credentials, _ *Challenge) { c.UserHash = true }, here, 0, target, Refused},
		{"invented nonce", func(c *Credentials, ch *Challenge) {
			other := byte('A')
			if ch.Nonce[20] == other {
				other = 'B'
			}
			ch.Nonce = ch.Nonce[:20] + string(other) + ch.Nonce[21:]
			*c = good(*ch)
		}, here, 0, target, Stale},
		{"short nonce", func(c *Credentials, ch *Challenge) {
			ch.Nonce = "x"
			*c = good(*ch)
		}, here, 0, target, Stale},
		{"without qop", func(c *Credentials, ch *Challenge) {
			ch.QOP = nil
			*c = good(*ch)
		}, here, 0, target, Granted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer("example.org", 0)
			ch := s.Challenges(start, here, false)[0]
			c := good(ch)
			if tt.change != nil {
				tt.change(&c, &ch)
			}
			user, got := s.Check(start.Add(tt.after), tt.source, c.String(), "REGISTER", tt.uri, passwords)
			if got != tt.want || (user == "bob") != (got == Granted) {
				t.Errorf("%v for %q, want %v", got, user, tt.want)
			}
		})
	}
}

// "the server ... can detect request replays by maintaining its own copy of
// this count" (RFC 7616 section 3.4, nc).
func TestRFC7616Section3_4ReplayedCount(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := NewServer("example.org", 0)
	ch := s.Challenges(now, here, false)[1]
	send := func(ch Challenge, nc uint32) Verdict {
		c, err := Answer(ch, "bob", "secret", "INVITE", target, "cafe", nc)
		if err != nil {
			t.Fatal(err)
		}
		_, v := s.Check(now, here, c.String(), "INVITE", target, passwords)
		return v
	}
	for i, step := range []struct {
		nc   uint32
		want Verdict
	}{{1, Granted}, {1, Stale}, {3, Granted}, {2, Granted}, {2, Stale}, {3, Stale}, {200, Granted}, {136, Stale}, {137, Granted}, {137, Stale}, {200, Stale}} {
		if got := send(ch, step.nc); got != step.want {
			t.Errorf("step %d: count %d: %v, want %v", i, step.nc, got, step.want)
		}
	}
	ch = s.Challenges(now.Add(-time.Second), here, false)[1]
	ch.QOP = nil
	if a, b := send(ch, 0), send(ch, 0); a != Granted || b != Stale {
		t.Errorf("without qop: %v then %v, want one use of the nonce", a, b)
	}
}

func TestEveryChallengeHasItsOwnNonce(t *testing.T) {
	s, now := NewServer("example.org", 0), time.Unix(1_000_000, 0)
	if a, b := s.Challenges(now, here, false), s.Challenges(now, here, false); a[0].Nonce == b[0].Nonce {
		t.Error("two challenges in one millisecond share a nonce: the second use of it would be a replay")
	}
}

func TestServerMemoryIsBounded(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	s := NewServer("example.org", time.Hour)
	use := func(made, now time.Time) Verdict {
		c, err := Answer(s.Challenges(made, here, false)[0], "bob", "secret", "INVITE", target, "cafe", 1)
		if err != nil {
			t.Fatal(err)
		}
		_, v := s.Check(now, here, c.String(), "INVITE", target, passwords)
		return v
	}
	for i := range maxNonces {
		now := start.Add(time.Duration(i) * time.Millisecond)
		if v := use(now, now); v != Granted {
			t.Fatalf("nonce %d: %v", i, v)
		}
	}
	end := start.Add(time.Minute)
	if v := use(end, end); v != Stale { // its count could not be kept
		t.Errorf("the nonce over the limit: %v, want stale", v)
	}
	if v := use(start, end); v != Stale {
		t.Errorf("a nonce whose count was dropped: %v, want stale", v)
	}
	if v := use(end.Add(time.Second), end.Add(time.Second)); v != Granted {
		t.Errorf("a new nonce afterwards: %v, want granted", v)
	}
	if len(s.counts) > maxNonces {
		t.Errorf("%d counts kept, limit %d", len(s.counts), maxNonces)
	}
}
