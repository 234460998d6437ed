package transaction

import (
	"bytes"
	"hash/maphash"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// text collects a message; it is the io.StringWriter sipgo's headers write to.
type text []byte

func (t *text) WriteString(s string) (int, error) {
	*t = append(*t, s...)
	return len(s), nil
}

func (t *text) header(h sipmsg.Header) {
	h.StringWrite(t)
	*t = append(*t, "\r\n"...)
}

// answer serialises a response of the layer itself: 100, or a final one with a To tag
// made from seed, so that it stays the same when the request is retransmitted although
// nothing is kept ("a stateless UAS ... MUST generate the same tag", RFC 3261 section
// 8.2.7).
func answer(req *sipmsg.Request, code int, reason, extra string, seed maphash.Seed) []byte {
	t := make(text, 0, 512)
	t = append(t, "SIP/2.0 "...)
	t = strconv.AppendInt(t, int64(code), 10)
	t = append(t, ' ')
	t = append(t, reason...)
	t = append(t, "\r\n"...)
	for _, h := range req.Headers() {
		switch h := h.(type) {
		case *sipmsg.ViaHeader, *sipmsg.FromHeader, *sipmsg.CallIDHeader, *sipmsg.CSeqHeader:
			t.header(h)
		case *sipmsg.ToHeader:
			h.StringWrite(&t)
			if code > 100 && param(h.Params, "tag") == "" {
				t = append(t, ";tag="...)
				t = strconv.AppendUint(t, maphash.Bytes(seed, serverKey(nil, req, "")), 36)
			}
			t = append(t, "\r\n"...)
		default:
			// "any Timestamp header field present in the request MUST be copied into
			// this 100 (Trying) response" (RFC 3261 section 8.2.6.1)
			if code == 100 && strings.EqualFold(h.Name(), "Timestamp") {
				t.header(h)
			}
		}
	}
	t = append(t, extra...)
	return append(t, "Content-Length: 0\r\n\r\n"...)
}

// ackTo builds the ACK to a non-2xx final response from the INVITE as it was sent:
// "The ACK request constructed by the client transaction contains values for the
// Call-ID, From, and Request-URI that are equal to the values of those header fields in
// the request passed to the transport by the client transaction ... The To header field
// in the ACK MUST equal the To header field in the response being acknowledged ... The
// ACK MUST contain a single Via header field, and this MUST be equal to the top Via
// header field of the original request ... If the INVITE request whose response is
// being acknowledged had Route header fields, those header fields MUST appear in the
// ACK" (RFC 3261 section 17.1.1.3). Credentials are repeated (section 22.1).
func ackTo(invite []byte, res *sipmsg.Response) []byte {
	head, _, _ := bytes.Cut(invite, []byte("\r\n\r\n"))
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	_, target, _ := bytes.Cut(line, []byte(" "))

	t := make(text, 0, len(head))
	t = append(t, "ACK "...)
	t = append(t, target...)
	t = append(t, "\r\n"...)
	via := false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(bytes.ToLower(bytes.TrimSpace(name))) {
		case "via", "v":
			if via {
				continue
			}
			via = true
		case "to", "t":
			if to := res.To(); to != nil {
				t.header(to)
				continue
			}
		case "cseq":
			number, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
			t = append(t, "CSeq: "...)
			t = append(t, number...)
			t = append(t, " ACK\r\n"...)
			continue
		case "max-forwards":
			t = append(t, "Max-Forwards: 70\r\n"...)
			continue
		case "from", "f", "call-id", "i", "route", "authorization", "proxy-authorization":
		default:
			continue
		}
		t = append(t, line...)
		t = append(t, "\r\n"...)
	}
	return append(t, "Content-Length: 0\r\n\r\n"...)
}
