package registrar

import (
	"encoding/base64"
	"net/url"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/digest"
)

// wrongPassword is what a refused credential costs in requests (Config.PerSource).
const wrongPassword = 10

// authenticate checks the credentials of a request and returns the user. When it
// reports false it has answered, with a challenge: 401 as the registrar, 407 as
// the proxy. A challenge leaves nothing behind, and is not sent again: a forged source
// costs us no memory and its victim one message.
func (s *Server) authenticate(in *inbound, field string) (user string, ok bool) {
	now, source := time.Now(), in.Source.Addr()
	best := digest.Refused
	offered := false
	for _, h := range in.req.GetHeaders(field) {
		if !s.digest.Names(h.Value()) {
			continue
		}
		offered = true
		u, v := s.digest.Check(now, source, h.Value(), string(in.req.Method), in.req.Recipient.String(), s.password)
		if v == digest.Granted {
			return u, true
		}
		best = max(best, v)
	}
	if offered && best == digest.Refused {
		s.allow(source, wrongPassword)
		s.log.Info("credentials refused", "source", in.Source, "method", in.req.Method)
	}
	code, name := 401, "WWW-Authenticate"
	if field == "proxy-authorization" {
		code, name = 407, "Proxy-Authenticate"
	}
	var challenges []sipmsg.Header
	for _, c := range s.digest.Challenges(now, source, best == digest.Stale) {
		challenges = append(challenges, sipmsg.NewHeader(name, c.String()))
	}
	if in.tx != nil {
		res := s.response(in, code, challenges)
		branch, _ := in.req.Via().Params.Get("branch")
		if to := res.To(); !in.req.To().Params.Has("tag") {
			// "the To tag [of a stateless UAS] MUST be generated in a consistent manner" (RFC
			// 3261 section 8.2.7)
			to.Params.Add("tag", base64.RawURLEncoding.EncodeToString(s.seal.mac("tag", branch, in.req.CallID().Value())[:macLen]))
		}
		in.tx.Refuse(res)
	}
	return "", false
}

func (s *Server) password(user string) (string, bool) {
	p, ok := s.cfg.Users[user]
	return p, ok
}

// authenticateCaller lets a request outside a dialog pass when it is its From
// user's. When it reports false it has answered.
func (s *Server) authenticateCaller(in *inbound) bool {
	if s.digest == nil {
		return true
	}
	user, ok := s.authenticate(in, "proxy-authorization")
	if !ok {
		return false
	}
	from := in.req.From().Address
	if userPart(&from) != user || !in.own(s)(&from) {
		s.log.Info("From is not the user", "user", user, "source", in.Source)
		s.respond(in, 403)
		return false
	}
	return true
}

// dropCredentials takes the credentials for our realm off a request before it
// goes on: nobody behind us needs them.
func (s *Server) dropCredentials(req *sipmsg.Request) {
	if s.digest == nil {
		return
	}
	all := req.GetHeaders("proxy-authorization")
	for _, h := range all {
		req.RemoveHeader(h.Name())
	}
	for _, h := range all {
		if !s.digest.Names(h.Value()) {
			req.AppendHeader(h)
		}
	}
}

// userPart is the user of a URI with its escapes resolved: the two forms are the
// same user (RFC 3261 section 19.1.4).
func userPart(u *sipmsg.Uri) string {
	if plain, err := url.PathUnescape(u.User); err == nil {
		return plain
	}
	return u.User
}
