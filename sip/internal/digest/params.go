package digest

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of one header field value: our choice, far above anything seen.
const (
	maxValue  = 4096
	maxParams = 32
)

var errNotDigest = errors.New("digest: not the Digest scheme")

// parseParams walks the auth-params of a Digest challenge or of credentials
// and hands each to set with its name in lower case and its value unquoted.
func parseParams(s string, set func(name, value string) error) error {
	if len(s) > maxValue {
		return fmt.Errorf("digest: value of %d bytes is over the limit of %d", len(s), maxValue)
	}
	s, ok := cutScheme(s)
	if !ok {
		return errNotDigest
	}
	seen := make(map[string]bool, 12)
	for s != "" {
		var name, value string
		var err error
		name, value, s, err = nextParam(s)
		if err != nil {
			return err
		}
		if name == "" {
			continue // an empty list element: RFC 9110 section 5.6.1 lets a recipient skip it
		}
		if seen[name] || len(seen) == maxParams {
			return fmt.Errorf("digest: parameter %q twice or too many parameters", name)
		}
		seen[name] = true
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// cutScheme removes "Digest" and the white space that must follow it.
func cutScheme(s string) (string, bool) {
	s = strings.Trim(s, " \t\r\n")
	const scheme = "digest"
	if len(s) <= len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) || !isSpace(s[len(scheme)]) {
		return "", false
	}
	return trimLeft(s[len(scheme):]), true
}

// nextParam takes one `name = value` and the comma after it off s.
func nextParam(s string) (name, value, rest string, err error) {
	s = trimLeft(s)
	if s == "" || s[0] == ',' {
		return "", "", strings.TrimPrefix(s, ","), nil
	}
	n := tokenLen(s)
	name, rest = strings.ToLower(s[:n]), trimLeft(s[n:])
	if n == 0 || rest == "" || rest[0] != '=' {
		return "", "", "", fmt.Errorf("digest: no parameter at %q", clip(s))
	}
	rest = trimLeft(rest[1:])
	if strings.HasPrefix(rest, `"`) {
		value, rest, err = unquote(rest)
		if err != nil {
			return "", "", "", err
		}
	} else {
		// Lenient beyond token: some peers leave base64 nonces and URIs unquoted.
		end := strings.IndexAny(rest, ", \t\r\n\"")
		if end < 0 {
			end = len(rest)
		}
		value, rest = rest[:end], rest[end:]
	}
	rest = trimLeft(rest)
	if rest != "" && rest[0] != ',' {
		return "", "", "", fmt.Errorf("digest: no comma at %q", clip(rest))
	}
	return name, value, strings.TrimPrefix(rest, ","), nil
}

// unquote takes a quoted-string off the front of s.
func unquote(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("digest: quoted string without end at %q", clip(s))
}

// appendQuoted appends `name="value"`. Line breaks and other control characters
// become spaces: a value never starts a header field of its own.
func appendQuoted(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, '=', '"')
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func tokenLen(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("-.!%*_+`'~", c) >= 0: // RFC 3261 section 25.1, token
		default:
			return i
		}
	}
	return len(s)
}

// isToken reports whether s may be written without quotes.
func isToken(s string) bool { return s != "" && tokenLen(s) == len(s) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trimLeft(s string) string { return strings.TrimLeft(s, " \t\r\n") }

func clip(s string) string { return s[:min(len(s), 24)] }
