package registrar

import (
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// inbound is one request being looked at.
type inbound struct {
	transport.Inbound
	req *sipmsg.Request // as received
	tx  *transaction.Server
}

// request takes each new request from the transaction layer, on the goroutine of
// the flow it came by, and waits for nothing.
func (s *Server) request(raw transport.Inbound, tx *transaction.Server) {
	req, ok := raw.Msg.(*sipmsg.Request)
	if !ok {
		return
	}
	in := &inbound{Inbound: raw, req: req, tx: tx}
	switch {
	case tx == nil:
		s.ack(in)
	case req.Method == sipmsg.CANCEL:
		s.cancel(in)
	default:
		if code, extra := s.validate(req); code != 0 {
			s.respond(in, code, extra...)
			return
		}
		s.route(in)
	}
}

// validate is RFC 3261 section 16.3.
func (s *Server) validate(req *sipmsg.Request) (code int, extra []sipmsg.Header) {
	if scheme := strings.ToLower(req.Recipient.Scheme); scheme != "sip" {
		return 416, nil // sips promises TLS on each hop, which is more than is known here
	}
	if m := req.MaxForwards(); m != nil && m.Val() == 0 {
		return 483, nil
	}
	if s.seal.looped(req) {
		return 482, nil
	}
	asks := "proxy-require"
	if req.Method == sipmsg.REGISTER {
		asks = "require"
	}
	for _, h := range req.GetHeaders(asks) {
		if v := strings.TrimSpace(h.Value()); v != "" {
			extra = append(extra, sipmsg.NewHeader("Unsupported", v))
		}
	}
	if extra != nil {
		return 420, extra
	}
	return 0, nil
}

// route is RFC 3261 sections 16.4 and 16.5: where the request is for. Only
// requests for this server, its users, and inside dialogs it set up go anywhere.
func (s *Server) route(in *inbound) {
	req := in.req.Clone()
	p := s.seal.preprocess(req, in.own(s))
	tag, inDialog := req.To().Params.Get("tag")
	inDialog = inDialog && tag != ""
	switch {
	case inDialog && p.dialog:
		flow, ok := s.farEdge(in, req, p)
		if !ok {
			s.respond(in, 480)
			return
		}
		s.relay(in, req, []target{{flow: flow}}, p, false)
	case p.more || !in.own(s)(&req.Recipient):
		s.respond(in, 403) // foreign: this is no open relay
	case req.Method == sipmsg.REGISTER:
		s.register(in)
	case req.Recipient.User == "":
		s.self(in)
	case inDialog:
		s.respond(in, 481) // a dialog, but none that came this way
	default:
		s.reach(in, req, p)
	}
}

// self answers what is for the server as such.
func (s *Server) self(in *inbound) {
	if in.req.Method == sipmsg.OPTIONS {
		s.respond(in, 200, sipmsg.NewHeader("Allow", "OPTIONS, REGISTER"), sipmsg.NewHeader("Accept", "application/sdp"))
		return
	}
	s.respond(in, 404)
}

// reach relays a request outside a dialog to the contacts of a user.
func (s *Server) reach(in *inbound, req *sipmsg.Request, p path) {
	if !s.authenticateCaller(in) {
		return
	}
	user := userPart(&req.Recipient)
	if _, known := s.cfg.Users[user]; s.cfg.Users != nil && !known {
		s.respond(in, 404)
		return
	}
	var targets []target
	for _, b := range s.table.Lookup(time.Now(), user) {
		uri := b.target
		targets = append(targets, target{uri: &uri, flow: b.flow})
	}
	if len(targets) == 0 {
		s.respond(in, 480)
		return
	}
	s.relay(in, req, targets, p, formsDialog(req.Method))
}

// farEdge is where a request inside a dialog goes: to the side that it did not
// come from, by the flow that reaches the remote target now if it has registered
// anew.
func (s *Server) farEdge(in *inbound, req *sipmsg.Request, p path) (transport.Flow, bool) {
	if b, ok := s.table.Contact(time.Now(), &req.Recipient); ok {
		return b.flow, true
	}
	from := edgeOf(in.Flow)
	switch from {
	case p.caller:
		return s.flowTo(p.callee)
	case p.callee:
		return s.flowTo(p.caller)
	}
	// The sender's address changed: the target's may still say which side it is.
	for _, e := range []edge{p.caller, p.callee} {
		if bareHost(req.Recipient.Host) == e.addr.Addr().String() && req.Recipient.Port == int(e.addr.Port()) {
			return s.flowTo(e)
		}
	}
	return nil, false
}

// formsDialog lists the methods whose 2xx makes a dialog: they get Record-Route.
func formsDialog(m sipmsg.RequestMethod) bool {
	return m == sipmsg.INVITE || m == sipmsg.SUBSCRIBE || m == sipmsg.REFER
}

// own returns the test for URIs that name this server, as seen from in.
func (in *inbound) own(s *Server) func(*sipmsg.Uri) bool {
	local := in.Flow.Local().Addr().Unmap()
	return func(u *sipmsg.Uri) bool { return s.owns(u, local.String(), local.IsLoopback()) }
}

func (s *Server) owns(u *sipmsg.Uri, local string, loopback bool) bool {
	if u.Port != 0 && !s.ports[u.Port] {
		return false
	}
	host := strings.ToLower(bareHost(u.Host))
	if host == local || (s.cfg.Domain != "" && host == strings.ToLower(s.cfg.Domain)) || (loopback && host == "localhost") {
		return true
	}
	for _, a := range s.addrs {
		if host == a.Addr().Unmap().String() {
			return true
		}
	}
	return false
}

// respond answers a request from here. An error of the flow is the peer's
// misfortune: it asks again or gives up.
func (s *Server) respond(in *inbound, code int, extra ...sipmsg.Header) {
	if in.tx == nil {
		return
	}
	if err := in.tx.Respond(s.response(in, code, extra)); err != nil {
		s.log.Debug("response not sent", "code", code, "remote", in.Source, "error", err)
	}
}

func (s *Server) response(in *inbound, code int, extra []sipmsg.Header) *sipmsg.Response {
	res := sipmsg.NewResponseFromRequest(in.req, code, transport.Reason(code), nil)
	for _, h := range extra {
		res.AppendHeader(h)
	}
	return res
}

func isRequest(in transport.Inbound) bool {
	_, ok := in.Msg.(*sipmsg.Request)
	return ok
}
