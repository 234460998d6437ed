package digest

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseChallenge(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     Challenge
		bad      bool
	}{
		{
			"RFC 3261 20.44", `Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5`,
			Challenge{Realm: "atlanta.com", Nonce: "f84f1cec41e6cbe5aea9c8e88d359", Algorithm: "MD5", QOP: []string{"auth"}},
			false,
		},
		{
			"spaces, case, unquoted, empty elements", "dIGEST  REALM = \"a\\\"b\\\\c\" ,, nonce=abc+/==,stale=True , qop=\"auth, auth-int\",userhash=true,future=1",
			Challenge{Realm: `a"b\c`, Nonce: "abc+/==", Stale: true, QOP: []string{"auth", "auth-int"}, UserHash: true},
			false,
		},
		{"empty realm", `Digest realm="", nonce="n"`, Challenge{Nonce: "n"}, false},
		{"other scheme", `Basic realm="x"`, Challenge{}, true},
		{"no nonce", `Digest realm="x"`, Challenge{}, true},
		{"no realm", `Digest nonce="x"`, Challenge{}, true},
		{"twice", `Digest realm="x", realm="y", nonce="n"`, Challenge{}, true},
		{"open quote", `Digest realm="x, nonce="n"`, Challenge{}, true},
		{"no equals sign", `Digest realm`, Challenge{}, true},
		{"no comma", `Digest realm="x" nonce="n"`, Challenge{}, true},
		{"too long", `Digest realm="` + strings.Repeat("x", maxValue) + `", nonce="n"`, Challenge{}, true},
		{"too many", `Digest realm="x", nonce="n"` + manyParams(), Challenge{}, true},
		{"empty", "", Challenge{}, true},
		{"scheme only", "Digest", Challenge{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseChallenge(tt.in)
			if (err != nil) != tt.bad {
				t.Fatalf("error = %v, want one: %v", err, tt.bad)
			}
			if !tt.bad && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func manyParams() string {
	var b strings.Builder
	for i := range maxParams {
		b.WriteString(", p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

func TestParseCredentials(t *testing.T) {
	const head = `Digest username="bob", realm="biloxi.com", nonce="n", uri="sip:bob@biloxi.com", response="6629"`
	for in, bad := range map[string]bool{
		head: false,
		head + `, qop=auth, nc=00000001, cnonce="0a4f113b", opaque="5c"`: false,
		head + `, qop=auth, nc=1, cnonce="0a"`:                           true,
		head + `, qop=auth, nc=00000000, cnonce="0a"`:                    true,
		head + `, qop=auth, nc=00000001`:                                 true,
		head + `, qop=auth, nc=0000000g, cnonce="0a"`:                    true,
		`Digest username="bob", realm="r", nonce="n", uri="sip:b"`:       true,
	} {
		if _, err := ParseCredentials(in); (err != nil) != bad {
			t.Errorf("%s: error = %v, want one: %v", in, err, bad)
		}
	}
}

func TestAppendNeverStartsAnotherField(t *testing.T) {
	c := Credentials{Username: "a\r\nVia: x", Realm: "r\x00", Nonce: "n", URI: "u", Response: "x", Algorithm: "MD5\r\nX: y"}
	if s := c.String(); strings.ContainsAny(s, "\r\n\x00") || strings.Contains(s, "X: y") {
		t.Errorf("%q holds a line break or an algorithm that is no token", s)
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="atlanta.com", qop="auth", nonce="f84f", opaque="", stale=FALSE, algorithm=MD5`)
	f.Add(`Digest realm="a\"b", nonce=abc, qop=auth`)
	f.Add(`digest ,,realm = x,nonce="\`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseChallenge(s)
		if err != nil {
			return
		}
		again, err := ParseChallenge(c.String())
		if err != nil && c.String() != "" && len(c.String()) <= maxValue {
			t.Fatalf("%q was read, its own text %q not: %v", s, c.String(), err)
		}
		if err == nil && again.String() != c.String() {
			t.Fatalf("not stable: %q, then %q", c.String(), again.String())
		}
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add(`Digest username="bob", realm="biloxi.com", nonce="n", uri="sip:bob@biloxi.com", response="6629", qop=auth, nc=00000001, cnonce="0a4f113b"`)
	f.Add(`Digest username=bob,realm=r,nonce=n,uri=u,response=r,algorithm=SHA-256`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCredentials(s)
		if err != nil {
			return
		}
		_ = c.Matches("bob", "x", "INVITE")
		_ = c.String()
	})
}
