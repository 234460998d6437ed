package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const maxURI = 4096 // bytes; ours. RFC 3261 has no limit, a datagram has

var errURI = errors.New("not a URI")

// URI is a SIP or SIPS URI, or one of another scheme. It is a comparable value:
// == compares the text, Equal compares as RFC 3261 section 19.1.4 says. Parts
// are kept as they are on the wire, with their escapes.
type URI struct {
	Scheme   string // "sip", "sips", lower case; "tel" and others
	User     string
	Password string // of the URI, deprecated by RFC 3261 section 19.1.1; kept, never made
	Host     string // without the brackets of an IPv6 address; all but the scheme when it is not sip or sips
	Port     uint16 // 0: not given
	Params   string // ";transport=tcp;lr"
	Headers  string // "?Subject=x"
}

// ParseURI reads a URI. A text without a scheme is an error, as are control
// characters, spaces, quotes and angle brackets anywhere in it.
func ParseURI(s string) (URI, error) {
	u, err := parseURI(s)
	if err != nil {
		return URI{}, fmt.Errorf("sip: parse URI %q: %w", clip(s, 80), err)
	}
	return u, nil
}

func parseURI(s string) (URI, error) {
	if len(s) > maxURI {
		return URI{}, errors.New("too long")
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) || rest == "" {
		return URI{}, errURI
	}
	for i := range len(rest) {
		if !inURI(rest[i]) {
			return URI{}, fmt.Errorf("character %q is not allowed", rest[i])
		}
	}
	u := URI{Scheme: strings.ToLower(scheme)}
	if !u.isSIP() {
		u.Host = rest
		return u, nil
	}
	if user, after, ok := strings.Cut(rest, "@"); ok {
		var password bool
		u.User, u.Password, password = strings.Cut(user, ":")
		if u.User == "" || password && (u.Password == "" || strings.Contains(u.Password, ":")) || strings.Contains(after, "@") {
			return URI{}, errors.New("malformed user part")
		}
		rest = after
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest, u.Headers = rest[:i], rest[i:]
	}
	if i := strings.IndexByte(rest, ';'); i >= 0 {
		rest, u.Params = rest[:i], rest[i:]
	}
	return u, u.setHostPort(rest)
}

// setHostPort reads the hostport of RFC 3261 section 25.1.
func (u *URI) setHostPort(s string) error {
	port := ""
	if v6, after, ok := strings.Cut(strings.TrimPrefix(s, "["), "]"); ok && strings.HasPrefix(s, "[") {
		a, err := netip.ParseAddr(v6)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return errors.New("malformed IPv6 address")
		}
		if after != "" && after[0] != ':' {
			return errors.New("malformed port")
		}
		u.Host, port = v6, after
	} else {
		u.Host = s
		if i := strings.IndexByte(s, ':'); i >= 0 {
			u.Host, port = s[:i], s[i:]
		}
		if u.Host == "" || strings.IndexFunc(u.Host, notHost) >= 0 {
			return errors.New("malformed host")
		}
	}
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil || n == 0 || port[1] == '+' {
		return errors.New("malformed port")
	}
	u.Port = uint16(n)
	return nil
}

// String is the URI as on the wire.
func (u URI) String() string { return string(u.Append(make([]byte, 0, 64))) }

// Append appends the URI as on the wire. A byte that a part must not contain is
// written as an escape, so that no value can break out of a header field.
func (u URI) Append(b []byte) []byte {
	if u == (URI{}) {
		return b
	}
	scheme := u.Scheme
	if !isScheme(scheme) {
		scheme = "sip"
	}
	b = append(append(b, scheme...), ':')
	if !u.isSIP() {
		return appendEscaped(b, u.Host, "")
	}
	if u.User != "" {
		b = appendEscaped(b, u.User, "@:")
		if u.Password != "" {
			b = append(b, ':')
			b = appendEscaped(b, u.Password, "@:")
		}
		b = append(b, '@')
	}
	if strings.Contains(u.Host, ":") {
		b = append(b, '[')
		b = appendEscaped(b, u.Host, "@;?[]")
		b = append(b, ']')
	} else {
		b = appendEscaped(b, u.Host, "@;?[]")
	}
	if u.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(u.Port), 10)
	}
	b = appendEscaped(b, u.Params, "@?")
	return appendEscaped(b, u.Headers, "@")
}

// isSIP says that the parts have their meaning.
func (u URI) isSIP() bool { return u.Scheme == "sip" || u.Scheme == "sips" || u.Scheme == "" }

// addr is the host when it is an address.
func (u URI) addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(u.Host)
	return a.Unmap(), err == nil
}

// Param is the value of a URI parameter; ok says that it is there, with or
// without a value. The name is compared without regard to case.
func (u URI) Param(name string) (value string, ok bool) {
	for p := range strings.SplitSeq(strings.TrimPrefix(u.Params, ";"), ";") {
		k, v, _ := strings.Cut(p, "=")
		if k != "" && strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// Equal compares as RFC 3261 section 19.1.4 says.
func (u URI) Equal(v URI) bool {
	if u == v {
		return true
	}
	if !u.isSIP() || !v.isSIP() {
		return false
	}
	// "A SIP and SIPS URI are never equivalent." "Comparison of the userinfo of SIP
	// and SIPS URIs is case-sensitive."
	if (u.Scheme == "sips") != (v.Scheme == "sips") || unescape(u.User) != unescape(v.User) ||
		unescape(u.Password) != unescape(v.Password) || u.Port != v.Port || !sameHost(u.Host, v.Host) {
		return false
	}
	return u.paramsMatch(v) && v.paramsMatch(u) && sameHeaders(u.Headers, v.Headers)
}

// paramsMatch says that each parameter of u allows v.
func (u URI) paramsMatch(v URI) bool {
	for p := range strings.SplitSeq(strings.TrimPrefix(u.Params, ";"), ";") {
		name, value, _ := strings.Cut(p, "=")
		if name == "" {
			continue
		}
		name = unescape(name)
		other, ok := v.Param(name)
		if ok && !strings.EqualFold(unescape(value), unescape(other)) {
			return false
		}
		// "A user, ttl, or method uri-parameter appearing in only one URI never
		// matches"; maddr and, by the section's examples, transport likewise. "All
		// other uri-parameters appearing in only one URI are ignored".
		if !ok {
			switch strings.ToLower(name) {
			case "user", "ttl", "method", "maddr", "transport":
				return false
			}
		}
	}
	return true
}

func sameHost(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x == y // 2001:db8::1 and 2001:DB8:0::1
}

// sameHeaders compares URI headers, which "are never ignored", in any order.
func sameHeaders(a, b string) bool {
	if a == b {
		return true
	}
	as, bs := strings.Split(strings.TrimPrefix(a, "?"), "&"), strings.Split(strings.TrimPrefix(b, "?"), "&")
	if len(as) != len(bs) {
		return false
	}
	count := make(map[string]int, len(as))
	for i := range as {
		count[headerKey(as[i])]++
		count[headerKey(bs[i])]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func headerKey(h string) string {
	name, value, _ := strings.Cut(h, "=")
	return strings.ToLower(unescape(name)) + "=" + unescape(value)
}

func isScheme(s string) bool {
	if s == "" || len(s) > 32 || !isAlpha(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlpha(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// inURI leaves out what would end a URI in a header field or a request line.
func inURI(c byte) bool {
	return c > ' ' && c != 0x7f && c != '<' && c != '>' && c != '"'
}

func notHost(r rune) bool {
	return (r > 0x7f || !isAlpha(byte(r))) && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends s with the bytes that are not for URIs, and those of
// but, as escapes.
func appendEscaped(b []byte, s, but string) []byte {
	for i := range len(s) {
		if c := s[i]; !inURI(c) || strings.IndexByte(but, c) >= 0 {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// unescape brings the text to the form in which it is compared: "Characters
// other than those in the reserved set are equivalent to their encoding".
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				if c := byte(n); strings.IndexByte(";/?:@&=+$,%", c) >= 0 {
					b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
				} else {
					b = append(b, c)
				}
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// clip shortens what is quoted in an error.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
