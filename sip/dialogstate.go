package sip

import (
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

const maxRoutes = 32 // Record-Route entries that we keep; ours

// dialogID is how each side finds a dialog (RFC 3261 section 12).
type dialogID struct{ callID, local, remote string }

// dialogState is a dialog of RFC 3261 section 12: who, which way, and which
// number comes next. It is pure; its owner keeps it under a lock.
//
//	          2xx               BYE, 481
//	early ──────────▶ confirmed ────────▶ ended
//	  └── non-2xx final, CANCEL, BYE ───────▲
type dialogState struct {
	phase         dialogPhase
	id            dialogID
	local, remote Address // with their tags
	target        URI     // the peer's Contact
	routes        []URI   // the route set, in our order
	localSeq      uint32
	remoteSeq     uint32
	heard         bool // remoteSeq is set
	caller        bool // we sent the INVITE

	inviting bool // our INVITE has no final response yet
	invited  bool // the peer's INVITE has no final response yet
}

type dialogPhase uint8

const (
	dialogEarly dialogPhase = iota
	dialogConfirmed
	dialogOver
)

func (p dialogPhase) String() string { return [...]string{"early", "confirmed", "over"}[p] }

// calledDialog is the state of a UAS (section 12.1.1) after an INVITE.
func calledDialog(req *Request, tag string) (dialogState, bool) {
	d := dialogState{local: toOf(req).withTag(tag), remote: fromOf(req), remoteSeq: req.CSeq().SeqNo, heard: true, invited: true}
	d.id = dialogID{callID: req.CallID().Value(), local: tag, remote: fromTag(req)}
	// "The route set MUST be set to the list of URIs in the Record-Route header field
	// from the request, taken in order and preserving all URI parameters."
	d.routes = recordRoutes(req)
	var ok bool
	d.target, ok = contactOf(req)
	return d, ok && d.target.Scheme == "sip" && len(d.routes) <= maxRoutes
}

// callingDialog is the state of a UAC (section 12.1.2) after a response with a
// To tag to the INVITE req. A response without Contact leaves the Request-URI as
// the target, for peers that leave it out of their 180.
func callingDialog(req *Request, res *Response) dialogState {
	d := dialogState{local: fromOf(req), remote: toOf(res), localSeq: req.CSeq().SeqNo, caller: true, inviting: true}
	d.id = dialogID{callID: req.CallID().Value(), local: fromTag(req), remote: toTag(res)}
	d.target = uriOf(&req.Recipient)
	d.learn(res)
	return d
}

// learn takes target and route set from a response to the first INVITE: "taken
// in reverse order and preserving all URI parameters" (section 12.1.2).
func (d *dialogState) learn(res *Response) {
	if target, ok := contactOf(res); ok {
		d.target = target
	}
	if routes := recordRoutes(res); len(routes) <= maxRoutes {
		slices.Reverse(routes)
		d.routes = routes
	}
}

// confirm is told of the 2xx to the first INVITE. On the caller's side "the
// dialog MUST be transitioned to the 'confirmed' state, and the route set of the
// dialog MUST be recomputed based on the 2xx response" (section 13.2.2.4).
func (d *dialogState) confirm(res *Response) {
	if d.phase != dialogEarly {
		return
	}
	d.phase = dialogConfirmed
	if d.caller {
		d.learn(res)
	}
}

// refresh takes the remote target from a target refresh request or its response
// (section 12.2).
func (d *dialogState) refresh(m sipmsg.Message) {
	if target, ok := contactOf(m); ok {
		d.target = target
	}
}

// outgoing is what a request within the dialog begins with.
type outgoing struct {
	uri    URI   // Request-URI
	routes []URI // Route
	hop    URI   // where to send it
	seq    uint32
}

// next is the start of the next request. ACK has the number of its INVITE and
// does not come here.
func (d *dialogState) next() outgoing {
	d.localSeq++
	return d.route(d.localSeq)
}

// route applies section 12.2.1.1.
func (d *dialogState) route(seq uint32) outgoing {
	o := outgoing{uri: d.target, hop: d.target, seq: seq}
	if len(d.routes) == 0 {
		return o
	}
	o.hop = d.routes[0]
	if _, loose := o.hop.Param("lr"); loose {
		o.routes = d.routes
		return o
	}
	// "If the route set is not empty, and its first URI does not contain the lr
	// parameter, the UAC MUST place the first URI from the route set into the
	// Request-URI, stripping any parameters that are not allowed in a Request-URI. The
	// UAC MUST add a Route header field containing the remainder of the route set
	// values in order [and] then place the remote target URI into the Route header
	// field as the last value."
	o.uri = withoutParam(o.hop, "method")
	o.uri.Headers = ""
	o.routes = append(slices.Clone(d.routes[1:]), d.target)
	return o
}

// verdict is how the dialog takes a request; code 0 is well.
type verdict struct {
	code  int
	retry bool // Retry-After of a few seconds, at random
}

// incoming judges a request other than ACK and CANCEL within the dialog.
func (d *dialogState) incoming(method string, seq uint32) verdict {
	if d.phase == dialogOver {
		return verdict{code: 481}
	}
	// "If the remote sequence number was not empty, but the sequence number of the
	// request is lower than the remote sequence number, the request is out of order and
	// MUST be rejected with a 500" (section 12.2.2). An equal number is no new request
	// either: numbers are "strictly monotonically increasing" (section 12.2.1.1).
	if d.heard && seq <= d.remoteSeq {
		return verdict{code: 500}
	}
	d.remoteSeq, d.heard = seq, true
	if method != "INVITE" {
		return verdict{}
	}
	switch {
	case d.invited:
		// "A UAS that receives a second INVITE before it sends the final response to a
		// first INVITE with a lower CSeq sequence number on the same dialog MUST return a
		// 500 (Server Internal Error) response to the second INVITE and MUST include a
		// Retry-After header field with a randomly chosen value of between 0 and 10
		// seconds." (section 14.2)
		return verdict{code: 500, retry: true}
	case d.inviting:
		// "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that
		// dialog is in progress MUST return a 491 (Request Pending)" (section 14.2)
		return verdict{code: 491}
	}
	d.invited = true
	return verdict{}
}

// mayInvite says that neither side has an INVITE in progress: "a UAC MUST NOT
// initiate a new INVITE transaction within a dialog while another INVITE
// transaction is in progress in either direction" (section 14.1).
func (d *dialogState) mayInvite() bool {
	return d.phase == dialogConfirmed && !d.inviting && !d.invited
}

// end says whether the dialog ended just now.
func (d *dialogState) end() bool {
	was := d.phase
	d.phase = dialogOver
	return was != dialogOver
}

// withoutParam leaves a URI parameter out.
func withoutParam(u URI, name string) URI {
	if _, ok := u.Param(name); !ok {
		return u
	}
	var kept strings.Builder
	for p := range strings.SplitSeq(strings.TrimPrefix(u.Params, ";"), ";") {
		if k, _, _ := strings.Cut(p, "="); k != "" && !strings.EqualFold(k, name) {
			kept.WriteByte(';')
			kept.WriteString(p)
		}
	}
	u.Params = kept.String()
	return u
}
