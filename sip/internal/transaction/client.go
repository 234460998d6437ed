package transaction

import (
	"errors"
	"fmt"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// Client is a client transaction.
type Client record

// Client starts a client transaction: req, with its Via for flow and a branch of
// its own, is serialised once and sent; the layer keeps the bytes, not req. An
// ACK is no transaction and refused (write it to the flow). Events come one at a
// time and in order, never under a lock and never from within Client itself (but
// perhaps before it returned, from another goroutine); on must return quickly.
func (l *Layer) Client(req *sipmsg.Request, flow transport.Flow, on func(Event)) (*Client, error) {
	via := req.Via()
	if via == nil || req.Method == sipmsg.ACK {
		return nil, fmt.Errorf("sip: a client transaction for %s without Via, or for an ACK", req.Method)
	}
	branch := param(via.Params, "branch")
	if branch == "" {
		return nil, errors.New("sip: a client transaction needs a branch")
	}
	if n := l.count.clients.Add(1); l.cfg.MaxClient > 0 && n > int64(l.cfg.MaxClient) {
		l.count.clients.Add(-1)
		return nil, ErrTooMany
	}
	l.hold(flow)

	r := &record{layer: l, flow: flow, buf: transport.Bytes(req), on: on}
	r.kind, r.reliable = clientOther, flow.Reliable()
	if req.Method == sipmsg.INVITE {
		r.kind = clientInvite
	}
	var room [128]byte
	key := clientKey(room[:0], branch, req.Method)
	r.key = string(key)

	s := l.shard(key)
	var out todo
	s.mu.Lock()
	closed := s.closed
	ok := s.add(r)
	if ok {
		r.apply(l.now(), start, nil, transport.Inbound{}, &out)
	}
	s.mu.Unlock()
	switch {
	case closed:
		l.release(r.kind, flow)
		return nil, ErrClosed
	case !ok:
		l.release(r.kind, flow)
		return nil, fmt.Errorf("sip: branch %s is in use", branch)
	}
	_ = l.run(&out) // reported by failed
	return (*Client)(r), nil
}

// response is a response off the wire.
func (l *Layer) response(in transport.Inbound, res *sipmsg.Response) {
	via, cseq := res.Via(), res.CSeq()
	if via == nil || cseq == nil {
		return
	}
	var room [128]byte
	key := clientKey(room[:0], param(via.Params, "branch"), cseq.MethodName)
	s := l.shard(key)
	var out todo
	s.mu.Lock()
	r := s.txs[string(key)]
	if r != nil {
		r.apply(l.now(), classOf(res.StatusCode), nil, in, &out)
	}
	s.mu.Unlock()
	if r == nil {
		l.count.strays.Add(1)
		if l.cfg.Stray != nil {
			l.cfg.Stray(in)
		}
		return
	}
	_ = l.run(&out) // reported by failed
}

func classOf(status int) input {
	switch {
	case status < 200:
		return response1xx
	case status < 300:
		return response2xx
	default:
		return responseErr
	}
}

// Flow is where the request went; CANCEL and a new attempt may follow it.
func (c *Client) Flow() transport.Flow { return c.flow }

// Terminate ends the transaction without a further event, but one that is being
// delivered.
func (c *Client) Terminate() {
	r := (*record)(c)
	var out todo
	r.shard.mu.Lock()
	if r.state != terminated {
		r.drop(&out)
	}
	r.on, r.queue = nil, nil
	r.shard.mu.Unlock()
	_ = r.layer.run(&out) // writes nothing
}
