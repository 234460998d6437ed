package digest

import (
	"errors"
	"slices"
	"strings"
)

// Challenge is the value of a WWW-Authenticate or Proxy-Authenticate field.
type Challenge struct {
	Realm  string
	Nonce  string
	Opaque string
	Stale  bool
	// Algorithm as written; "" means MD5 (RFC 7616 section 3.3).
	Algorithm string
	// QOP lists what the server offers; empty means the challenge has none
	// (RFC 2069).
	QOP []string
	// UserHash says that the server understands a hashed user name.
	UserHash bool
}

// ParseChallenge reads one field value. It accepts any algorithm and qop:
// Usable says whether they can be answered.
func ParseChallenge(value string) (Challenge, error) {
	var c Challenge
	var realm, nonce bool
	err := parseParams(value, func(name, v string) error {
		switch name {
		case "realm":
			c.Realm, realm = v, true
		case "nonce":
			c.Nonce, nonce = v, true
		case "opaque":
			c.Opaque = v
		case "stale":
			c.Stale = strings.EqualFold(v, "true")
		case "algorithm":
			c.Algorithm = v
		case "qop":
			for q := range strings.SplitSeq(v, ",") {
				if q = strings.ToLower(strings.TrimSpace(q)); q != "" {
					c.QOP = append(c.QOP, q)
				}
			}
		case "userhash":
			c.UserHash = strings.EqualFold(v, "true")
		}
		return nil
	})
	if err != nil {
		return Challenge{}, err
	}
	if !realm || !nonce {
		return Challenge{}, errors.New("digest: challenge without realm or nonce")
	}
	return c, nil
}

// Usable reports whether the challenge can be answered.
func (c Challenge) Usable() bool {
	_, ok := ParseAlgorithm(c.Algorithm)
	return ok && (len(c.QOP) == 0 || c.offersAuth())
}

func (c Challenge) offersAuth() bool {
	return slices.Contains(c.QOP, "auth")
}

// Append appends the field value, "Digest realm=...".
func (c Challenge) Append(b []byte) []byte {
	b = append(b, "Digest "...)
	b = appendQuoted(b, "realm", c.Realm)
	b = appendQuoted(append(b, ", "...), "nonce", c.Nonce)
	if c.Opaque != "" {
		b = appendQuoted(append(b, ", "...), "opaque", c.Opaque)
	}
	if c.Stale {
		b = append(b, ", stale=true"...)
	}
	if isToken(c.Algorithm) {
		b = append(append(b, ", algorithm="...), c.Algorithm...)
	}
	if len(c.QOP) > 0 {
		b = appendQuoted(append(b, ", "...), "qop", strings.Join(c.QOP, ","))
	}
	if c.UserHash {
		b = append(b, ", userhash=true"...)
	}
	return b
}

// String returns the field value.
func (c Challenge) String() string { return string(c.Append(nil)) }
