package digest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

func register() *sipmsg.Request {
	return sipmsg.NewRequest(sipmsg.REGISTER, sipmsg.Uri{Scheme: "sip", Host: "example.org"})
}

func refusal(code int, challenges ...string) *sipmsg.Response {
	res := sipmsg.NewResponse(code, "")
	name := map[int]string{401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[code]
	for _, c := range challenges {
		res.AppendHeader(sipmsg.NewHeader(name, c))
	}
	return res
}

func sole(t *testing.T, req *sipmsg.Request, field string) Credentials {
	t.Helper()
	all := req.GetHeaders(field)
	if len(all) != 1 {
		t.Fatalf("%d %s fields, want 1", len(all), field)
	}
	c, err := ParseCredentials(all[0].Value())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRFC8760Section2_4TopmostSupportedChallenge(t *testing.T) {
	var c Client
	req := register()
	err := c.Authorize(req, refusal(
		401, `Basic realm="r"`, `Digest realm="r", nonce="0", algorithm=SHA-3, qop="auth"`,
		`Digest realm="r", nonce="1", algorithm=SHA-256, qop="auth"`, `Digest realm="r", nonce="2", algorithm=MD5, qop="auth"`,
	), "bob", "secret")
	if err != nil {
		t.Fatal(err)
	}
	got := sole(t, req, "Authorization")
	if got.Nonce != "1" || got.Algorithm != "SHA-256" || got.NC != 1 || !got.Matches("bob", "secret", "REGISTER") {
		t.Errorf("got %+v, want an answer to the SHA-256 challenge", got)
	}
}

func TestRFC3261Section22_3OneAnswerPerRealm(t *testing.T) {
	var c Client
	req := register()
	if err := c.Authorize(req, refusal(407, `Digest realm="a", nonce="1"`, `Digest realm="b", nonce="2"`), "bob", "x"); err != nil {
		t.Fatal(err)
	}
	if n := len(req.GetHeaders("Proxy-Authorization")); n != 2 {
		t.Errorf("%d Proxy-Authorization fields, want one for each realm", n)
	}
}

func TestAuthorizeOneTryPerNonce(t *testing.T) {
	const fresh, stale = `Digest realm="r", qop="auth", nonce="`, `Digest realm="r", qop="auth", stale=true, nonce="`
	type step struct {
		challenge string
		want      error
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"wrong password", []step{{fresh + `1"`, nil}, {fresh + `2"`, ErrRefused}}},
		{"same nonce", []step{{fresh + `1"`, nil}, {fresh + `1"`, ErrRefused}}},
		{"stale once", []step{{fresh + `1"`, nil}, {stale + `2"`, nil}, {fresh + `3"`, ErrRefused}}},
		{"stale with the same nonce", []step{{fresh + `1"`, nil}, {stale + `1"`, ErrRefused}}},
		{"always stale", []step{{fresh + `1"`, nil}, {stale + `2"`, nil}, {stale + `3"`, nil}, {stale + `4"`, ErrRefused}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Client
			req := register()
			for i, s := range tt.steps {
				if err := c.Authorize(req, refusal(401, s.challenge), "bob", "x"); !errors.Is(err, s.want) {
					t.Fatalf("step %d: error = %v, want %v", i, err, s.want)
				}
			}
		})
	}
	t.Run("nothing to answer", func(t *testing.T) {
		var c Client
		for _, res := range []*sipmsg.Response{refusal(401), refusal(401, "Basic x"), refusal(403, fresh+`1"`), refusal(401, `Digest realm="r", nonce="n", qop="auth-int"`)} {
			if err := c.Authorize(register(), res, "bob", "x"); !errors.Is(err, ErrNoChallenge) {
				t.Errorf("error = %v, want ErrNoChallenge", err)
			}
		}
	})
}

func TestPreauthorize(t *testing.T) {
	var c Client
	if c.Preauthorize(register(), "bob", "x") {
		t.Fatal("credentials before any challenge")
	}
	if err := c.Authorize(register(), refusal(401, `Digest realm="r", nonce="1", qop="auth"`), "bob", "x"); err != nil {
		t.Fatal(err)
	}
	req := register()
	if !c.Preauthorize(req, "bob", "x") {
		t.Fatal("no credentials though the realm is known")
	}
	if got := sole(t, req, "Authorization"); got.NC != 2 || got.Nonce != "1" {
		t.Errorf("nc = %d nonce = %s, want the second use of nonce 1", got.NC, got.Nonce)
	}
	// The remembered nonce ran out and the server does not say "stale": one try.
	if err := c.Authorize(req, refusal(401, `Digest realm="r", nonce="2", qop="auth"`), "bob", "x"); err != nil {
		t.Fatal(err)
	}
	if got := sole(t, req, "Authorization"); got.NC != 1 || got.Nonce != "2" {
		t.Errorf("nc = %d nonce = %s, want the first use of nonce 2", got.NC, got.Nonce)
	}
	if err := c.Authorize(req, refusal(401, `Digest realm="r", nonce="3", qop="auth"`), "bob", "x"); !errors.Is(err, ErrRefused) {
		t.Errorf("error = %v, want ErrRefused", err)
	}
	if c.Preauthorize(register(), "bob", "x") {
		t.Error("credentials kept after they were refused")
	}
}

func TestClientMemoryIsBounded(t *testing.T) {
	var c Client
	for i := range 100 {
		if err := c.Authorize(register(), refusal(401, `Digest realm="`+strings.Repeat("r", i)+`", nonce="n"`), "u", "p"); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.realms) > maxRealms {
		t.Errorf("%d realms remembered, limit %d", len(c.realms), maxRealms)
	}
}

func BenchmarkAnswerAndCheck(b *testing.B) {
	s := NewServer("example.org", 0)
	now, src := time.Unix(1, 0), netip.MustParseAddr("192.0.2.1")
	ch := s.Challenges(now, src, false)[0]
	password := func(string) (string, bool) { return "secret", true }
	b.ReportAllocs()
	nc := uint32(0)
	for b.Loop() {
		nc++
		c, err := Answer(ch, "bob", "secret", "INVITE", "sip:a@example.org", "0a4f113b", nc)
		if err != nil {
			b.Fatal(err)
		}
		if _, v := s.Check(now, src, c.String(), "INVITE", "sip:a@example.org", password); v != Granted {
			b.Fatal(v)
		}
	}
}
