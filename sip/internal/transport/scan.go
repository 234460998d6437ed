package transport

import (
	"bytes"
	"math"
)

// Limits of one message that are not configured: what lies over them has no use but to
// make a parser work.
const (
	maxLine   = 16 << 10 // bytes of a header line, continuations included
	maxParams = 64       // parameters and URI headers in one line
	maxValues = 128      // comma-separated values in one line

	maxAllParams = 1024 // in all lines together of the headers made of addresses
	maxAllValues = 256  // likewise; more hops than Max-Forwards lets a request make
)

// defect is what is wrong with a message. code is the status that answers a request,
// 0 when it is not SIP at all.
type defect struct {
	code   int
	reason string
}

func bad(reason string) *defect { return &defect{400, reason} }

// header names that the layers below the user must understand.
type headerID uint8

const (
	hOther headerID = iota
	hVia
	hFrom
	hTo
	hCallID
	hCSeq
	hMaxForwards
	hContentLength
	hContact
	hRoute
	hRecordRoute
	hTimestamp
	headerIDs
)

// head is what one walk over a raw message finds. The slices point into the message.
type head struct {
	request bool
	method  []byte // of the request line
	status  int
	seen    [headerIDs]uint8
	value   [headerIDs][]byte // of the first header of that name, trimmed
	cseq    []byte            // method of the CSeq
	lines   int
	params  int // in all
	values  int // in all
	length  int // Content-Length; -1: none
	body    int // where the body begins
	// odd: legal, but written in a way sipgo's parser gets wrong (folded lines, white
	// space around separators, several Via in a line)
	odd bool
}

// scan walks over the start line and headers of raw and finds the first defect. It goes
// on after a defect where it can, so that a response can be built from what it found.
func (h *head) scan(raw []byte, maxHeaders int) *defect {
	*h = head{length: -1}
	rest := raw
	line, n, ok := cutLine(rest)
	if !ok {
		return &defect{0, "no start line"}
	}
	rest = rest[n:]
	first := h.startLine(line)
	if first != nil && first.code == 0 {
		return first
	}
	keep := func(d *defect) {
		if first == nil {
			first = d
		}
	}
	for {
		line, n, ok = cutLine(rest)
		if !ok {
			return &defect{0, "headers without an end"}
		}
		if len(line) == 0 {
			rest = rest[n:]
			break
		}
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') { // folded
			_, more, ok := cutLine(rest[n:])
			if !ok {
				return &defect{0, "headers without an end"}
			}
			n += more
			line = rest[:n-2]
			h.odd = true
		}
		rest = rest[n:]
		if h.lines++; maxHeaders > 0 && h.lines > maxHeaders {
			return &defect{513, "Too Many Headers"}
		}
		if len(line) > maxLine {
			return &defect{513, "Header Too Long"}
		}
		keep(h.header(line))
	}
	h.body = len(raw) - len(rest)
	if first == nil {
		first = h.whole(len(rest))
	}
	return first
}

// cutLine gives the next line without its CRLF, and its length with it.
func cutLine(b []byte) (line []byte, n int, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, 0, false
	}
	return b[:i-1], i + 1, true
}

var version = []byte("SIP/2.0")

func (h *head) startLine(line []byte) *defect {
	if bytes.HasPrefix(line, []byte("SIP/")) {
		// Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF
		if !bytes.HasPrefix(line, version) || len(line) < 11 || line[7] != ' ' {
			return bad("Malformed Status-Line")
		}
		for _, c := range line[8:11] {
			if c < '0' || c > '9' {
				return bad("Malformed Status-Code")
			}
			h.status = h.status*10 + int(c-'0')
		}
		if h.status < 100 || h.status > 699 {
			return bad("Unknown Status-Code")
		}
		switch {
		case len(line) == 11: // no SP before an empty reason: seen in the wild
			h.odd = true
		case line[11] != ' ':
			return bad("Malformed Status-Code")
		}
		return control(line)
	}
	// Request-Line = Method SP Request-URI SP SIP-Version CRLF
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || !token(method) || !bytes.Contains(rest, []byte("SIP/")) {
		return &defect{0, "not a SIP message"}
	}
	h.request, h.method = true, method
	if len(line) > maxLine {
		return &defect{414, "Request-URI Too Long"}
	}
	i := bytes.LastIndexByte(rest, ' ')
	if i < 0 {
		return bad("Malformed Request-Line")
	}
	uri, v := rest[:i], rest[i+1:]
	if !bytes.Equal(v, version) {
		if bytes.HasPrefix(v, []byte("SIP/")) && bytes.IndexByte(uri, ' ') < 0 {
			return &defect{505, "Version Not Supported"}
		}
		return bad("Malformed Request-Line")
	}
	return requestURI(uri)
}

// requestURI judges the form of a Request-URI. Whether its scheme is supported is the
// user's to say (416), but for schemes that sipgo cannot read.
func requestURI(uri []byte) *defect {
	if len(uri) == 0 || bytes.ContainsAny(uri, " \t<>\"") {
		// "no ... white space ... MUST NOT be enclosed in <>" (RFC 3261 section 7.1)
		return bad("Malformed Request-URI")
	}
	scheme, rest, ok := bytes.Cut(uri, []byte(":"))
	if !ok || len(rest) == 0 || len(scheme) == 0 {
		return bad("Malformed Request-URI")
	}
	for _, c := range scheme {
		if !alpha(c) {
			return &defect{416, "Unsupported URI Scheme"}
		}
	}
	if bytes.EqualFold(scheme, []byte("sip")) || bytes.EqualFold(scheme, []byte("sips")) {
		if bytes.IndexByte(rest[bytes.LastIndexByte(rest, '@')+1:], '?') >= 0 {
			return bad("Headers In Request-URI") // "not allowed" (RFC 3261 table 1)
		}
	}
	if bytes.Count(rest, []byte(";"))+bytes.Count(rest, []byte("&")) > maxParams {
		return bad("Too Many Parameters")
	}
	return control(uri)
}

// header takes one header line, its continuations included.
func (h *head) header(line []byte) *defect {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return bad("Header Without Colon")
	}
	name = bytes.TrimRight(name, " \t")
	if !token(name) {
		return bad("Malformed Header Name")
	}
	id := nameID(name)
	value = trim(value)
	if h.seen[id] < math.MaxUint8 {
		h.seen[id]++
	}
	if h.seen[id] == 1 {
		h.value[id] = value
	}
	if d := control(line); d != nil {
		return d
	}
	switch id {
	case hFrom, hTo, hCallID, hCSeq, hMaxForwards, hContentLength:
		if h.seen[id] > 1 {
			return bad("Repeated " + id.String())
		}
	}
	switch id {
	case hVia, hFrom, hTo, hContact, hRoute, hRecordRoute:
		d, odd := h.structure(value, id == hVia)
		h.odd = h.odd || odd
		if d != nil {
			return d
		}
	case hCallID:
		if len(value) == 0 || bytes.ContainsAny(value, " \t\r\n") {
			return bad("Malformed Call-ID")
		}
	case hCSeq:
		return h.sequence(value)
	case hMaxForwards:
		if n, ok := number(value); !ok || n > 255 {
			return bad("Malformed Max-Forwards")
		}
	case hContentLength:
		n, ok := number(value)
		if !ok {
			return bad("Malformed Content-Length")
		}
		h.length = n
	}
	if (id == hFrom || id == hTo) && !nameAddr(value) {
		return bad("Malformed " + id.String())
	}
	return nil
}

// sequence reads a CSeq: "The sequence number value MUST be expressible as a 32-bit
// unsigned integer and MUST be less than 2**31" (RFC 3261 section 8.1.1.5).
func (h *head) sequence(value []byte) *defect {
	i := bytes.IndexAny(value, " \t\r")
	if i < 0 {
		return bad("Malformed CSeq")
	}
	n, ok := number(value[:i])
	method := trim(value[i:])
	if !ok || n > math.MaxInt32 || !token(method) {
		return bad("Malformed CSeq")
	}
	if len(method) != len(value)-i-1 {
		h.odd = true
	}
	h.cseq = method
	return nil
}

// whole judges the message after its headers; have is the size of what follows them.
func (h *head) whole(have int) *defect {
	// "A valid SIP request formulated by a UAC MUST, at a minimum, contain the following
	// header fields: To, From, CSeq, Call-ID, Max-Forwards, and Via" (RFC 3261 section
	// 8.1.1). Max-Forwards may be missing: RFC 2543 had none, and section 16.3 lets it pass.
	for _, id := range [...]headerID{hVia, hFrom, hTo, hCallID, hCSeq} {
		if h.seen[id] == 0 {
			return bad("Missing " + id.String())
		}
	}
	// "The method part of CSeq ... MUST match that of the request" (section 8.1.1.5)
	if h.request && !bytes.Equal(h.method, h.cseq) {
		return bad("CSeq Does Not Match Method")
	}
	// "If there are additional bytes in the transport packet beyond the end of the body,
	// they MUST be discarded. If the transport packet ends before the end of the message
	// body, this is considered an error" (section 18.3)
	if h.length > have {
		return bad("Content-Length Larger Than Message")
	}
	if !viaForm(h.value[hVia]) {
		return bad("Malformed Via")
	}
	return nil
}

func (id headerID) String() string {
	return [...]string{"header", "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Contact", "Route", "Record-Route", "Timestamp"}[id]
}

// nameID knows the names and compact forms of the headers above.
func nameID(name []byte) headerID {
	switch len(name) {
	case 1:
		switch name[0] | 0x20 {
		case 'v':
			return hVia
		case 'f':
			return hFrom
		case 't':
			return hTo
		case 'i':
			return hCallID
		case 'l':
			return hContentLength
		case 'm':
			return hContact
		}
		return hOther
	case 2, 3, 4, 5, 7, 9, 12, 14:
		for id := hVia; id < headerIDs; id++ {
			if s := id.String(); len(s) == len(name) && equalFold(name, s) {
				return id
			}
		}
	}
	return hOther
}
