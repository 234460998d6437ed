package digest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Errors of Client.Authorize.
var (
	// ErrNoChallenge: the response has no challenge that we can answer.
	ErrNoChallenge = errors.New("digest: no challenge with a supported algorithm")
	// ErrRefused: the credentials were tried and the server did not say that
	// only the nonce was stale.
	ErrRefused = errors.New("digest: credentials were refused")
)

// Limits of a Client, our choice: realms remembered, and answers "stale" to a
// nonce that was fresh, after which the server is not believed.
const (
	maxRealms = 8
	maxStale  = 2
)

// Client answers challenges for one account and remembers the last challenge
// of each realm. The zero value is ready to use.
type Client struct {
	Rand io.Reader // source of the cnonce; nil is crypto/rand

	mu     sync.Mutex // guards realms
	realms []*realm
}

type realm struct {
	field  string // "Authorization" or "Proxy-Authorization"
	ch     Challenge
	used   uint32 // highest nonce count given out
	stales int    // consecutive "stale" answers to a first use
}

// Authorize puts credentials on req for each realm that the 401 or 407 response
// res asks for. req is the request to be sent next, still with the credentials
// of the refused one, if any, which are replaced; its branch and CSeq are the
// caller's matter. One try per nonce: ErrRefused when the refused request had
// credentials made for its very challenge, unless the server says "stale".
//
// "the UAC ... MUST use the topmost header field that it supports"
// (RFC 8760 section 2.4), here for each realm.
func (c *Client) Authorize(req *sipmsg.Request, res *sipmsg.Response, user, password string) error {
	field, challenges := challengesOf(res)
	if len(challenges) == 0 {
		return ErrNoChallenge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range challenges {
		tried, nc := credentialsFor(req, field, ch.Realm)
		r := c.realm(field, ch.Realm)
		switch {
		case tried == "", nc > 1 && ch.Nonce != tried:
			r.stales = 0 // not tried, or a remembered nonce ran out
		case ch.Stale && ch.Nonce != tried && r.stales < maxStale:
			r.stales++
		default:
			c.forget(r)
			return ErrRefused
		}
		r.ch, r.used = ch, 0
	}
	for _, ch := range challenges {
		if err := c.add(req, c.realm(field, ch.Realm), user, password); err != nil {
			return err
		}
	}
	return nil
}

// Preauthorize puts credentials on req for the realms whose challenge is
// remembered, so that the server need not ask again (RFC 3261 section 22.3). It
// reports whether it added any.
func (c *Client) Preauthorize(req *sipmsg.Request, user, password string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	added := false
	for _, r := range c.realms {
		// Without a qop there is no nonce count: a second use looks like a replay.
		if r.ch.Nonce != "" && len(r.ch.QOP) > 0 && c.add(req, r, user, password) == nil {
			added = true
		}
	}
	return added
}

// Forget drops what was learned, for instance when the password changes.
func (c *Client) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.realms = nil
}

func (c *Client) add(req *sipmsg.Request, r *realm, user, password string) error {
	r.used++
	cred, err := Answer(r.ch, user, password, string(req.Method), req.Recipient.String(), c.cnonce(), r.used)
	if err != nil {
		return err
	}
	removeCredentials(req, r.field, r.ch.Realm)
	req.AppendHeader(sipmsg.NewHeader(r.field, cred.String()))
	return nil
}

// realm finds or makes the record; the oldest makes room. The caller holds mu.
func (c *Client) realm(field, name string) *realm {
	for _, r := range c.realms {
		if r.field == field && r.ch.Realm == name {
			return r
		}
	}
	if len(c.realms) == maxRealms {
		c.realms = c.realms[1:]
	}
	r := &realm{field: field, ch: Challenge{Realm: name}}
	c.realms = append(c.realms, r)
	return r
}

func (c *Client) forget(gone *realm) {
	for i, r := range c.realms {
		if r == gone {
			c.realms = append(c.realms[:i:i], c.realms[i+1:]...)
			return
		}
	}
}

func (c *Client) cnonce() string {
	src := c.Rand
	if src == nil {
		src = rand.Reader
	}
	var b [16]byte
	_, _ = io.ReadFull(src, b[:]) // crypto/rand never fails; a test's reader may end
	return hex.EncodeToString(b[:])
}

// challengesOf returns the topmost usable challenge of each realm, at most
// maxRealms, and the field that answers them.
func challengesOf(res *sipmsg.Response) (field string, all []Challenge) {
	var asks string
	switch res.StatusCode {
	case sipmsg.StatusUnauthorized:
		asks, field = "www-authenticate", "Authorization"
	case sipmsg.StatusProxyAuthRequired:
		asks, field = "proxy-authenticate", "Proxy-Authorization"
	default:
		return "", nil
	}
	for _, h := range res.GetHeaders(asks) {
		ch, err := ParseChallenge(h.Value())
		if err != nil || !ch.Usable() || len(all) == maxRealms {
			continue
		}
		known := false
		for _, o := range all {
			known = known || o.Realm == ch.Realm
		}
		if !known {
			all = append(all, ch)
		}
	}
	return field, all
}

// credentialsFor returns the nonce and count that req already carries.
func credentialsFor(req *sipmsg.Request, field, realm string) (nonce string, nc uint32) {
	for _, h := range req.GetHeaders(field) {
		if c, err := ParseCredentials(h.Value()); err == nil && c.Realm == realm {
			return c.Nonce, c.NC
		}
	}
	return "", 0
}

func removeCredentials(req *sipmsg.Request, field, realm string) {
	var keep []sipmsg.Header
	found := false
	for _, h := range req.GetHeaders(field) {
		if c, err := ParseCredentials(h.Value()); err == nil && c.Realm == realm {
			found = true
		} else {
			keep = append(keep, h)
		}
	}
	if !found {
		return
	}
	for _, h := range req.GetHeaders(field) {
		req.RemoveHeader(h.Name())
	}
	for _, h := range keep {
		req.AppendHeader(sipmsg.NewHeader(field, strings.TrimSpace(h.Value())))
	}
}
