package sip

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/digest"
)

const (
	maxAccounts  = 4096 // accounts whose challenges are remembered; ours
	maxAuthTries = 3    // a challenge, and nonces that turned stale
)

// credentials is what an account has learned of its servers' challenges.
type credentials struct {
	digest digest.Client

	mu     sync.Mutex // guards what follows
	realms []string   // in which a REGISTER was accepted
	warned bool
}

func (a *Agent) credentials(acct *Account) *credentials {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.known[*acct]
	if c == nil {
		if len(a.known) >= maxAccounts {
			clear(a.known)
		}
		c = &credentials{}
		a.known[*acct] = c
	}
	return c
}

// trusted says that hop is the account's own server: "Credentials answer only the
// account's registrar and outbound proxy in their realms" (DESIGN.md).
func (acct *Account) trusted(hop URI) bool {
	return sameHop(hop, acct.registrar()) || acct.OutboundProxy != (URI{}) && sameHop(hop, acct.OutboundProxy)
}

// trusts says that a request to hop ends up at the account's own server, whose
// address at is.
func (acct *Account) trusts(hop URI, at netip.AddrPort) bool {
	ip, numeric := hop.addr()
	return acct.trusted(hop) || numeric && netip.AddrPortFrom(ip, hop.port()) == at
}

// accountOf is the registered account that a request came to, and the address of
// its server; nil when there is none. It is found by its address in To, else by the
// user that the Request-URI names.
func (a *Agent) accountOf(req *Request) (acct *Account, at netip.AddrPort) {
	to := toOf(req).URI
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.regs {
		r.mu.Lock()
		flow := r.flow
		r.mu.Unlock()
		exact := unescape(r.acct.AOR.User) == unescape(to.User) && sameHost(r.acct.AOR.Host, to.Host)
		if flow == nil || !exact && (acct != nil || unescape(r.acct.AOR.User) != unescape(req.Recipient.User)) {
			continue
		}
		acct, at = &r.acct, flow.Remote()
		if exact {
			break
		}
	}
	return acct, at
}

func sameHop(a, b URI) bool {
	return sameHost(a.Host, b.Host) && a.port() == b.port() && (a.Scheme == "sips") == (b.Scheme == "sips") && a.isTLS() == b.isTLS()
}

func (u URI) port() uint16 {
	switch {
	case u.Port != 0:
		return u.Port
	case u.Scheme == "sips", u.isTLS():
		return 5061
	default:
		return 5060
	}
}

// isTLS says that the URI asks for TLS on the way to its host.
func (u URI) isTLS() bool {
	tp, _ := u.Param("transport")
	return strings.EqualFold(tp, "tls")
}

// authorize puts credentials on req, which was answered with the challenge res.
// It changes neither number nor branch. False: there is no answer to give.
func (a *Agent) authorize(acct *Account, req *Request, res *Response) bool {
	if acct == nil || acct.Password == "" || res.StatusCode != 401 && res.StatusCode != 407 {
		return false
	}
	c := a.credentials(acct)
	asked := sipmsg.NewResponse(res.StatusCode, res.Reason)
	for _, name := range []string{"www-authenticate", "proxy-authenticate"} {
		for _, h := range fields(res, name, "") {
			if ch, err := digest.ParseChallenge(h.Value()); err == nil && c.answers(acct, ch.Realm) {
				asked.AppendHeader(h)
				c.warn(a, ch.Algorithm, acct)
			}
		}
	}
	return c.digest.Authorize(req, asked, acct.username(), acct.Password) == nil
}

// warn says once per account that its server asks for MD5 over clear transport.
func (c *credentials) warn(a *Agent, algorithm string, acct *Account) {
	if algorithm != "" && !strings.EqualFold(algorithm, "MD5") || acct.registrar().isTLS() && acct.proxy().isTLS() {
		return
	}
	c.mu.Lock()
	first := !c.warned
	c.warned = true
	c.mu.Unlock()
	if first {
		a.log.Warn("digest with MD5 over clear transport", "account", acct.AOR.String(), "registrar", acct.registrar().String())
	}
}

// preauthorize saves the challenge when one is remembered.
func (a *Agent) preauthorize(acct *Account, req *Request) {
	if acct != nil && acct.Password != "" {
		a.credentials(acct).digest.Preauthorize(req, acct.username(), acct.Password)
	}
}

// answers says whether a realm is one of the account's servers: a peer behind
// them can send a challenge too. Once a REGISTER was accepted its realm and the
// names that we know are the only ones.
func (c *credentials) answers(acct *Account, realm string) bool {
	for _, host := range []string{acct.AOR.Host, acct.registrar().Host, acct.proxy().Host} {
		if strings.EqualFold(realm, host) {
			return true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.realms) == 0 || slices.Contains(c.realms, realm)
}

// accepted remembers the realms in which a REGISTER was accepted.
func (c *credentials) accepted(req *Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{"authorization", "proxy-authorization"} {
		for _, h := range fields(req, name, "") {
			cred, err := digest.ParseCredentials(h.Value())
			if err == nil && len(c.realms) < 8 && !slices.Contains(c.realms, cred.Realm) {
				c.realms = append(c.realms, cred.Realm)
			}
		}
	}
}
