package registrar

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// edge is one side of a dialog as the proxy sees it: where its flow leads.
type edge struct {
	over byte
	addr netip.AddrPort
}

// The transports of an edge: two bits of a token.
const (
	overUDP byte = 0
	overTCP byte = 0x80
	overTLS byte = 0x40
)

func edgeOf(f transport.Flow) edge {
	a := f.Remote()
	over := overUDP
	switch f.Transport() {
	case "TCP":
		over = overTCP
	case "TLS":
		over = overTLS
	}
	return edge{over, netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}
}

// The proxy keeps no dialogs. The user part of its Record-Route is a token of
// the dialog's two edges with a MAC over them and the Call-ID, so that requests
// inside the dialog find their way, over NATs and connections too, and nobody
// can have the proxy send elsewhere what belongs to no dialog.
const macLen = 12

// sealer makes and opens tokens and loop marks.
type sealer struct{ key [32]byte }

func (s *sealer) seal(callID string, caller, callee edge) string {
	b := callee.append(caller.append(make([]byte, 0, 64)))
	return base64.RawURLEncoding.EncodeToString(append(b, s.mac("route", callID, string(b))[:macLen]...))
}

func (s *sealer) open(callID, token string) (caller, callee edge, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < macLen || len(b) > 128 {
		return caller, callee, false
	}
	body, mac := b[:len(b)-macLen], b[len(b)-macLen:]
	if !hmac.Equal(mac, s.mac("route", callID, string(body))[:macLen]) {
		return caller, callee, false
	}
	caller, rest, ok1 := cutEdge(body)
	callee, rest, ok2 := cutEdge(rest)
	return caller, callee, ok1 && ok2 && len(rest) == 0
}

func (s *sealer) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, s.key[:])
	for _, p := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p)))) // a hash.Hash never fails
		_, _ = h.Write([]byte(p))
	}
	return h.Sum(nil)
}

func (e edge) append(b []byte) []byte {
	kind := byte(len(e.addr.Addr().AsSlice())) | e.over
	b = append(append(b, kind), e.addr.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, e.addr.Port())
}

func cutEdge(b []byte) (e edge, rest []byte, ok bool) {
	if len(b) == 0 {
		return e, nil, false
	}
	n := int(b[0] &^ (overTCP | overTLS))
	if len(b) < 1+n+2 {
		return e, nil, false
	}
	a, ok := netip.AddrFromSlice(b[1 : 1+n])
	return edge{b[0] & (overTCP | overTLS), netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[1+n:]))}, b[1+n+2:], ok
}

// mark is the part of our branches that tells a loop from a spiral: a MAC over
// what routing looks at (RFC 3261 section 16.6 step 8, RFC 5393 section 4.2).
func (s *sealer) mark(req *sipmsg.Request) string {
	parts := []string{"loop", req.Recipient.String(), req.CallID().Value(), req.CSeq().Value()}
	tag, _ := req.From().Params.Get("tag")
	parts = append(parts, tag)
	tag, _ = req.To().Params.Get("tag")
	parts = append(parts, tag)
	for _, name := range []string{"route", "proxy-require"} {
		for _, h := range req.GetHeaders(name) {
			parts = append(parts, h.Value())
		}
	}
	return base64.RawURLEncoding.EncodeToString(s.mac(parts...)[:macLen])
}

// looped reports whether the request was here before in the same shape.
func (s *sealer) looped(req *sipmsg.Request) bool {
	mark := ""
	for _, h := range req.GetHeaders("via") {
		v, ok := h.(*sipmsg.ViaHeader)
		if !ok {
			continue
		}
		branch, _ := v.Params.Get("branch")
		_, m, ok := strings.Cut(branch, ".")
		if !ok || len(m) != base64.RawURLEncoding.EncodedLen(macLen) {
			continue
		}
		if mark == "" {
			mark = s.mark(req)
		}
		if m == mark {
			return true
		}
	}
	return false
}

// path is what the Route header fields of a request said.
type path struct {
	dialog         bool // a token of ours was among them
	caller, callee edge
	more           bool // routes of others remain
}

// preprocess is RFC 3261 section 16.4, on a copy of the request: it takes our
// own routes away. own says whether a URI names this server.
func (s *sealer) preprocess(req *sipmsg.Request, own func(*sipmsg.Uri) bool) path {
	var p path
	callID := req.CallID().Value()
	note := func(u *sipmsg.Uri) bool {
		caller, callee, ok := s.open(callID, u.User)
		if ok {
			p.dialog, p.caller, p.callee = true, caller, callee
		}
		return ok
	}
	routes := routesOf(req)
	// "If the Request-URI of the request contains a value this proxy previously
	// placed into a Record-Route header field ..., the proxy MUST replace the
	// Request-URI in the request with the last value from the Route header field,
	// and remove that value from the Route header field."
	if len(routes) > 0 && note(&req.Recipient) {
		last := len(routes) - 1
		req.Recipient = *routes[last].Clone()
		routes = routes[:last]
	}
	for len(routes) > 0 && (note(routes[0]) || own(routes[0])) {
		routes = routes[1:]
	}
	p.more = len(routes) > 0
	for req.RemoveHeader("Route") {
	}
	for _, u := range routes {
		req.AppendHeader(&sipmsg.RouteHeader{Address: *u})
	}
	return p
}

func routesOf(req *sipmsg.Request) []*sipmsg.Uri {
	var all []*sipmsg.Uri
	for _, h := range req.GetHeaders("route") {
		if r, ok := h.(*sipmsg.RouteHeader); ok {
			all = append(all, &r.Address)
		}
	}
	return all
}

func bareHost(host string) string { return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") }

func uriHost(a netip.Addr) string {
	if a = a.Unmap(); a.Is6() {
		return "[" + a.WithZone("").String() + "]"
	}
	return a.String()
}

func itoa(n int) string { return strconv.Itoa(n) }
