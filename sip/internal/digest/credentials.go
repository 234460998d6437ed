package digest

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Credentials is the value of an Authorization or Proxy-Authorization field.
type Credentials struct {
	Username  string
	UserHash  bool // Username is a hash of user name and realm
	Realm     string
	Nonce     string
	URI       string
	Response  string
	Algorithm string // as in the challenge; "" is MD5
	CNonce    string
	Opaque    string
	QOP       string // "auth" or ""
	NC        uint32 // nonce count; meaningful with a qop
}

// ParseCredentials reads one field value.
func ParseCredentials(value string) (Credentials, error) {
	var c Credentials
	err := parseParams(value, func(name, v string) error {
		switch name {
		case "username":
			c.Username = v
		case "userhash":
			c.UserHash = strings.EqualFold(v, "true")
		case "realm":
			c.Realm = v
		case "nonce":
			c.Nonce = v
		case "uri":
			c.URI = v
		case "response":
			c.Response = v
		case "algorithm":
			c.Algorithm = v
		case "cnonce":
			c.CNonce = v
		case "opaque":
			c.Opaque = v
		case "qop":
			c.QOP = strings.ToLower(v)
		case "nc":
			n, err := strconv.ParseUint(v, 16, 32)
			if err != nil || len(v) != 8 {
				return fmt.Errorf("digest: nonce count %q is not eight hexadecimal digits", clip(v))
			}
			c.NC = uint32(n)
		}
		return nil
	})
	if err != nil {
		return Credentials{}, err
	}
	if c.Username == "" || c.Nonce == "" || c.URI == "" || c.Response == "" {
		return Credentials{}, errors.New("digest: credentials without username, nonce, uri or response")
	}
	if c.QOP != "" && (c.CNonce == "" || c.NC == 0) {
		return Credentials{}, errors.New("digest: credentials with qop but without cnonce or nc")
	}
	return c, nil
}

// Append appends the field value, "Digest username=...".
func (c Credentials) Append(b []byte) []byte {
	b = append(b, "Digest "...)
	b = appendQuoted(b, "username", c.Username)
	b = appendQuoted(append(b, ", "...), "realm", c.Realm)
	b = appendQuoted(append(b, ", "...), "nonce", c.Nonce)
	b = appendQuoted(append(b, ", "...), "uri", c.URI)
	b = appendQuoted(append(b, ", "...), "response", c.Response)
	if isToken(c.Algorithm) {
		b = append(append(b, ", algorithm="...), c.Algorithm...)
	}
	if c.Opaque != "" {
		b = appendQuoted(append(b, ", "...), "opaque", c.Opaque)
	}
	if c.QOP != "" {
		b = append(append(b, ", qop="...), c.QOP...)
		b = fmt.Appendf(b, ", nc=%08x", c.NC)
		b = appendQuoted(append(b, ", "...), "cnonce", c.CNonce)
	}
	if c.UserHash {
		b = append(b, ", userhash=true"...)
	}
	return b
}

// String returns the field value.
func (c Credentials) String() string { return string(c.Append(nil)) }

// Answer computes credentials for a challenge. nc and cnonce are used when the
// challenge offers qop "auth"; a nonce counts its uses from 1.
func Answer(ch Challenge, user, password, method, uri, cnonce string, nc uint32) (Credentials, error) {
	alg, ok := ParseAlgorithm(ch.Algorithm)
	if !ok {
		return Credentials{}, fmt.Errorf("digest: algorithm %q is not supported", clip(ch.Algorithm))
	}
	if len(ch.QOP) > 0 && !ch.offersAuth() {
		return Credentials{}, fmt.Errorf("digest: qop %q is not supported", clip(strings.Join(ch.QOP, ",")))
	}
	c := Credentials{
		Username: user, Realm: ch.Realm, Nonce: ch.Nonce, URI: uri,
		Algorithm: ch.Algorithm, Opaque: ch.Opaque,
	}
	if len(ch.QOP) > 0 {
		c.QOP, c.CNonce, c.NC = "auth", cnonce, nc
	}
	c.Response = c.response(alg, alg.hash(user, ch.Realm, password), method)
	if ch.UserHash {
		c.Username, c.UserHash = alg.hash(user, ch.Realm), true
	}
	return c, nil
}

// Matches reports whether the response was made with this user's password for
// this method. It takes the same time for a wrong response as for a right one.
func (c Credentials) Matches(user, password, method string) bool {
	alg, ok := ParseAlgorithm(c.Algorithm)
	if !ok || (c.QOP != "" && c.QOP != "auth") {
		return false
	}
	want := c.response(alg, alg.hash(user, c.Realm, password), method)
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.Response))) == 1
}

// response is RFC 7616 section 3.4.1; ha1 is the hash of A1.
func (c Credentials) response(alg Algorithm, ha1, method string) string {
	ha2 := alg.hash(method, c.URI)
	if c.QOP == "" {
		return alg.hash(ha1, c.Nonce, ha2)
	}
	return alg.hash(ha1, c.Nonce, fmt.Sprintf("%08x", c.NC), c.CNonce, c.QOP, ha2)
}
