package registrar

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip"
)

// Limits of one REGISTER; ours.
const (
	maxContactValues = 16
	maxContactURI    = 512
	maxCallID        = 256
)

var (
	errContact  = errors.New("registrar: malformed Contact or Expires")
	errTooBrief = errors.New("registrar: interval too brief")
)

// register is RFC 3261 section 10.3. The Request-URI is ours already (step 1)
// and what is required is known (step 2).
func (s *Server) register(in *inbound) {
	to := in.req.To().Address
	if !in.own(s)(&to) {
		s.respond(in, 404) // step 5: not an address-of-record of this domain
		return
	}
	user := userPart(&to)
	if s.digest != nil {
		who, ok := s.authenticate(in, "authorization") // step 3
		if !ok {
			return
		}
		if who != user { // step 4: nobody registers another's address
			s.log.Info("REGISTER of another user", "user", who, "source", in.Source)
			s.respond(in, 403)
			return
		}
	}
	if user == "" {
		s.respond(in, 404)
		return
	}
	r, err := s.cfg.readRegister(in.req)
	if errors.Is(err, errTooBrief) {
		s.respond(in, 423, sipmsg.NewHeader("Min-Expires", seconds(s.cfg.MinExpires)))
		return
	}
	if err != nil {
		s.respond(in, 400)
		return
	}
	r.user, r.flow = user, in.Flow
	now := time.Now()
	all, err := s.table.Update(now, r)
	switch {
	case errors.Is(err, errFull):
		s.respond(in, 503, sipmsg.NewHeader("Retry-After", "60"))
		return
	case err != nil:
		s.respond(in, 500) // step 7: "the request MUST fail" as out of order
		return
	}
	s.log.Debug("registered", "user", user, "bindings", len(all), "source", in.Source)
	s.respond(in, 200, listContacts(now, all)...)
}

// listContacts is step 8: "The response MUST contain Contact header field values
// enumerating all current bindings."
func listContacts(now time.Time, all []binding) []sipmsg.Header {
	var list []sipmsg.Header
	for _, b := range all {
		h := &sipmsg.ContactHeader{Address: *b.target.Clone()}
		h.Params.Add("expires", seconds(b.expires.Sub(now)))
		if b.q != 1000 {
			h.Params.Add("q", strconv.FormatFloat(float64(b.q)/1000, 'f', -1, 64))
		}
		list = append(list, h)
	}
	return list
}

// readRegister reads the Contact and Expires fields (step 6 and 7).
func (c *Config) readRegister(req *sipmsg.Request) (registration, error) {
	r := registration{callID: req.CallID().Value(), cseq: req.CSeq().SeqNo}
	if len(r.callID) > maxCallID {
		return r, errContact
	}
	wanted := c.MaxExpires
	explicit := false
	if h := req.GetHeader("expires"); h != nil {
		var err error
		if wanted, err = parseExpires(h.Value()); err != nil {
			return r, err
		}
		explicit = true
	}
	contacts := req.GetHeaders("contact")
	if len(contacts) > maxContactValues {
		return r, errContact
	}
	for _, h := range contacts {
		contact, ok := h.(*sipmsg.ContactHeader)
		if !ok {
			return r, errContact
		}
		if contact.Address.Wildcard {
			// "checks if the request contains ... an expiration time other than
			// zero or additional Contacts. If so, the request is invalid" (step 6)
			if len(contacts) != 1 || !explicit || wanted != 0 {
				return r, errContact
			}
			r.all = true
			return r, nil
		}
		ch, err := c.readContact(contact, wanted)
		if err != nil {
			return r, err
		}
		r.changes = append(r.changes, ch)
	}
	return r, nil
}

func (c *Config) readContact(h *sipmsg.ContactHeader, wanted time.Duration) (change, error) {
	ch := change{target: *h.Address.Clone(), q: 1000, expires: wanted}
	ch.target.Headers = nil
	text := ch.target.String()
	uri, err := sip.ParseURI(text)
	if err != nil || len(text) > maxContactURI || uri.Scheme != "sip" || uri.Host == "" {
		return ch, errContact
	}
	ch.contact = uri
	for _, p := range h.Params {
		switch strings.ToLower(p.K) {
		case "expires":
			if ch.expires, err = parseExpires(p.V); err != nil {
				// "malformed ... SHOULD be treated as equivalent to 3600" (20.10)
				ch.expires = time.Hour
			}
		case "q":
			q, qerr := strconv.ParseFloat(strings.TrimSpace(p.V), 64)
			if qerr != nil || math.IsNaN(q) || q < 0 || q > 1 {
				return ch, errContact
			}
			ch.q = int(q * 1000)
		}
	}
	// "If and only if the requested expiration interval is greater than zero AND
	// smaller than one hour AND less than a registrar-configured minimum, the
	// registrar MAY reject the registration with a response of 423" (step 7)
	if ch.expires > 0 && ch.expires < min(c.MinExpires, time.Hour) {
		return ch, errTooBrief
	}
	ch.expires = min(ch.expires, c.MaxExpires)
	return ch, nil
}

// parseExpires reads delta-seconds; a number too large is the largest.
func parseExpires(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		n, err = math.MaxUint32, nil
	}
	if err != nil {
		return 0, errContact
	}
	return time.Duration(n) * time.Second, nil
}

// seconds rounds up, so that a binding is never said to be shorter than asked.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
