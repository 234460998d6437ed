package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Verdict is what Server.Check says of credentials.
type Verdict uint8

// The verdicts.
const (
	Refused Verdict = iota // wrong, malformed, or for another realm: challenge again
	Stale                  // right password, but the nonce ran out, is another address's, or was replayed
	Granted
)

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Granted:
		return "granted"
	case Stale:
		return "stale"
	default:
		return "refused"
	}
}

// Defaults and limits of a Server, our choice.
const (
	DefaultLifetime = 5 * time.Minute
	maxNonces       = 16384 // nonces whose counts are kept
)

// Server challenges and judges for one realm. A challenge leaves no state
// behind: its nonce is the time and a MAC over time and source address. State
// is kept only for nonces that were used with a right password, so that a
// recorded request cannot be sent again.
type Server struct {
	realm      string
	lifetime   time.Duration
	algorithms []Algorithm
	key        [32]byte
	issued     atomic.Uint32 // challenges

	mu     sync.Mutex // guards what follows
	counts map[string]*count
	floor  int64 // nonces made before it (Unix ms) are stale: their counts were dropped
}

// count remembers which of the last 64 nonce counts were seen, so that requests
// that overtake each other are not taken for replays.
type count struct {
	made int64 // Unix ms
	top  uint32
	seen uint64 // bit i: top-i was seen
}

// NewServer makes the server of a realm. A zero lifetime is DefaultLifetime; no
// algorithms means SHA-256, then MD5.
func NewServer(realm string, lifetime time.Duration, algorithms ...Algorithm) *Server {
	s := &Server{realm: realm, lifetime: lifetime, algorithms: algorithms, counts: make(map[string]*count)}
	if lifetime <= 0 {
		s.lifetime = DefaultLifetime
	}
	if len(algorithms) == 0 {
		s.algorithms = []Algorithm{SHA256, MD5}
	}
	_, _ = rand.Read(s.key[:]) // never fails (crypto/rand)
	return s
}

// Challenges returns the challenges for a request from source, in the order of
// preference: one header field each.
func (s *Server) Challenges(now time.Time, source netip.Addr, stale bool) []Challenge {
	nonce := s.nonce(now, source)
	all := make([]Challenge, len(s.algorithms))
	for i, a := range s.algorithms {
		all[i] = Challenge{Realm: s.realm, Nonce: nonce, Algorithm: a.String(), QOP: []string{"auth"}, Stale: stale}
	}
	return all
}

// Check judges the value of an Authorization or Proxy-Authorization field that
// came from source with a request for uri. password returns a user's password.
// user is set when the verdict is Granted.
func (s *Server) Check(now time.Time, source netip.Addr, value, method, uri string, password func(user string) (string, bool)) (user string, v Verdict) {
	c, err := ParseCredentials(value)
	if err != nil || c.UserHash || c.Realm != s.realm || !s.offers(c.Algorithm) || !sameURI(c.URI, uri) {
		return "", Refused
	}
	secret, known := password(c.Username)
	if !c.Matches(c.Username, secret, method) || !known { // in this order: an unknown user costs the same time
		return "", Refused
	}
	made, ok := s.opened(c.Nonce, source)
	if !ok || now.UnixMilli()-made >= s.lifetime.Milliseconds() || made > now.UnixMilli() {
		return "", Stale
	}
	if !s.first(now, c, made) {
		return "", Stale
	}
	return c.Username, Granted
}

// Names reports whether value holds Digest credentials for the server's realm:
// a proxy leaves the credentials of other realms alone (RFC 3261 section 22.3).
func (s *Server) Names(value string) bool {
	c, err := ParseCredentials(value)
	return err == nil && c.Realm == s.realm
}

func (s *Server) offers(algorithm string) bool {
	a, ok := ParseAlgorithm(algorithm)
	for _, o := range s.algorithms {
		if ok && o == a {
			return true
		}
	}
	return false
}

// The nonce: eight bytes of time, four of a counter, so that no two challenges
// share one, sixteen of a MAC, in URL-safe base64.
const (
	nonceHead = 8 + 4
	nonceLen  = nonceHead + 16
)

func (s *Server) nonce(now time.Time, source netip.Addr) string {
	var b [nonceLen]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint32(b[8:], s.issued.Add(1))
	copy(b[nonceHead:], s.mac(b[:nonceHead], source))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *Server) opened(nonce string, source netip.Addr) (made int64, ok bool) {
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceLen) {
		return 0, false
	}
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || !hmac.Equal(b[nonceHead:], s.mac(b[:nonceHead], source)) {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[:8])), true
}

func (s *Server) mac(head []byte, source netip.Addr) []byte {
	h := hmac.New(sha256.New, s.key[:])
	_, _ = h.Write(head)
	a := source.Unmap().As16()
	_, _ = h.Write(a[:])
	return h.Sum(nil)[:16]
}

// first reports whether this nonce count is used for the first time, and
// remembers it. Credentials without a qop have no count: one use per nonce.
func (s *Server) first(now time.Time, c Credentials, made int64) bool {
	nc := c.NC
	if c.QOP == "" {
		nc = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if made < s.floor {
		return false
	}
	key := c.Nonce
	n := s.counts[key]
	if n == nil {
		s.makeRoom(now)
		if made < s.floor {
			return false
		}
		n = &count{made: made}
		s.counts[key] = n
	}
	return n.use(nc)
}

// makeRoom drops the counts of nonces that ran out. If there are still too many
// all go, and their nonces with them.
func (s *Server) makeRoom(now time.Time) {
	if len(s.counts) < maxNonces {
		return
	}
	for k, n := range s.counts {
		if now.UnixMilli()-n.made >= s.lifetime.Milliseconds() {
			delete(s.counts, k)
		}
	}
	if len(s.counts) >= maxNonces {
		clear(s.counts)
		s.floor = now.UnixMilli() + 1
	}
}

func (n *count) use(nc uint32) bool {
	switch {
	case nc == 0:
		return false
	case nc > n.top:
		if d := nc - n.top; d < 64 {
			n.seen = n.seen<<d | 1
		} else {
			n.seen = 1
		}
		n.top = nc
		return true
	case n.top-nc >= 64:
		return false
	}
	bit := uint64(1) << (n.top - nc)
	fresh := n.seen&bit == 0
	n.seen |= bit
	return fresh
}

// sameURI compares the digest-uri with the Request-URI without parameters and
// headers, which some clients leave out of one of the two.
//
// "The server SHOULD assure that the resource designated by the "uri" parameter
// is the same as the resource specified in the Request-Line" (RFC 7616 3.4.6).
func sameURI(a, b string) bool {
	return strings.EqualFold(bareURI(a), bareURI(b))
}

func bareURI(s string) string {
	from := strings.IndexByte(s, '@') + 1 // a user part may hold ';' and '?'
	if i := strings.IndexAny(s[from:], ";?"); i >= 0 {
		s = s[:from+i]
	}
	return s
}
