package sip

import (
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// uriOf is the parser's URI as ours.
func uriOf(m *sipmsg.Uri) URI {
	scheme := m.Scheme
	if scheme == "" {
		scheme = "sip"
	}
	if scheme != "sip" && scheme != "sips" {
		return URI{Scheme: scheme, Host: m.Raw()}
	}
	u := URI{Scheme: scheme, User: m.User, Password: m.Password, Host: strings.Trim(m.Host, "[]")}
	if 0 < m.Port && m.Port <= 0xffff {
		u.Port = uint16(m.Port)
	}
	if len(m.UriParams) > 0 {
		u.Params = ";" + m.UriParams.ToString(';')
	}
	if len(m.Headers) > 0 {
		u.Headers = "?" + m.Headers.ToString('&')
	}
	return u
}

// message is our URI as the parser's.
func (u URI) message() sipmsg.Uri {
	if u.Params == "" && u.Headers == "" && u.isSIP() && isClean(u.User) && strings.IndexByte(u.User, ':') < 0 && isClean(u.Password) && isClean(u.Host) {
		host := u.Host
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		scheme := u.Scheme
		if scheme == "" {
			scheme = "sip"
		}
		return sipmsg.Uri{Scheme: scheme, User: u.User, Password: u.Password, Host: host, Port: int(u.Port)}
	}
	var m sipmsg.Uri
	if err := sipmsg.ParseUri(u.String(), &m); err != nil {
		return sipmsg.Uri{Scheme: "sip", Host: "invalid.invalid"} // not reached: sipgo reads what Append writes
	}
	return m
}

// isClean says that Append would escape nothing in a part.
func isClean(s string) bool {
	for i := range len(s) {
		if c := s[i]; !inURI(c) || c == '@' || c == ';' || c == '?' || c == '[' || c == ']' {
			return false
		}
	}
	return true
}

// addressOf makes an Address of the parts of a From, To or Contact.
func addressOf(name string, uri *sipmsg.Uri, params sipmsg.HeaderParams) Address {
	a := Address{Name: unquotePairs(name), URI: uriOf(uri)}
	if len(params) == 1 && params[0].K == "tag" {
		a.Params = ";tag=" + params[0].V
	} else if len(params) > 0 {
		a.Params, _ = canonicalParams(";" + params.ToString(';'))
	}
	return a
}

// fromOf and toOf read the addresses of a message that has passed the checks of
// the transport, so that both are there.
func fromOf(m sipmsg.Message) Address {
	h := m.From()
	return addressOf(h.DisplayName, &h.Address, h.Params)
}

func toOf(m sipmsg.Message) Address {
	h := m.To()
	return addressOf(h.DisplayName, &h.Address, h.Params)
}

func fromTag(m sipmsg.Message) string {
	tag, _ := m.From().Params.Get("tag")
	return tag
}

func toTag(m sipmsg.Message) string {
	tag, _ := m.To().Params.Get("tag")
	return tag
}

// contactOf is the URI of the first Contact.
func contactOf(m sipmsg.Message) (URI, bool) {
	for _, h := range fields(m, "Contact", "m") {
		if c, ok := h.(*sipmsg.ContactHeader); ok && !c.Address.Wildcard {
			return uriOf(&c.Address), true
		}
	}
	return URI{}, false
}

// recordRoutes lists the URIs of Record-Route from top to bottom.
func recordRoutes(m sipmsg.Message) []URI {
	var routes []URI
	for _, h := range fields(m, "Record-Route", "") {
		if r, ok := h.(*sipmsg.RecordRouteHeader); ok {
			routes = append(routes, uriOf(&r.Address))
		}
	}
	return routes
}

// headerFields is what requests and responses share beyond sipmsg.Message.
type headerFields interface{ Headers() []Header }

// fields lists the header fields of a name or its compact form, without regard to
// case.
func fields(m sipmsg.Message, name, compact string) []Header {
	var all []Header
	if hs, ok := m.(headerFields); ok {
		for _, h := range hs.Headers() {
			if n := h.Name(); strings.EqualFold(n, name) || compact != "" && strings.EqualFold(n, compact) {
				all = append(all, h)
			}
		}
	}
	return all
}

// headerText is the value of the first header field of a name; compact, when not
// empty, is its short form.
func headerText(m sipmsg.Message, name, compact string) string {
	if hs := fields(m, name, compact); len(hs) > 0 {
		return hs[0].Value()
	}
	return ""
}

// tokens lists the comma-separated values of all header fields of a name.
func tokens(m sipmsg.Message, name string) []string {
	var all []string
	for _, h := range fields(m, name, "") {
		for v := range strings.SplitSeq(h.Value(), ",") {
			if v = strings.TrimSpace(v); v != "" {
				all = append(all, v)
			}
		}
	}
	return all
}
