package sip

import (
	"errors"
	"net/netip"
	"strings"
	"sync"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

var errStatusCode = errors.New("sip: not a status code")

// ServerRequest is a request, other than INVITE, that waits for our answer. It is
// safe for concurrent use.
type ServerRequest struct {
	Request   *Request
	Remote    netip.AddrPort
	Transport string

	a      *Agent
	tx     *transaction.Server
	in     transport.Inbound
	serial *serial
	dialog *Dialog

	mu   sync.Mutex // guards what follows
	tag  string     // our To tag
	done bool       // a final response was given
}

// Respond answers the request. The first final response counts, later ones fail
// with ErrClosed.
func (r *ServerRequest) Respond(code int, reason, contentType string, body []byte, headers ...Header) error {
	if code < 100 || code > 699 {
		return errStatusCode
	}
	r.mu.Lock()
	if r.done {
		r.mu.Unlock()
		return ErrClosed
	}
	r.done = code >= 200
	r.mu.Unlock()
	ans := &answer{code: code, reason: reason, contentType: contentType, body: body, header: headers, tag: r.toTag()}
	if r.Request.Method == sipmsg.UPDATE && code/100 == 2 {
		ans.contact = "<" + r.a.contact(r.tx.Flow(), r.contactUser()).String() + ">"
		if d := r.dialog; d != nil {
			d.mu.Lock()
			d.state.refresh(r.Request)
			d.mu.Unlock()
		}
	}
	return r.send(ans)
}

// send writes a response, elsewhere when the connection it belongs to is gone.
func (r *ServerRequest) send(ans *answer) error {
	err := r.tx.Respond(r.a.response(r.Request, ans))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transaction.ErrTerminated), errors.Is(err, transaction.ErrClosed):
		return ErrClosed
	}
	r.reroute()
	return nil
}

// reroute sends the last response where RFC 3261 section 18.2.2 says when the
// flow of the request is broken.
func (r *ServerRequest) reroute() {
	r.a.spawn(func() {
		flow, err := r.a.tr.ForResponse(r.a.life(), r.in)
		if err == nil {
			r.tx.Reroute(flow)
			err = r.tx.Retransmit()
		}
		if err != nil {
			r.a.log.Debug("response not sent", "call_id", transport.Visible(r.Request.CallID().Value()), "error", err)
		}
	})
}

// toTag is the tag of our responses, the same for all of them.
func (r *ServerRequest) toTag() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tag == "" {
		if r.tag = toTag(r.Request); r.tag == "" {
			r.tag = token()
		}
	}
	return r.tag
}

// contactUser is the user part under which the peer reached us.
func (r *ServerRequest) contactUser() string { return r.Request.Recipient.User }

// header is what a refusal by the dialog needs.
func (v verdict) header() []Header {
	if !v.retry {
		return nil
	}
	// "a Retry-After header field with a randomly chosen value of between 0 and 10
	// seconds" (RFC 3261 section 14.2)
	return []Header{NewHeader("Retry-After", retrySeconds())}
}

// refuses answers a request that nobody needs to see: an extension that we do not
// have, a method or an encoding that we do not know.
func (a *Agent) refuses(r *ServerRequest) bool {
	req := r.Request
	if req.Method != sipmsg.CANCEL && req.Method != sipmsg.ACK {
		// "If a UAS does not understand an option-tag listed in a Require header field, it
		// MUST respond by generating a response with status code 420 (Bad Extension). The
		// UAS MUST add an Unsupported header field, and list in it those options it does
		// not understand" (RFC 3261 section 8.2.2.3)
		var unknown []string
		for _, tag := range tokens(req, "require") {
			if !a.supports(tag) && len(unknown) < 16 {
				unknown = append(unknown, tag)
			}
		}
		if len(unknown) > 0 {
			_ = r.Respond(420, "", "", nil, NewHeader("Unsupported", strings.Join(unknown, ", ")))
			return true
		}
	}
	if !isKnownMethod(req.Method) {
		_ = r.Respond(501, "", "", nil)
		return true
	}
	if enc := headerText(req, "content-encoding", "e"); enc != "" && !strings.EqualFold(enc, "identity") {
		_ = r.Respond(415, "", "", nil, NewHeader("Accept-Encoding", "identity"))
		return true
	}
	return false
}

func (a *Agent) supports(tag string) bool {
	for _, s := range a.cfg.Supported {
		if strings.EqualFold(s, tag) {
			return true
		}
	}
	return false
}
