package sip

import (
	"errors"
	"fmt"
	"strings"
)

const maxAddress = 8192 // bytes; ours

// Address is a name-addr of From, To, Contact and the like. It is a comparable
// value.
type Address struct {
	Name   string // the display name, without quotes and escapes
	URI    URI
	Params string // the header parameters: ";tag=1"
}

// ParseAddress reads `"Bob" <sip:bob@example.org>;tag=1`, or the form without
// brackets, in which all parameters are the header's.
func ParseAddress(s string) (Address, error) {
	a, err := parseAddress(strings.Trim(s, " \t"))
	if err != nil {
		return Address{}, fmt.Errorf("sip: parse address %q: %w", clip(s, 80), err)
	}
	return a, nil
}

func parseAddress(s string) (a Address, err error) {
	if len(s) > maxAddress {
		return a, errors.New("too long")
	}
	if strings.IndexFunc(s, isControl) >= 0 {
		return a, errors.New("control character")
	}
	if a.Name, s, err = cutDisplayName(s); err != nil {
		return a, err
	}
	uri, params := s, ""
	if rest, ok := strings.CutPrefix(s, "<"); ok {
		if uri, params, ok = strings.Cut(rest, ">"); !ok {
			return a, errors.New("no closing bracket")
		}
	} else {
		// "If no "<" and ">" are present, all parameters after the URI are header
		// parameters, not URI parameters." (RFC 3261 section 20.10)
		if i := strings.IndexByte(s, ';'); i >= 0 {
			uri, params = s[:i], s[i:]
		}
		if strings.ContainsAny(uri, "?,") {
			return a, errors.New("this URI needs brackets")
		}
	}
	if a.URI, err = parseURI(strings.Trim(uri, " \t")); err != nil {
		return a, err
	}
	a.Params, err = canonicalParams(params)
	return a, err
}

// cutDisplayName takes a quoted string or tokens from the front of a name-addr.
func cutDisplayName(s string) (name, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			return "", s, nil
		}
		name = strings.Trim(s[:i], " \t")
		if strings.ContainsAny(name, `";,:@\`) {
			return "", s, errors.New("malformed display name")
		}
		return name, s[i:], nil
	}
	text, rest, ok := cutQuoted(s)
	if !ok {
		return "", s, errors.New("unterminated display name")
	}
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, "<") {
		return "", s, errors.New("no URI after the display name")
	}
	return unquotePairs(text), rest, nil
}

// cutQuoted splits a quoted string from the front of s; text has its escapes.
func cutQuoted(s string) (text, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[1:i], s[i+1:], true
		}
	}
	return "", s, false
}

func unquotePairs(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// canonicalParams checks header parameters and leaves the white space between
// them out: " ; tag = 1" becomes ";tag=1".
func canonicalParams(s string) (string, error) {
	var b []byte
	for s = strings.Trim(s, " \t"); s != ""; {
		if s[0] != ';' {
			return "", errors.New("malformed parameters")
		}
		end := paramEnd(s[1:]) + 1
		name, value, hasValue := strings.Cut(s[1:end], "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		s = s[end:]
		if name == "" && !hasValue {
			continue // ";;" is forgiven
		}
		if name == "" || strings.ContainsAny(name, " \t\"<>,") || !isParamValue(value) {
			return "", errors.New("malformed parameter")
		}
		b = append(append(b, ';'), name...)
		if hasValue {
			b = append(append(b, '='), value...)
		}
	}
	return string(b), nil
}

// paramEnd is where the first parameter ends: at a semicolon outside quotes.
func paramEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return i
		}
	}
	return len(s)
}

func isParamValue(s string) bool {
	if strings.HasPrefix(s, `"`) {
		_, rest, ok := cutQuoted(s)
		return ok && rest == ""
	}
	return !strings.ContainsAny(s, " \t\"<>,")
}

// String is the address as on the wire.
func (a Address) String() string { return string(a.Append(make([]byte, 0, 96))) }

// Append appends the address as on the wire, always with brackets. Control
// characters become spaces.
func (a Address) Append(b []byte) []byte {
	if a.Name != "" {
		b = append(b, '"')
		for i := range len(a.Name) {
			switch c := a.Name[i]; {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case isControl(rune(c)):
				b = append(b, ' ')
			default:
				b = append(b, c)
			}
		}
		b = append(b, '"', ' ')
	}
	b = append(b, '<')
	b = a.URI.Append(b)
	b = append(b, '>')
	return append(b, oneLine(a.Params)...)
}

// Param is the value of a header parameter, without quotes; ok says that it is
// there, with or without a value.
func (a Address) Param(name string) (value string, ok bool) {
	for s := a.Params; s != ""; {
		s = s[1:]
		end := paramEnd(s)
		k, v, _ := strings.Cut(s[:end], "=")
		if strings.EqualFold(k, name) {
			if text, _, quoted := cutQuoted(v); quoted && v[0] == '"' {
				return unquotePairs(text), true
			}
			return v, true
		}
		s = s[end:]
	}
	return "", false
}

// Tag is the tag parameter.
func (a Address) Tag() string {
	tag, _ := a.Param("tag")
	return tag
}

// withTag is the address with this tag and no other parameter.
func (a Address) withTag(tag string) Address {
	a.Params = ""
	if tag != "" {
		a.Params = ";tag=" + tag
	}
	return a
}
