package digest

import "testing"

// Vectors of RFC 2617 section 3.5, RFC 7616 section 3.9 (as corrected by
// errata, see the case) and, without qop, RFC 2069's formula on the first.
func TestRFC7616Section3_9(t *testing.T) {
	const (
		old = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
		n1  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		c1  = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
		n2  = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"
		c2  = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
	)
	auth := []string{"auth", "auth-int"}
	for _, tt := range []struct {
		name           string
		ch             Challenge
		user, password string
		uri, cnonce    string
		wantUser, want string
	}{
		{
			"RFC 2617 3.5 MD5",
			Challenge{Realm: "testrealm@host.com", Nonce: old, QOP: auth},
			"Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b", "Mufasa", "6629fae49393a05397450978507c4ef1",
		},
		{
			"RFC 2069 without qop",
			Challenge{Realm: "testrealm@host.com", Nonce: old},
			"Mufasa", "Circle Of Life", "/dir/index.html", "", "Mufasa", "670fd8c2df070c60b045671b8b24ff02",
		},
		{
			"3.9.1 MD5",
			Challenge{Realm: "http-auth@example.org", Nonce: n1, Algorithm: "MD5", QOP: auth},
			"Mufasa", "Circle of Life", "/dir/index.html", c1, "Mufasa", "8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"3.9.1 SHA-256",
			Challenge{Realm: "http-auth@example.org", Nonce: n1, Algorithm: "SHA-256", QOP: auth},
			"Mufasa", "Circle of Life", "/dir/index.html", c1, "Mufasa",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"3.9.2 SHA-512-256 with userhash (erratum 4897)",
			Challenge{Realm: "api@example.org", Nonce: n2, Algorithm: "SHA-512-256", QOP: auth[:1], UserHash: true},
			"J\u00e4s\u00f8n Doe", "Secret, or not?", "/doe.json", c2,
			"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
			"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Answer(tt.ch, tt.user, tt.password, "GET", tt.uri, tt.cnonce, 1)
			if err != nil {
				t.Fatal(err)
			}
			if c.Response != tt.want {
				t.Errorf("response = %s, want %s", c.Response, tt.want)
			}
			if c.Username != tt.wantUser {
				t.Errorf("username = %s, want %s", c.Username, tt.wantUser)
			}
			again, err := ParseCredentials(c.String())
			if err != nil || again != c {
				t.Errorf("%v: parsed back %+v, want %+v", err, again, c)
			}
			if !again.Matches(tt.user, tt.password, "GET") || again.Matches(tt.user, tt.password+"x", "GET") {
				t.Error("Matches: the right password must do and a wrong one must not")
			}
		})
	}
}
