package negotiate

import (
	"encoding/base64"
	"log/slog"
	"strconv"
	"strings"
)

const redacted = "REDACTED"

// Crypto is one a=crypto line (RFC 4568) with a single inline key. It is secret:
// String, GoString and LogValue show the tag and the suite only; Append is
// the way to the wire.
type Crypto struct {
	Tag    int    // 1 to 999999999
	Suite  string // "AES_CM_128_HMAC_SHA1_80"
	Key    string // base64 of master key and salt
	Params string // what follows the key: "|2^20|1:4", session parameters; kept as it came
}

// IsZero reports whether c holds no key.
func (c Crypto) IsZero() bool { return c == Crypto{} }

// String is what a log may show.
func (c Crypto) String() string {
	if c.IsZero() {
		return "none"
	}
	return strconv.Itoa(c.Tag) + " " + c.Suite + " inline:" + redacted
}

// GoString is String.
func (c Crypto) GoString() string { return c.String() }

// LogValue is String.
func (c Crypto) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Append appends the attribute's value, key and all.
func (c Crypto) Append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(c.Tag), 10)
	b = append(b, ' ')
	b = append(b, c.Suite...)
	b = append(b, " inline:"...)
	b = append(b, c.Key...)
	return append(b, c.Params...)
}

// ParseCrypto reads the value of an a=crypto line. Errors quote nothing of it.
func ParseCrypto(s string) (Crypto, error) {
	if len(s) > maxCryptoLength {
		return Crypto{}, errCrypto
	}
	tag, rest, ok := strings.Cut(s, " ")
	if !ok || len(tag) == 0 || len(tag) > 9 || strings.Trim(tag, "0123456789") != "" {
		return Crypto{}, errCrypto
	}
	n, _ := strconv.Atoi(tag) // at most nine digits
	suite, rest, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if !ok || n == 0 || !isToken(suite) {
		return Crypto{}, errCrypto
	}
	rest = strings.TrimLeft(rest, " ")
	const method = "inline:"
	if len(rest) < len(method) || !strings.EqualFold(rest[:len(method)], method) {
		return Crypto{}, errCrypto
	}
	rest = rest[len(method):]
	end := len(rest)
	for i := range len(rest) {
		if !isBase64(rest[i]) {
			end = i
			break
		}
	}
	c := Crypto{Tag: n, Suite: suite, Key: rest[:end], Params: rest[end:]}
	if c.Key == "" || c.Params != "" && !strings.ContainsRune("| ;", rune(c.Params[0])) {
		return Crypto{}, errCrypto
	}
	return c, nil
}

func isBase64(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '+' || b == '/' || b == '='
}

// usable reports whether we can do what the line asks for: a key of its suite's
// length and nothing more. No MKI, no second key, no session parameters; a
// lifetime ("|2^31") changes nothing for us.
func (c Crypto) usable() bool {
	size := 0
	switch c.Suite {
	case "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32":
		size = 16 + 14 // RFC 4568 section 6.2
	case "AEAD_AES_128_GCM":
		size = 16 + 12 // RFC 7714 section 14.1
	case "AEAD_AES_256_GCM":
		size = 32 + 12
	}
	key, err := base64.StdEncoding.DecodeString(c.Key)
	if err != nil || size == 0 || len(key) != size {
		return false
	}
	lifetime, ok := strings.CutPrefix(c.Params, "|")
	if !ok {
		return c.Params == ""
	}
	return lifetime != "" && strings.Trim(strings.TrimPrefix(lifetime, "2^"), "0123456789") == ""
}
