package transport

import "bytes"

// token tells whether b is a token of RFC 3261 section 25.1.
func token(b []byte) bool {
	for _, c := range b {
		if !alpha(c) && (c < '0' || c > '9') && bytes.IndexByte([]byte("-.!%*_+`'~"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

func alpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func white(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trim removes linear white space, folds included.
func trim(b []byte) []byte {
	for len(b) > 0 && white(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && white(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// number reads 1*DIGIT of up to ten digits.
func number(b []byte) (int, bool) {
	for len(b) > 10 && b[0] == '0' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// equalFold compares in ASCII without allocating.
func equalFold(b []byte, s string) bool {
	for i := range b {
		c, d := b[i], s[i]
		if c != d && (c|0x20 != d|0x20 || !alpha(c)) {
			return false
		}
	}
	return true
}

// control finds control characters that are not part of a fold or a quoted-pair
// ("\" followed by any character but CR and LF).
func control(b []byte) *defect {
	for i, c := range b {
		switch {
		case c >= ' ' && c != 0x7f || c == '\t':
		case c == '\r' && i+2 < len(b) && b[i+1] == '\n' && (b[i+2] == ' ' || b[i+2] == '\t'):
		case c == '\n' && i > 0 && b[i-1] == '\r':
		case c != '\r' && c != '\n' && i > 0 && b[i-1] == '\\':
		default:
			return bad("Control Character")
		}
	}
	return nil
}

// structure judges what all headers made of addresses, values and parameters have in
// common: quotes and brackets are balanced, no white space within brackets, not too many
// parts in the line and in all. odd tells of white space around a separator, and of a
// Via with several values.
func (h *head) structure(v []byte, via bool) (d *defect, odd bool) {
	params, values := 0, 1
	for i := 0; i < len(v); i++ {
		switch c := v[i]; c {
		case '"':
			n := quoted(v[i:])
			if n == 0 {
				return bad("Unbalanced Quote"), odd
			}
			i += n - 1
		case '<':
			n := bytes.IndexByte(v[i:], '>')
			if n < 0 {
				return bad("Unbalanced Bracket"), odd
			}
			inside := v[i+1 : i+n]
			if len(inside) == 0 || bytes.ContainsAny(inside, " \t\r\n<\"") {
				return bad("Malformed URI"), odd
			}
			params += bytes.Count(inside, []byte(";")) + bytes.Count(inside, []byte("&"))
			i += n
		case '>':
			return bad("Unbalanced Bracket"), odd
		case ',':
			values++
			odd = odd || via
		case ';', '=':
			if c == ';' {
				params++
			}
			if i > 0 && white(v[i-1]) || i+1 < len(v) && white(v[i+1]) {
				odd = true
			}
		case '/':
			if via && (i > 0 && white(v[i-1]) || i+1 < len(v) && white(v[i+1])) {
				odd = true
			}
		case ' ':
			if via && i+1 < len(v) && white(v[i+1]) {
				odd = true
			}
		case '\t':
			odd = true
		}
	}
	h.params, h.values = h.params+params, h.values+values
	if params > maxParams || values > maxValues || h.params > maxAllParams || h.values > maxAllValues {
		return bad("Too Many Parameters"), odd
	}
	return nil, odd
}

// quoted gives the length of the quoted-string v begins with; 0 when it has no end.
func quoted(v []byte) int {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// nameAddr judges a From or To: [display-name] <URI> params, or URI params, with a
// display name that is quoted or of tokens.
func nameAddr(v []byte) bool {
	open := -1
	for i := 0; i < len(v) && open < 0; i++ {
		switch v[i] {
		case '"':
			n := quoted(v[i:])
			if i != 0 || n == 0 {
				return false
			}
			i += n - 1
		case '<':
			open = i
		case ';':
			i = len(v)
		}
	}
	if open < 0 {
		// "If no "<" and ">" are present, all parameters after the URI are header
		// parameters"; a "," or "?" in the URI would need them (RFC 3261 section 20)
		uri, _, _ := bytes.Cut(v, []byte(";"))
		uri = trim(uri)
		return bytes.IndexByte(uri, ':') > 0 && !bytes.ContainsAny(uri, " \t\",?")
	}
	name := trim(v[:open])
	if len(name) > 0 && name[0] == '"' {
		return quoted(name) == len(name)
	}
	for word := range bytes.FieldsSeq(name) {
		if !token(word) && !printable(word) {
			return false
		}
	}
	after := trim(v[open+bytes.IndexByte(v[open:], '>')+1:])
	return len(after) == 0 || after[0] == ';'
}

// printable lets pass unquoted display names that are no tokens but harm nothing; they
// are common ("John Q. Public (work)", UTF-8).
func printable(word []byte) bool { return !bytes.ContainsAny(word, "\",;:<>@\\") }

// via is a Via value as far as a response needs it.
type via struct {
	version, host, port []byte
	rport               bool
}

// viaForm tells whether v is a Via with at least one well-formed value.
func viaForm(v []byte) bool {
	w, ok := parseVia(v)
	return ok && string(w.version) == "2.0"
}

// parseVia reads the first value of a Via:
// SIP / 2.0 / transport LWS host [: port] *( ; name [= value] )
func parseVia(v []byte) (w via, ok bool) {
	for i := range 3 {
		v = trim(v)
		n := 0
		for n < len(v) && token(v[n:n+1]) {
			n++
		}
		part := v[:n]
		if n == 0 || i == 0 && !bytes.EqualFold(part, []byte("SIP")) {
			return via{}, false
		}
		if i == 1 {
			w.version = part
		}
		v = v[n:]
		if i == 2 {
			break
		}
		if v = trim(v); len(v) == 0 || v[0] != '/' {
			return via{}, false
		}
		v = v[1:]
	}
	if len(v) == 0 || !white(v[0]) {
		return via{}, false
	}
	v = trim(v)
	end := bytes.IndexAny(v, ";,")
	if end < 0 {
		end = len(v)
	}
	if w.host, w.port, ok = sentBy(trim(v[:end])); !ok {
		return via{}, false
	}
	v = v[end:]
	for len(v) > 0 && v[0] == ';' {
		v = trim(v[1:])
		n := 0
		for n < len(v) && token(v[n:n+1]) {
			n++
		}
		if n == 0 {
			return via{}, false
		}
		name := v[:n]
		v = trim(v[n:])
		if len(v) > 0 && v[0] == '=' {
			v = trim(v[1:])
			if n = len(v); n > 0 && v[0] == '"' {
				n = quoted(v)
			} else if i := bytes.IndexAny(v, ";,"); i >= 0 {
				n = i
			}
			if n == 0 || v[0] != '"' && bytes.ContainsAny(trim(v[:n]), " \t\"") {
				return via{}, false
			}
			v = trim(v[n:])
		}
		w.rport = w.rport || len(name) == 5 && equalFold(name, "rport")
	}
	return w, len(v) == 0 || v[0] == ','
}

// sentBy splits host [: port]; LWS around the colon is legal.
func sentBy(v []byte) (host, port []byte, ok bool) {
	host = v
	if len(v) > 0 && v[0] == '[' {
		i := bytes.IndexByte(v, ']')
		if i < 0 {
			return nil, nil, false
		}
		host, v = v[:i+1], trim(v[i+1:])
		if len(v) == 0 {
			return host, nil, true
		}
		if v[0] != ':' {
			return nil, nil, false
		}
		port = trim(v[1:])
	} else if i := bytes.IndexByte(v, ':'); i >= 0 {
		host, port = trim(v[:i]), trim(v[i+1:])
	}
	if len(host) == 0 || bytes.ContainsAny(host, " \t/@") {
		return nil, nil, false
	}
	if port != nil {
		if n, ok := number(port); !ok || n == 0 || n > 65535 {
			return nil, nil, false
		}
	}
	return host, port, true
}
