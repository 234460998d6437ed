package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

const maxForwards = 70 // RFC 3261 section 8.1.1.6

// draft is a request before it is known which way it goes: all but Via and
// Contact.
type draft struct {
	method      string
	uri         URI
	routes      []URI
	from, to    Address
	callID      string
	seq         uint32
	contentType string
	body        []byte
	header      []Header
}

// build makes the request of a draft.
func (a *Agent) build(d *draft) *Request {
	req := sipmsg.NewRequest(sipmsg.RequestMethod(d.method), d.uri.message())
	for _, r := range d.routes {
		req.AppendHeader(&sipmsg.RouteHeader{Address: r.message()})
	}
	mf := sipmsg.MaxForwardsHeader(maxForwards)
	req.AppendHeader(&mf)
	req.AppendHeader(&sipmsg.FromHeader{DisplayName: quotePairs(d.from.Name), Address: d.from.URI.message(), Params: paramsOf(d.from)})
	req.AppendHeader(&sipmsg.ToHeader{DisplayName: quotePairs(d.to.Name), Address: d.to.URI.message(), Params: paramsOf(d.to)})
	callID := sipmsg.CallIDHeader(d.callID)
	req.AppendHeader(&callID)
	req.AppendHeader(&sipmsg.CSeqHeader{SeqNo: d.seq, MethodName: req.Method})
	switch req.Method {
	case sipmsg.INVITE:
		req.AppendHeader(sipmsg.NewHeader("Allow", allowed))
		a.appendSupported(req, false)
	case sipmsg.OPTIONS, sipmsg.UPDATE, sipmsg.REGISTER, sipmsg.SUBSCRIBE, sipmsg.REFER:
		a.appendSupported(req, false)
	}
	if a.cfg.UserAgent != "-" && req.Method != sipmsg.ACK && req.Method != sipmsg.CANCEL {
		req.AppendHeader(sipmsg.NewHeader("User-Agent", oneLine(a.cfg.UserAgent)))
	}
	appendUserHeaders(req, d.header)
	appendBody(req, d.contentType, d.body)
	return req
}

// quotePairs escapes a display name for between quotes.
func quotePairs(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return r == '"' || r == '\\' || isControl(r) }) < 0 {
		return name
	}
	return oneLine(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name))
}

func paramsOf(a Address) sipmsg.HeaderParams {
	var ps sipmsg.HeaderParams
	for s := oneLine(a.Params); strings.HasPrefix(s, ";"); {
		end := paramEnd(s[1:]) + 1
		k, v, _ := strings.Cut(s[1:end], "=")
		ps = append(ps, sipmsg.HeaderKV{K: k, V: v})
		s = s[end:]
	}
	return ps
}

// draftOut turns what the user asks for into a draft and its first hop.
func (a *Agent) draftOut(out *OutRequest) (d *draft, hop URI, err error) {
	if out == nil || out.URI.Host == "" || !out.URI.isSIP() && out.Account == nil && len(out.Route) == 0 {
		return nil, URI{}, errors.New("sip: the request has no URI that it could be sent to")
	}
	if !isToken(out.Method) {
		return nil, URI{}, fmt.Errorf("sip: %q is not a method", clip(out.Method, 40))
	}
	d = &draft{
		method: out.Method, uri: withoutParam(out.URI, "method"), from: out.From, to: out.To, callID: token() + token(), seq: 1,
		contentType: out.ContentType, body: slices.Clone(out.Body), header: slices.Clone(out.Header),
	}
	d.uri.Headers = "" // not allowed in a Request-URI (RFC 3261 section 19.1.1, table 1)
	if d.to.URI == (URI{}) {
		d.to.URI = d.uri
	}
	if d.from.URI == (URI{}) {
		d.from.URI = URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"} // RFC 3261 section 8.1.1.3
		if out.Account != nil {
			d.from.URI = out.Account.AOR
		}
	}
	d.to = d.to.withTag("")
	d.from = d.from.withTag(token())
	d.routes, hop = firstHop(out, d.uri)
	return d, hop, nil
}

// firstHop is the route set of a request outside a dialog and where it is sent.
// A registrar that serves as the first hop by default is not named in a Route:
// many refuse a route that they did not record.
func firstHop(out *OutRequest, uri URI) (routes []URI, hop URI) {
	switch acct := out.Account; {
	case len(out.Route) > 0:
		return slices.Clone(out.Route), out.Route[0]
	case acct == nil:
		return nil, uri
	case acct.OutboundProxy != (URI{}):
		// "it is RECOMMENDED that the outbound proxy be [a] pre-existing route set with a
		// single URI" (RFC 3261 section 8.1.2), a loose one.
		p := acct.OutboundProxy
		if _, loose := p.Param("lr"); !loose {
			p.Params += ";lr"
		}
		return []URI{p}, p
	default:
		return nil, acct.registrar()
	}
}

// Secure says that out, a request outside a dialog, goes to its first hop by TLS, with a
// verified certificate, or not at all.
func (a *Agent) Secure(out *OutRequest) bool {
	_, hop := firstHop(out, out.URI)
	return hop.isTLS() && a.tr.Verifies()
}

func isToken(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlpha(c) && (c < '0' || c > '9') && strings.IndexByte("-.!%*_+`'~", c) < 0 {
			return false
		}
	}
	return true
}

// address completes a request for a flow: a Via with a new branch, and the
// Contact where one belongs. What an earlier attempt wrote is replaced.
func (a *Agent) address(req *Request, flow transport.Flow, target transport.Target) {
	for req.RemoveHeader("Via") {
	}
	at := a.tr.SentBy(flow)
	via := &sipmsg.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: flow.Transport(), Host: hostText(at.Addr()), Port: int(at.Port())}
	via.Params = sipmsg.HeaderParams{{K: "branch", V: sipmsg.RFC3261BranchMagicCookie + token()}, {K: "rport"}}
	req.PrependHeader(via)
	switch req.Method {
	case sipmsg.INVITE, sipmsg.UPDATE, sipmsg.SUBSCRIBE, sipmsg.REFER, sipmsg.NOTIFY, sipmsg.OPTIONS:
	default:
		return
	}
	if h := req.GetHeader("contact"); h != nil {
		if _, ours := h.(ownContact); !ours {
			return // the user's
		}
		req.RemoveHeader("Contact")
	}
	contact := a.contact(flow, req.From().Address.User)
	if flow.Transport() == "TCP" && target.Transport == "UDP" {
		// The size rule moved this request, not the dialog, to TCP: name the transport
		// that the target was given with, and how the hop sees us there.
		contact.Params = ""
		if seen, ok := a.seenBy("UDP", flow.Remote()); ok {
			contact.Host, contact.Port = hostText(seen.Addr()), seen.Port()
		} else {
			at := a.tr.SentBy(flow)
			contact.Host, contact.Port = hostText(at.Addr()), at.Port()
		}
	}
	req.AppendHeader(ownContact{sipmsg.NewHeader("Contact", "<"+contact.String()+">")})
}

// ownContact marks a Contact that we filled in.
type ownContact struct{ Header }

// contact is the URI at which a peer beyond flow reaches us: our address on it,
// with the port that we listen on, or what the other end of the flow said that
// it sees.
func (a *Agent) contact(flow transport.Flow, user string) URI {
	at := a.tr.SentBy(flow)
	if seen, ok := a.seenBy(flow.Transport(), flow.Remote()); ok {
		at = seen
	}
	u := URI{Scheme: "sip", User: user, Host: hostText(at.Addr()), Port: at.Port()}
	if flow.Transport() != "UDP" {
		u.Params = ";transport=" + strings.ToLower(flow.Transport())
	}
	return u
}

// seenBy is the address at which a hop sees us on a transport, if it said so.
func (a *Agent) seenBy(transport string, hop netip.AddrPort) (netip.AddrPort, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen, ok := a.public[publicKey{transport, hop}]
	return seen, ok
}

// hostText writes an address as a host of a URI or a Via, without a zone.
func hostText(ip netip.Addr) string { return ip.Unmap().WithZone("").String() }

// publicKey is a hop that told us how it sees us.
type publicKey struct {
	transport string
	remote    netip.AddrPort
}

const maxPublic = 1024 // hops remembered; ours

// learn takes received and rport of our Via from a response (RFC 3581): behind a
// NAT they are the address at which the hop reaches us.
func (a *Agent) learn(flow transport.Flow, res *Response) {
	via := res.Via()
	if via == nil {
		return
	}
	received, _ := via.Params.Get("received")
	rport, _ := via.Params.Get("rport")
	seen, ok := viaAddr(received, rport, via.Host, via.Port)
	if !ok {
		return
	}
	key := publicKey{flow.Transport(), flow.Remote()}
	a.mu.Lock()
	defer a.mu.Unlock()
	if seen == flow.Local() || seen == a.tr.SentBy(flow) {
		delete(a.public, key)
		return
	}
	if len(a.public) >= maxPublic {
		clear(a.public)
	}
	a.public[key] = seen
}
