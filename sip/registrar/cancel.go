package registrar

import (
	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// cancel takes the upstream's CANCEL (RFC 3261 section 16.10): it is answered at
// once, hop by hop, and sent on along each leg that has not answered. A CANCEL
// for nothing is not sent on statelessly: this proxy never forwards an INVITE
// without state.
func (s *Server) cancel(in *inbound) {
	invite := s.layer.Invite(in.req)
	if invite == nil {
		s.respond(in, 481)
		return
	}
	s.respond(in, 200)
	s.mu.Lock()
	r := s.relays[invite]
	s.mu.Unlock()
	if r == nil {
		return // it has its final response
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = in.req
	r.do(0, nil, r.fork.Cancel())
}

// sendCancel cancels a leg on the INVITE's own flow. "the Request-URI, Call-ID,
// To, the numeric part of CSeq, and From header fields in the CANCEL request MUST
// be identical to those in the request being cancelled"; "A CANCEL ... MUST have
// a single Via header field value matching the top Via value in the request being
// cancelled"; Route likewise (section 9.1). The caller holds mu.
func (r *relay) sendCancel(i int) {
	l := r.legs[i]
	c := sipmsg.NewRequest(sipmsg.CANCEL, *l.req.Recipient.Clone())
	c.AppendHeader(sipmsg.HeaderClone(l.req.Via()))
	left := sipmsg.MaxForwardsHeader(maxForwards)
	c.AppendHeader(&left)
	for _, h := range l.req.GetHeaders("route") {
		c.AppendHeader(sipmsg.HeaderClone(h))
	}
	c.AppendHeader(sipmsg.HeaderClone(l.req.From()))
	c.AppendHeader(sipmsg.HeaderClone(l.req.To()))
	c.AppendHeader(sipmsg.HeaderClone(l.req.CallID()))
	c.AppendHeader(&sipmsg.CSeqHeader{SeqNo: l.req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	switch {
	case r.cancel != nil:
		for _, h := range r.cancel.GetHeaders("reason") { // RFC 3326
			c.AppendHeader(sipmsg.HeaderClone(h))
		}
	case r.fork.answered:
		c.AppendHeader(sipmsg.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`)) // RFC 3326 section 3.1
	}
	c.SetBody(nil)
	r.arm(i, cancelWait)
	if _, err := r.s.layer.Client(c, l.flow, func(transaction.Event) {}); err != nil {
		r.s.log.Debug("CANCEL not sent", "remote", l.flow.Remote(), "error", err)
	}
}

// ack forwards the ACK to a 2xx without state along the dialog's route
// (section 16.7 last paragraph, 16.11). Any other ACK belongs to nothing.
func (s *Server) ack(in *inbound) {
	if in.req.Method != sipmsg.ACK {
		return
	}
	if code, _ := s.validate(in.req); code != 0 {
		return
	}
	req := in.req.Clone()
	p := s.seal.preprocess(req, in.own(s))
	if !p.dialog {
		return
	}
	flow, ok := s.farEdge(in, req, p)
	if !ok {
		return
	}
	mark := s.seal.mark(in.req)
	out := s.forwarded(in, req, target{flow: flow}, mark, defaultBreadth, false)
	if err := flow.Write(transport.Bytes(out)); err != nil {
		s.log.Debug("ACK not relayed", "remote", flow.Remote(), "error", err)
	}
}
