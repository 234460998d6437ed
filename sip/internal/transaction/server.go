package transaction

import (
	"fmt"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// Server is a server transaction.
type Server record

// request is a request off the wire.
func (l *Layer) request(in transport.Inbound, req *sipmsg.Request) {
	if req.Via() == nil || req.From() == nil || req.CallID() == nil || req.CSeq() == nil {
		return
	}
	method, event := string(req.Method), request
	if req.Method == sipmsg.ACK {
		method, event = string(sipmsg.INVITE), ack
	}
	var room [160]byte
	key := serverKey(room[:0], req, method)
	s := l.shard(key)
	if l.again(s, key, event, in) {
		return
	}
	if event == ack {
		l.cfg.Request(in, nil)
		return
	}
	if n := l.count.servers.Add(1); l.cfg.MaxServer > 0 && n > int64(l.cfg.MaxServer) {
		l.count.servers.Add(-1)
		l.count.refused.Add(1)
		// "a server MAY refuse ... 503 (Service Unavailable)"; when it fails the client asks again
		l.cfg.Reply(in.Flow, answer(req, 503, "Service Unavailable", "Retry-After: 5\r\n", l.seed))
		return
	}
	l.hold(in.Flow)
	r := &record{layer: l, flow: in.Flow, key: string(key)}
	r.kind, r.reliable = serverOther, in.Flow.Reliable()
	if req.Method == sipmsg.INVITE {
		r.kind = serverInvite
		r.buf = answer(req, 100, "Trying", "", l.seed)
	}
	var out todo
	s.mu.Lock()
	closed, ok := s.closed, s.add(r)
	if ok {
		r.apply(l.now(), start, nil, in, &out)
	}
	s.mu.Unlock()
	if !ok {
		l.release(r.kind, in.Flow)
		if !closed {
			l.again(s, key, event, in) // came by two ways at the same moment
		}
		return
	}
	l.cfg.Request(in, (*Server)(r))
}

// again passes a request to the transaction it belongs to, if there is one.
func (l *Layer) again(s *shard, key []byte, event input, in transport.Inbound) bool {
	var out todo
	s.mu.Lock()
	r := s.txs[string(key)]
	var act action
	if r != nil {
		act = r.apply(l.now(), event, nil, in, &out)
	}
	s.mu.Unlock()
	if r == nil {
		return false
	}
	_ = l.run(&out) // logged by failed
	if act&deliver != 0 {
		l.cfg.Request(in, nil) // an ACK to the 2xx with the INVITE's branch
	}
	return true
}

// Invite finds the INVITE server transaction that a CANCEL is for (RFC 3261
// section 9.2), nil when there is none. The CANCEL's own transaction is to be
// answered apart.
func (l *Layer) Invite(cancel *sipmsg.Request) *Server {
	var room [160]byte
	key := serverKey(room[:0], cancel, string(sipmsg.INVITE))
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return (*Server)(s.txs[string(key)])
}

// Flow is where the responses go.
func (s *Server) Flow() transport.Flow {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.flow
}

// Reroute sends the following responses, Retransmit's included, elsewhere: the flow of
// transport.Transport.ForResponse after a write failed.
func (s *Server) Reroute(flow transport.Flow) {
	r := (*record)(s)
	r.layer.hold(flow)
	r.shard.mu.Lock()
	old := r.flow
	r.flow = flow
	if r.state == terminated {
		old = flow // an ended transaction holds nothing
	}
	r.shard.mu.Unlock()
	r.layer.unhold(old)
}

// Respond sends a response. A 2xx to INVITE may be given again and again for
// 64*T1 (Accepted, RFC 6026); any other response after a final one is
// ErrTerminated. An error of the flow is returned; the response can be sent yet by
// Reroute and Retransmit.
func (s *Server) Respond(res *sipmsg.Response) error {
	if res.StatusCode < 100 || res.StatusCode > 699 {
		return fmt.Errorf("sip: respond with status %d", res.StatusCode)
	}
	return s.send(transport.Bytes(res), classOf(res.StatusCode))
}

// Refuse sends a final response and forgets the request, as if there had been no
// transaction (RFC 3261 section 8.2.7): nothing is sent again, and a retransmitted
// request comes as a new one. The response must be the same then, tag included.
func (s *Server) Refuse(res *sipmsg.Response) {
	r := (*record)(s)
	var out todo
	r.shard.mu.Lock()
	flow := r.flow
	if r.state != terminated {
		r.drop(&out)
	}
	r.shard.mu.Unlock()
	_ = r.layer.run(&out) // writes nothing
	r.layer.cfg.Reply(flow, transport.Bytes(res))
}

func (s *Server) send(b []byte, class input) error {
	r := (*record)(s)
	var out todo
	r.shard.mu.Lock()
	old := r.buf
	r.buf = b
	act := r.apply(r.layer.now(), class, nil, transport.Inbound{}, &out)
	if act&refuse != 0 {
		r.buf = old
	}
	r.shard.mu.Unlock()
	if act&refuse != 0 {
		return ErrTerminated
	}
	err := r.layer.run(&out)
	if err != nil && act&end != 0 {
		// Over a reliable transport the transaction has ended with this response (timer
		// J is zero); it is kept for Retransmit by another way.
		r.shard.mu.Lock()
		r.buf = b
		r.shard.mu.Unlock()
	}
	return err
}

// Retransmit sends the last response again; for the 2xx to an INVITE, which the
// user retransmits until its ACK (RFC 3261 section 13.3.1.4).
func (s *Server) Retransmit() error {
	r := (*record)(s)
	r.shard.mu.Lock()
	t := todo{rec: r, write: r.buf, flow: r.flow}
	ended := r.state == terminated && r.buf == nil
	r.shard.mu.Unlock()
	if ended {
		return ErrTerminated
	}
	if t.write != nil {
		r.layer.count.retransmitted.Add(1)
	}
	return r.layer.run(&t)
}

// Forget drops the stored 2xx of an INVITE once its ACK came.
func (s *Server) Forget() {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if s.state == accepted {
		s.buf = nil
	}
}

// OnTimeout sets what is called when no ACK to a non-2xx came (timer H); nil: nothing.
func (s *Server) OnTimeout(f func()) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if s.state != terminated {
		s.onTimeout = f
	}
}
