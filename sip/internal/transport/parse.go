package transport

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// parser reads one message of known extent. It holds nothing between messages but its
// working space and belongs to one goroutine.
type parser struct {
	sip        *sipmsg.Parser
	maxHeaders int
	head       head
	tidy       []byte
}

func newParser(maxHeaders int) *parser {
	return &parser{sip: sipmsg.NewParser(), maxHeaders: maxHeaders}
}

// parse validates raw and parses it. With a defect the message is nil and p.head tells
// what was found; whether a response can and must be sent is reply's to say.
func (p *parser) parse(raw []byte, stream bool) (sipmsg.Message, *defect) {
	h := &p.head
	if d := h.scan(raw, p.maxHeaders); d != nil {
		return nil, d
	}
	if stream && h.length < 0 {
		return nil, bad("Missing Content-Length")
	}
	if h.odd {
		p.tidy = tidy(p.tidy[:0], raw[:h.body])
		p.tidy = append(p.tidy, raw[h.body:]...)
		raw = p.tidy
	}
	msg, err := parseSIP(p.sip, raw)
	if cap(p.tidy) > maxLine {
		p.tidy = nil
	}
	if err != nil {
		return nil, bad("Malformed Message")
	}
	return p.finish(msg)
}

// finish undoes what sipgo changes and checks that it understood what scan saw.
func (p *parser) finish(msg sipmsg.Message) (sipmsg.Message, *defect) {
	via, cseq := msg.Via(), msg.CSeq()
	if via == nil || via.Host == "" || via.Port < 0 || via.Port > 65535 || cseq == nil || msg.From() == nil || msg.To() == nil || msg.CallID() == nil {
		return nil, bad("Malformed Message")
	}
	// "Unless otherwise stated in the definition of a particular header field, field
	// values, parameter names, and parameter values are case-insensitive" (RFC 3261 section
	// 7.3.1); sipgo compares the names as they are.
	lowerNames(via.Params, "branch", "received", "rport")
	lowerNames(msg.From().Params, "tag")
	lowerNames(msg.To().Params, "tag")
	method := sipmsg.RequestMethod(p.head.cseq)
	if known := canonical(p.head.cseq); known != "" {
		method = known
	}
	cseq.MethodName = method
	switch m := msg.(type) {
	case *sipmsg.Request:
		if !p.head.request {
			return nil, bad("Malformed Message")
		}
		m.Method = method // sipgo turns it to upper case; methods are case-sensitive (RFC 3261 section 7.1)
	case *sipmsg.Response:
		if p.head.request || m.StatusCode != p.head.status {
			return nil, bad("Malformed Message")
		}
	}
	return msg, nil
}

func lowerNames(params sipmsg.HeaderParams, names ...string) {
	for i := range params {
		for _, name := range names {
			if strings.EqualFold(params[i].K, name) {
				params[i].K = name
			}
		}
	}
}

// canonical avoids an allocation for the common methods.
func canonical(method []byte) sipmsg.RequestMethod {
	switch sipmsg.RequestMethod(method) {
	case sipmsg.INVITE:
		return sipmsg.INVITE
	case sipmsg.ACK:
		return sipmsg.ACK
	case sipmsg.BYE:
		return sipmsg.BYE
	case sipmsg.CANCEL:
		return sipmsg.CANCEL
	case sipmsg.OPTIONS:
		return sipmsg.OPTIONS
	case sipmsg.REGISTER:
		return sipmsg.REGISTER
	}
	return ""
}

// parseSIP keeps a panic of the parser, were there one, from ending the process: what
// comes off the wire is a stranger's.
func parseSIP(p *sipmsg.Parser, raw []byte) (msg sipmsg.Message, err error) {
	defer func() {
		if r := recover(); r != nil {
			msg, err = nil, fmt.Errorf("sip: parser: %v", r)
		}
	}()
	return p.ParseSIP(raw)
}

// tidy writes the header section with folds joined, no white space around the
// separators of the headers made of addresses and parameters, and one Via a line.
func tidy(dst, header []byte) []byte {
	line, n, _ := cutLine(header)
	dst = append(dst, line...)
	if len(line) == 11 && bytes.HasPrefix(line, version) {
		dst = append(dst, ' ') // the reason's
	}
	dst = append(dst, "\r\n"...)
	header = header[n:]
	for {
		line, n, _ = cutLine(header)
		if len(line) == 0 {
			return append(dst, "\r\n"...)
		}
		for n < len(header) && (header[n] == ' ' || header[n] == '\t') {
			_, more, _ := cutLine(header[n:])
			n += more
			line = header[:n-2]
		}
		header = header[n:]
		colon := bytes.IndexByte(line, ':')
		name := bytes.TrimRight(line[:colon], " \t")
		dst = append(append(dst, name...), ": "...)
		id := nameID(name)
		seps := ""
		switch id {
		case hVia:
			seps = ";=,/"
		case hFrom, hTo, hContact, hRoute, hRecordRoute:
			seps = ";=,"
		}
		dst = tidyValue(dst, trim(line[colon+1:]), seps, id == hVia)
		dst = append(dst, "\r\n"...)
	}
}

// tidyValue appends v with each run of white space outside quotes and brackets as one
// space, or none next to a separator. A "," in a Via begins a new line.
func tidyValue(dst, v []byte, seps string, via bool) []byte {
	from := len(dst)
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case white(c):
			if n := len(dst); n > from && dst[n-1] != ' ' && strings.IndexByte(seps, dst[n-1]) < 0 {
				dst = append(dst, ' ')
			}
			continue
		case c == '"':
			if n := quoted(v[i:]); n > 0 {
				for _, q := range v[i : i+n] {
					if q == '\r' || q == '\n' {
						q = ' '
					}
					dst = append(dst, q)
				}
				i += n - 1
				continue
			}
		case seps != "" && c == '<':
			if n := bytes.IndexByte(v[i:], '>'); n > 0 {
				dst = append(dst, v[i:i+n+1]...)
				i += n
				continue
			}
		case strings.IndexByte(seps, c) >= 0:
			if n := len(dst); n > from && dst[n-1] == ' ' {
				dst = dst[:n-1]
			}
			if via && c == ',' {
				dst = append(dst, "\r\nVia: "...)
				from = len(dst)
				continue
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// markSource fills in the top Via of a request: "If the host portion of the "sent-by"
// parameter contains a domain name, or if it contains an IP address that differs from
// the packet source address, the server MUST add a "received" parameter" (RFC 3261
// section 18.2.1). "When a server ... receives a request ... with an "rport" parameter
// with no value, it MUST set the value of the parameter to the source port of the
// request ... the server MUST insert a "received" parameter" (RFC 3581 section 4).
func markSource(v *sipmsg.ViaHeader, source netip.AddrPort) {
	for i := range v.Params { // a stranger's own words about its address count for nothing
		if strings.EqualFold(v.Params[i].K, "received") {
			v.Params[i].K = "x-received"
		}
	}
	rport := false
	for i := range v.Params {
		if strings.EqualFold(v.Params[i].K, "rport") {
			v.Params[i] = sipmsg.HeaderKV{K: "rport", V: strconv.Itoa(int(source.Port()))}
			rport = true
		}
	}
	host, err := netip.ParseAddr(strings.Trim(v.Host, "[]"))
	if addr := source.Addr().WithZone(""); rport || err != nil || host != addr {
		v.Params = append(v.Params, sipmsg.HeaderKV{K: "received", V: addr.String()})
	}
}

// replyTo is where the response to a request that came from source over UDP goes (RFC
// 3261 section 18.2.2, RFC 3581 section 4). maddr is not obeyed: it would let a
// stranger send our responses to anyone.
func replyTo(rport bool, port int, source netip.AddrPort) netip.AddrPort {
	if rport {
		return source
	}
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(source.Addr(), uint16(port))
}
