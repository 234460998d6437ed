package registrar

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

const (
	timerC          = 3*time.Minute + time.Second // RFC 3261 section 16.6 step 11: "MUST be larger than 3 minutes"
	cancelWait      = 32 * time.Second            // 64*T1, RFC 3261 section 9.1
	maxForwards     = 70                          // RFC 3261 section 8.1.1.6
	defaultBreadth  = 60                          // RFC 5393 section 5.3.3.1
	maxForwardsSeen = 255
)

// target is one place to send a request to.
type target struct {
	uri  *sipmsg.Uri // the new Request-URI; nil leaves it
	flow transport.Flow
}

// relay is one request on its way: a server transaction, and a client transaction
// per leg. mu guards everything in it; what is called under it (the layer's
// methods) never calls back before it returns.
type relay struct {
	s  *Server
	in *inbound

	mu     sync.Mutex
	fork   *fork
	legs   []*relayLeg
	cancel *sipmsg.Request // the upstream's CANCEL, for its Reason
}

type relayLeg struct {
	req    *sipmsg.Request
	flow   transport.Flow
	client *transaction.Client
	timer  *transaction.Timer // C, then the wait for what CANCEL brings
	final  *sipmsg.Response   // what came, or what stands for it
}

// relay forwards a request (RFC 3261 section 16.6) to all its targets at once.
// record adds Record-Route.
func (s *Server) relay(in *inbound, req *sipmsg.Request, targets []target, p path, record bool) {
	breadth := maxBreadth(req)
	if breadth < len(targets) {
		if breadth == 0 {
			s.respond(in, 440)
			return
		}
		targets = targets[:breadth]
	}
	r := &relay{s: s, in: in, fork: newFork(req.Method == sipmsg.INVITE, len(targets))}
	if !s.admit(r) {
		s.respond(in, 503, sipmsg.NewHeader("Retry-After", "10"))
		return
	}
	if r.fork.invite {
		s.respond(in, 100)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	mark := s.seal.mark(in.req)
	for i, t := range targets {
		out := s.forwarded(in, req, t, mark, breadth/len(targets), record)
		r.legs = append(r.legs, &relayLeg{req: out, flow: t.flow})
		if r.fork.invite {
			r.legs[i].timer = s.layer.After(timerC, func() { r.expire(i) })
		}
	}
	for i, l := range r.legs {
		client, err := s.layer.Client(l.req, l.flow, func(ev transaction.Event) { r.event(i, ev) })
		if err != nil {
			r.end(i, 503)
			continue
		}
		l.client = client
	}
}

// admit counts the relay in.
func (s *Server) admit(r *relay) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.relays) >= s.cfg.MaxCalls {
		return false
	}
	s.relays[r.in.tx] = r
	return true
}

// forwarded builds the request for one leg: section 16.6, steps 1 to 8.
func (s *Server) forwarded(in *inbound, req *sipmsg.Request, t target, mark string, breadth int, record bool) *sipmsg.Request {
	out := req.Clone()
	if t.uri != nil {
		out.Recipient = *t.uri.Clone()
	}
	hop(out)
	if h := out.GetHeader("max-breadth"); h != nil || breadth < defaultBreadth {
		if h != nil {
			out.RemoveHeader(h.Name())
		}
		out.AppendHeader(sipmsg.NewHeader("Max-Breadth", strconv.Itoa(breadth)))
	}
	s.dropCredentials(out)
	for _, h := range out.GetHeaders("p-asserted-identity") { // RFC 3325 section 5: nobody here is trusted to assert
		out.RemoveHeader(h.Name())
	}
	if record {
		s.recordRoute(in, out, t.flow)
	}
	out.PrependHeader(s.via(t.flow, mark))
	return out
}

// recordRoute is step 4. Two values only when the two sides need different ones
// (RFC 5658 section 3.2).
func (s *Server) recordRoute(in *inbound, out *sipmsg.Request, flow transport.Flow) {
	token := s.seal.seal(out.CallID().Value(), edgeOf(in.Flow), edgeOf(flow))
	caller, callee := s.routeURI(in.Flow, token), s.routeURI(flow, token)
	if caller.String() != callee.String() {
		out.PrependHeader(&sipmsg.RecordRouteHeader{Address: caller})
	}
	out.PrependHeader(&sipmsg.RecordRouteHeader{Address: callee})
}

func (s *Server) routeURI(f transport.Flow, token string) sipmsg.Uri {
	at := s.trans.SentBy(f)
	u := sipmsg.Uri{Scheme: "sip", User: token, Host: uriHost(at.Addr()), Port: int(at.Port())}
	if f.Transport() != "UDP" {
		u.UriParams.Add("transport", strings.ToLower(f.Transport()))
	}
	u.UriParams.Add("lr", "")
	return u
}

// via is step 8, with a mark in the branch that finds loops.
func (s *Server) via(f transport.Flow, mark string) *sipmsg.ViaHeader {
	at := s.trans.SentBy(f)
	h := &sipmsg.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: f.Transport(), Host: uriHost(at.Addr()), Port: int(at.Port()),
	}
	h.Params.Add("branch", sipmsg.RFC3261BranchMagicCookie+rand.Text()[:16]+"."+mark)
	h.Params.Add("rport", "")
	return h
}

// hop counts Max-Forwards down (step 3).
func hop(out *sipmsg.Request) {
	left := sipmsg.MaxForwardsHeader(maxForwards)
	if m := out.MaxForwards(); m != nil {
		left = min(sipmsg.MaxForwardsHeader(m.Val()), maxForwardsSeen)
		left -= min(left, 1)
		out.ReplaceHeader(&left)
		return
	}
	out.AppendHeader(&left)
}

func maxBreadth(req *sipmsg.Request) int {
	h := req.GetHeader("max-breadth")
	if h == nil {
		return defaultBreadth
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 31)
	if err != nil {
		return 1
	}
	return int(min(n, defaultBreadth))
}

// event takes what the client transaction of a leg has to say.
func (r *relay) event(i int, ev transaction.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case errors.Is(ev.Err, transaction.ErrClosed):
	case errors.Is(ev.Err, transaction.ErrTimeout):
		r.end(i, 408)
	case ev.Err != nil:
		r.end(i, 503)
	case ev.Response.StatusCode < 200:
		if !r.fork.legs[i].canceled {
			r.arm(i, timerC) // step 2: each provisional response starts timer C again
		}
		r.do(i, ev.Response, r.fork.Provisional(i, ev.Response.StatusCode))
	default:
		r.legs[i].stop()
		if r.legs[i].final == nil {
			r.legs[i].final = ev.Response
		}
		r.do(i, ev.Response, r.fork.Final(i, ev.Response.StatusCode))
	}
}

// end closes a leg that brought no response: code stands for it.
func (r *relay) end(i, code int) {
	l := r.legs[i]
	l.stop()
	r.do(i, nil, r.fork.Final(i, code))
}

// expire is timer C, or the end of the wait after a CANCEL.
func (r *relay) expire(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fork.legs[i].canceled {
		if r.legs[i].client != nil {
			r.legs[i].client.Terminate()
		}
		r.end(i, 487)
		return
	}
	r.do(i, nil, r.fork.Expire(i))
}

func (r *relay) do(i int, res *sipmsg.Response, out forkOutput) {
	if out.Forward && res != nil {
		r.upstream(res)
	}
	for _, c := range out.Cancel {
		r.sendCancel(c)
	}
	if out.Best >= 0 {
		r.final(out.Best)
	}
	if r.fork.settled {
		r.s.mu.Lock()
		delete(r.s.relays, r.in.tx)
		r.s.mu.Unlock()
	}
}

// upstream passes a response on without our Via (section 16.7 steps 3, 8, 9).
func (r *relay) upstream(res *sipmsg.Response) {
	res = res.Clone()
	res.RemoveHeader("Via")
	if res.Via() == nil {
		return // "If no Via header field values remain ..., the response ... MUST NOT be forwarded"
	}
	if err := r.in.tx.Respond(res); err != nil {
		r.s.log.Debug("response not relayed", "code", res.StatusCode, "remote", r.in.Source, "error", err)
	}
}

// final sends the best response of a fork. Challenges of all legs go with a 401
// or 407 (step 7); a 503 of one leg does not make us unavailable (step 6).
func (r *relay) final(best int) {
	code, res := r.fork.legs[best].code, r.legs[best].final
	if code == 503 {
		code, res = 500, nil
	}
	if code == 408 && !r.fork.invite {
		// "A transaction-stateful SIP element MUST NOT send a response with Status-Code of
		// 408 to a non-INVITE request" (RFC 4320 section 4.2): it would come too late. The
		// server transaction ends by itself.
		return
	}
	if res == nil {
		r.s.respond(r.in, code)
		return
	}
	if code == 401 || code == 407 {
		for i, l := range r.legs {
			if i == best || l.final == nil || (l.final.StatusCode != 401 && l.final.StatusCode != 407) {
				continue
			}
			for _, h := range slices.Concat(l.final.GetHeaders("www-authenticate"), l.final.GetHeaders("proxy-authenticate")) {
				res.AppendHeader(sipmsg.HeaderClone(h))
			}
		}
	}
	r.upstream(res)
}

func (r *relay) arm(i int, d time.Duration) {
	if !r.fork.invite {
		return
	}
	r.legs[i].stop()
	if r.fork.legs[i].state != legDone {
		r.legs[i].timer = r.s.layer.After(d, func() { r.expire(i) })
	}
}

func (l *relayLeg) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}
