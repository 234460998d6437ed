package sip

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

func retrySeconds() string { return strconv.Itoa(rand.IntN(11)) }

// receive takes a new request from the transaction layer, on the goroutine that
// reads the flow. It finds the serial queue that the request belongs to and
// leaves the rest to it, so that the requests of a call are handled in order.
func (a *Agent) receive(in transport.Inbound, tx *transaction.Server) {
	req, ok := in.Msg.(*Request)
	if !ok {
		return
	}
	tag := toTag(req)
	var d *Dialog
	if tag != "" {
		a.mu.Lock()
		d = a.dialogs[dialogID{req.CallID().Value(), tag, fromTag(req)}]
		a.mu.Unlock()
	}
	if tx == nil { // ACK
		if d == nil {
			a.droppedStray.Add(1)
			return
		}
		if d.lessSecure(in.Flow) {
			a.droppedPolicy.Add(1)
			return
		}
		d.serial.post(func() { d.acked(req) })
		return
	}
	r := &ServerRequest{Request: req, Remote: in.Source, Transport: in.Flow.Transport(), a: a, tx: tx, in: in}
	switch {
	case req.Method == sipmsg.CANCEL:
		a.receiveCancel(r)
	case d != nil && d.lessSecure(in.Flow):
		a.droppedPolicy.Add(1)
		_ = r.Respond(403, "TLS Required", "", nil)
	case d != nil:
		r.serial = d.serial
		d.serial.post(func() { d.receive(r) })
	case tag != "":
		a.receiveStray(r)
	default:
		a.receiveNew(r)
	}
}

// lessSecure says that a message of a dialog under TLS came without it: somebody may have
// read the tags elsewhere, and what we answer would be read, too.
func (d *Dialog) lessSecure(f transport.Flow) bool { return d.via == "TLS" && f.Transport() != "TLS" }

// receiveCancel answers CANCEL and gives up the INVITE it is for (RFC 3261
// section 9.2).
func (a *Agent) receiveCancel(r *ServerRequest) {
	tx := a.tx.Invite(r.Request)
	if tx == nil {
		_ = r.Respond(481, "", "", nil)
		return
	}
	a.mu.Lock()
	in := a.serving[tx]
	a.mu.Unlock()
	if in == nil {
		_ = r.Respond(200, "", "", nil) // too late: it has its final response
		return
	}
	// "the To tag of the response to the CANCEL and the To tag in the response to the
	// original request SHOULD be the same"
	r.tag = in.Dialog.id.local
	_ = r.Respond(200, "", "", nil)
	reason := headerText(r.Request, "reason", "")
	in.r.serial.post(func() { in.cancel(reason) })
}

// receiveStray answers a request of a dialog that is not there: 481, but a BYE
// that crossed ours is well.
func (a *Agent) receiveStray(r *ServerRequest) {
	req := r.Request
	if req.Method == sipmsg.BYE {
		key := hashOf(a.seed, req.CallID().Value(), toTag(req), fromTag(req))
		a.mu.Lock()
		crossed := a.past.has(time.Now(), key)
		a.mu.Unlock()
		if crossed {
			_ = r.Respond(200, "", "", nil)
			return
		}
	}
	if !isKnownMethod(req.Method) {
		_ = r.Respond(501, "", "", nil)
		return
	}
	_ = r.Respond(481, "", "", nil)
}

// receiveNew judges a request outside a dialog as RFC 3261 section 8.2 says.
func (a *Agent) receiveNew(r *ServerRequest) {
	req := r.Request
	if a.isMerged(req) {
		_ = r.Respond(482, "Merged Request", "", nil)
		return
	}
	if s := req.Recipient.Scheme; !strings.EqualFold(s, "sip") {
		_ = r.Respond(416, "", "", nil) // a sips URI promises TLS on each hop, which is more than anybody knows
		return
	}
	if a.refuses(r) {
		return
	}
	r.serial = &serial{a: a}
	switch req.Method {
	case sipmsg.INVITE:
		a.receiveInvite(r)
	case sipmsg.BYE, sipmsg.INFO, sipmsg.UPDATE, sipmsg.PRACK, sipmsg.NOTIFY:
		if req.Method == sipmsg.NOTIFY && a.cfg.OnRequest != nil {
			r.serial.post(func() { a.cfg.OnRequest(r) })
			return
		}
		_ = r.Respond(481, "", "", nil) // these exist in dialogs only
	default:
		if a.cfg.OnRequest != nil {
			r.serial.post(func() { a.cfg.OnRequest(r) })
			return
		}
		a.answerUnasked(r)
	}
}

func (a *Agent) receiveInvite(r *ServerRequest) {
	switch _, ok := calledDialog(r.Request, ""); {
	case !ok:
		// "Contact MUST be present and contain exactly one SIP or SIPS URI in any request
		// that can result in the establishment of a dialog" (section 8.1.1.8)
		_ = r.Respond(400, "No Usable Contact Or Too Many Routes", "", nil)
	case a.cfg.OnInvite == nil:
		_ = r.Respond(480, "", "", nil)
	default:
		in := a.newIncoming(r, nil)
		r.serial.post(func() { a.cfg.OnInvite(in) })
	}
}

// answerUnasked answers OPTIONS, and refuses the rest, for an agent without
// OnRequest.
func (a *Agent) answerUnasked(r *ServerRequest) {
	if r.Request.Method != sipmsg.OPTIONS {
		_ = r.Respond(405, "", "", nil)
		return
	}
	_ = a.AnswerOptions(r)
}

// AnswerOptions answers OPTIONS with 200 and what the agent can do (RFC 3261
// section 11.2).
func (a *Agent) AnswerOptions(r *ServerRequest) error {
	supported := sipmsg.NewResponse(200, "")
	a.appendSupported(supported, true)
	return r.Respond(200, "", "", nil, append([]Header{
		NewHeader("Allow", allowed),
		NewHeader("Accept", "application/sdp"),
		NewHeader("Accept-Encoding", "identity"),
	}, supported.Headers()...)...)
}

// isMerged says that the request came before by another path: "If the request has
// no tag in the To header field, the UAS core MUST check the request against
// ongoing transactions. If the From tag, Call-ID, and CSeq exactly match those
// associated with an ongoing transaction, but the request does not match that
// transaction [...] the UAS core SHOULD generate a 482 (Loop Detected) response"
// (section 8.2.2.2).
func (a *Agent) isMerged(req *Request) bool {
	key := a.mergeKey(req)
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.merged.has(now, key) {
		return true
	}
	a.merged.add(now, key)
	return false
}

func (a *Agent) mergeKey(req *Request) uint64 {
	return hashOf(a.seed, fromTag(req), req.CallID().Value(), req.CSeq().Value())
}

// admit asks Config.Accept about a request outside a dialog before it gets a
// transaction: a refusal is sent statelessly (RFC 3261 section 8.2.7), so that a
// flood costs no memory. What was accepted once is not asked about again.
func (a *Agent) admit(in transport.Inbound) bool {
	req, ok := in.Msg.(*Request)
	if !ok || a.cfg.Accept == nil || req.Method == sipmsg.ACK || req.Method == sipmsg.CANCEL || toTag(req) != "" {
		return true
	}
	key := a.mergeKey(req)
	a.mu.Lock()
	known := a.merged.has(time.Now(), key)
	a.mu.Unlock()
	if known {
		return true
	}
	code := a.cfg.Accept(req, in.Source)
	switch {
	case code == 0:
		return true
	case code < 0:
		a.droppedPolicy.Add(1)
		return false
	}
	// "the To tag [of a stateless UAS] MUST be generated in a consistent manner"
	tag := strconv.FormatUint(key, 36)
	res := a.response(req, &answer{code: min(max(code, 300), 699), tag: tag})
	a.tr.Reply(in.Flow, transport.Bytes(res))
	return false
}
