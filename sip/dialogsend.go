package sip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/peercall/peercall/sip/internal/transport"
)

const ackWait = 5 * time.Second // to find the way for an ACK; ours

// Do sends a request within the dialog and waits for its final response. ctx
// bounds the wait. INVITE, ACK, BYE and CANCEL have methods of their own.
func (d *Dialog) Do(ctx context.Context, method, contentType string, body []byte, headers ...Header) (*Response, error) {
	switch {
	case method == "INVITE" || method == "ACK" || method == "CANCEL" || method == "BYE" || !isToken(method):
		return nil, fmt.Errorf("sip: %q is not for Dialog.Do", clip(method, 40))
	case d.over():
		return nil, ErrClosed
	}
	o := d.outbound(method, contentType, body, headers)
	ex, err := d.a.roundTrip(ctx, &o)
	switch se, _ := errors.AsType[*StatusError](err); {
	case err == nil && method == "UPDATE":
		d.mu.Lock()
		d.state.refresh(ex.response)
		d.mu.Unlock()
	case se != nil && se.Code == 481:
		// "If the response for a request within a dialog is a 481 (Call/Transaction Does
		// Not Exist) [...] the UAC SHOULD terminate the dialog." (RFC 3261 section 12.2.1.2)
		d.finish(DialogEnded{Err: err})
	}
	return ex.response, err
}

func (d *Dialog) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

// Bye ends the dialog at once and always sends BYE; ctx bounds only the wait for
// its answer. It waits for the ACK when a 2xx of ours still needs one, and an
// INVITE that we have not answered is refused with 480 instead. Later calls
// return nil.
func (d *Dialog) Bye(ctx context.Context, headers ...Header) error {
	result := make(chan error, 1)
	when, first := d.askBye(headers, func(err error) { result <- err })
	if !first {
		return nil
	}
	d.finish(DialogEnded{})
	switch {
	case when == byeNever:
		return nil
	case when == byeNow && !d.sendBye(headers, func(err error) { result <- err }):
		return ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-d.a.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hangUp is Bye without the wait.
func (d *Dialog) hangUp(headers ...Header) {
	if when, first := d.askBye(headers, func(error) {}); first {
		d.finish(DialogEnded{})
		if when == byeNow {
			d.sendBye(headers, func(error) {})
		}
	}
}

// byeWhen is when a BYE that was asked for is sent.
type byeWhen uint8

const (
	byeNow   byeWhen = iota
	byeLater         // after the ACK to our 2xx, or in its stead
	byeNever         // the INVITE was refused instead
)

// askBye says when BYE is to be sent, and whether it is the first time that
// somebody asks. done is told the outcome of one that is sent later.
func (d *Dialog) askBye(headers []Header, done func(error)) (when byeWhen, first bool) {
	d.mu.Lock()
	if d.byeAsked || d.ended {
		d.mu.Unlock()
		return byeNever, false
	}
	d.byeAsked, d.byeDone = true, done
	serving, early := d.serving, d.state.phase == dialogEarly
	d.mu.Unlock()
	if serving == nil {
		return byeNow, true
	}
	return serving.hangUp(headers, early), true
}

// sendBye sends BYE on a goroutine of its own and tells the outcome.
func (d *Dialog) sendBye(headers []Header, done func(error)) bool {
	o := d.outbound("BYE", "", nil, headers)
	return d.a.spawn(func() {
		_, err := d.a.roundTrip(d.a.life(), &o)
		if se, ok := errors.AsType[*StatusError](err); ok && (se.Code == 481 || se.Code == 408) {
			err = nil // "the UAC MUST consider the session and the dialog terminated" all the same (section 15.1.1)
		}
		select {
		case <-d.a.done:
			err = ErrClosed
		default:
		}
		done(err)
	})
}

// Ack acknowledges the 2xx. It is called once per Answered; the agent sends the
// same ACK again when the 2xx comes again. It may wait for a name look-up.
func (d *Dialog) Ack(contentType string, body []byte) error {
	d.mu.Lock()
	o := d.answered
	if o == nil {
		d.mu.Unlock()
		return errors.New("sip: there is no 2xx to acknowledge")
	}
	way := d.state.route(o.req.CSeq().SeqNo)
	dr := d.draft("ACK", way, contentType, body, nil)
	flow, fixed := d.way(way)
	d.mu.Unlock()
	req := d.a.build(dr)
	// "The ACK MUST contain the same credentials as the INVITE." (section 13.2.2.4)
	for _, name := range []string{"authorization", "proxy-authorization"} {
		for _, h := range fields(o.req, name, "") {
			req.AppendHeader(h)
		}
	}
	raw, flow, err := d.a.sendAck(&sending{a: d.a, outbound: outbound{req: req, hop: way.hop, flow: flow, fixed: fixed}})
	o.mu.Lock()
	if l := o.legs[d.id.remote]; l != nil && raw != nil {
		l.ack, l.flow = raw, flow
	}
	o.mu.Unlock()
	return err
}

// sendAck finds the way for an ACK, which is no transaction, and writes it.
func (a *Agent) sendAck(s *sending) ([]byte, transport.Flow, error) {
	ctx, cancel := context.WithTimeout(a.life(), ackWait)
	defer cancel()
	if s.startsOnFlow() {
		if raw, err := a.writeAck(s.req, s.flow, s.target); err == nil || s.fixed {
			return raw, s.flow, err
		}
	}
	targets, err := a.resolve(ctx, s.hop, s.flow)
	if err != nil {
		return nil, nil, err
	}
	s.err = errNoTarget
	for _, target := range targets {
		flow, err := a.tr.ForRequest(ctx, target, s.size())
		if err != nil {
			s.err = err
			continue
		}
		raw, err := a.writeAck(s.req, flow, target)
		if err == nil {
			return raw, flow, nil
		}
		s.err = err
	}
	return nil, nil, s.failure(s.err)
}

// outbound makes the next request of the dialog.
func (d *Dialog) outbound(method, contentType string, body []byte, headers []Header) outbound {
	d.mu.Lock()
	defer d.mu.Unlock()
	way := d.state.next()
	o := outbound{hop: way.hop, renumber: func() uint32 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.state.next().seq
	}}
	o.flow, o.fixed = d.way(way)
	o.req = d.a.build(d.draft(method, way, contentType, body, headers))
	if d.acct != nil && (o.flow != nil && o.flow.Remote() == d.acctHop || d.acct.trusts(o.hop, d.acctHop)) {
		o.acct = d.acct
	}
	return o
}

// draft is a request that begins with way. The caller holds mu.
func (d *Dialog) draft(method string, way outgoing, contentType string, body []byte, headers []Header) *draft {
	return &draft{
		method: method, uri: way.uri, routes: way.routes, from: d.state.local, to: d.state.remote, callID: d.id.callID, seq: way.seq,
		contentType: contentType, body: slices.Clone(body), header: headers,
	}
}

// way says whether the request goes on the dialog's own flow, and whether it must.
// The caller holds mu.
func (d *Dialog) way(o outgoing) (flow transport.Flow, fixed bool) {
	use, must := flowUse(o.hop, len(d.state.routes) > 0, d.via, d.flow.Remote())
	if !use {
		return nil, false
	}
	return d.flow, must
}

// flowUse says whether a request to hop goes on the flow that the dialog began on,
// and whether it has no other way: "use the existing flow if it is that hop, or
// when there is no Route and the target is private, .invalid or has ob"
// (DESIGN.md, decision 12).
func flowUse(hop URI, routed bool, via string, remote netip.AddrPort) (use, must bool) {
	ip, numeric := hop.addr()
	same := numeric && ip == remote.Addr().Unmap()
	if same && hop.port() == remote.Port() {
		tp, _ := hop.Param("transport")
		if strings.EqualFold(cmp.Or(tp, "UDP"), via) {
			return true, false
		}
	}
	if via == "TLS" && !hop.isTLS() {
		// "Never from TLS to anything else" (DESIGN.md, decision 4): what was said under
		// TLS is not gone on with in clear.
		return true, true
	}
	if routed {
		return false, false
	}
	if _, ob := hop.Param("ob"); ob || strings.HasSuffix(strings.ToLower(hop.Host), ".invalid") {
		return true, true
	}
	if numeric && private(ip) && !private(remote.Addr()) {
		return true, true
	}
	// The peer itself is at the other end of the connection: there is no proxy that
	// wanted to stay.
	return same && via != "UDP", false
}

// private says that an address means nothing outside its own network.
func private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || sharedSpace.Contains(ip)
}

var sharedSpace = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
