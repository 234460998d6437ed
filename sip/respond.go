package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// answer is a response in the making.
type answer struct {
	code        int
	reason      string
	tag         string // our To tag, when the request has none
	contact     string // the Contact header field, or none
	contentType string
	body        []byte
	header      []Header
}

// response builds the response to req as RFC 3261 section 8.2.6 says. It shares
// header values with req; neither may be changed afterwards.
func (a *Agent) response(req *Request, ans *answer) *Response {
	reason := ans.reason
	if reason == "" {
		reason = transport.Reason(ans.code)
	}
	res := sipmsg.NewResponse(ans.code, oneLine(reason))
	for _, h := range req.Headers() {
		if _, ok := h.(*sipmsg.ViaHeader); ok {
			res.AppendHeader(h)
		}
	}
	res.AppendHeader(req.From())
	to := req.To()
	if ans.tag != "" && ans.code > 100 && !to.Params.Has("tag") {
		// "the UAS MUST add a tag to the To header field in the response (with the
		// exception of the 100 (Trying) response, in which a tag MAY be present)"
		tagged := &sipmsg.ToHeader{DisplayName: to.DisplayName, Address: to.Address, Params: to.Params.Clone()}
		tagged.Params.Add("tag", ans.tag)
		to = tagged
	}
	res.AppendHeader(to)
	res.AppendHeader(req.CallID())
	res.AppendHeader(req.CSeq())
	if ans.code == 100 {
		for _, h := range fields(req, "timestamp", "") {
			res.AppendHeader(h)
		}
	}
	if req.Method == sipmsg.INVITE && ans.code > 100 && ans.code < 300 {
		// "the UAS MUST copy all Record-Route header field values from the request into
		// the response" (section 12.1.1)
		for _, h := range req.Headers() {
			if _, ok := h.(*sipmsg.RecordRouteHeader); ok {
				res.AppendHeader(h)
			}
		}
		res.AppendHeader(sipmsg.NewHeader("Allow", allowed))
		a.appendSupported(res, false)
	} else if ans.code == 405 || ans.code == 501 {
		res.AppendHeader(sipmsg.NewHeader("Allow", allowed)) // "The response MUST include an Allow header field" (section 21.4.6)
	}
	if ans.contact != "" {
		res.AppendHeader(sipmsg.NewHeader("Contact", ans.contact))
	}
	if a.cfg.UserAgent != "-" {
		res.AppendHeader(sipmsg.NewHeader("Server", oneLine(a.cfg.UserAgent)))
	}
	appendUserHeaders(res, ans.header)
	appendBody(res, ans.contentType, ans.body)
	return res
}

// appendSupported lists our option tags; empty says so with an empty list.
func (a *Agent) appendSupported(m sipmsg.Message, empty bool) {
	if len(a.cfg.Supported) > 0 || empty {
		m.AppendHeader(NewHeader("Supported", strings.Join(a.cfg.Supported, ", ")))
	}
}

func appendBody(m sipmsg.Message, contentType string, body []byte) {
	if len(body) > 0 && contentType != "" {
		ct := sipmsg.ContentTypeHeader(oneLine(contentType))
		m.AppendHeader(&ct)
	}
	m.SetBody(body)
}

// appendUserHeaders adds what the user asked for, but not what is ours to say.
func appendUserHeaders(m sipmsg.Message, headers []Header) {
	for _, h := range headers {
		switch strings.ToLower(h.Name()) {
		case "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "max-forwards", "content-length", "l", "content-type", "c",
			"route", "record-route", "authorization", "proxy-authorization":
			continue
		}
		if v := h.Value(); strings.IndexFunc(v, isControl) >= 0 || strings.IndexFunc(h.Name(), isControl) >= 0 {
			h = NewHeader(h.Name(), v)
		}
		m.AppendHeader(h)
	}
}
