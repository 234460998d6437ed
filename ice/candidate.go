package ice

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// CandidateType is the typ of a candidate (RFC 8839 section 5.1).
type CandidateType uint8

// The candidate types. Other is any extension type; such candidates are not
// used.
const (
	Other CandidateType = iota
	Host
	ServerReflexive
	PeerReflexive
	Relayed
)

func (t CandidateType) String() string {
	switch t {
	case Host:
		return "host"
	case ServerReflexive:
		return "srflx"
	case PeerReflexive:
		return "prflx"
	case Relayed:
		return "relay"
	}
	return "other"
}

func parseType(s string) CandidateType {
	for t := Host; t <= Relayed; t++ {
		if strings.EqualFold(s, t.String()) {
			return t
		}
	}
	return Other
}

// Candidate is one transport address that a peer can be tried at. It is a small
// comparable value.
type Candidate struct {
	Foundation string
	Component  uint16
	Transport  string // "UDP"; others are kept and not used
	Priority   uint32
	Addr       netip.AddrPort // with Host set: only the port counts
	Host       string         // set when the address is a name (mDNS or FQDN)
	Type       CandidateType
	Related    netip.AddrPort // raddr and rport; zero if absent
}

const (
	maxCandidateText = 1024 // a line longer than this is refused
	maxFoundation    = 32   // RFC 8839 section 5.1
	maxHost          = 255
	maxComponent     = 256       // RFC 8839 section 5.1: 1..256
	maxPriority      = 1<<31 - 1 // RFC 8839 section 5.1
)

var errCandidate = errors.New("ice: bad candidate")

// ParseCandidate reads the value of an a=candidate attribute, with or without
// "a=" and "candidate:" before it. Extensions are skipped.
func ParseCandidate(s string) (Candidate, error) {
	if len(s) > maxCandidateText {
		return Candidate{}, fmt.Errorf("%w: %d bytes", errCandidate, len(s))
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "a="), "candidate:")
	f := strings.Fields(s)
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") {
		return Candidate{}, fmt.Errorf("%w: %q", errCandidate, s)
	}
	bad := func(what string) (Candidate, error) {
		return Candidate{}, fmt.Errorf("%w: %s in %q", errCandidate, what, s)
	}
	c := Candidate{Foundation: f[0], Transport: strings.ToUpper(f[2]), Type: parseType(f[7])}
	if len(f[0]) > maxFoundation || !all(f[0], foundationChar) {
		return bad("foundation")
	}
	component, err := strconv.ParseUint(f[1], 10, 16)
	if err != nil || component == 0 || component > maxComponent {
		return bad("component")
	}
	if !all(f[2], tokenChar) {
		return bad("transport")
	}
	priority, err := strconv.ParseUint(f[3], 10, 32)
	if err != nil || priority == 0 || priority > maxPriority {
		return bad("priority")
	}
	port, err := strconv.ParseUint(f[5], 10, 16)
	if err != nil {
		return bad("port")
	}
	c.Component, c.Priority = uint16(component), uint32(priority)
	if a, err := netip.ParseAddr(f[4]); err == nil && a.Zone() == "" {
		c.Addr = netip.AddrPortFrom(a.Unmap(), uint16(port))
	} else if len(f[4]) <= maxHost && all(f[4], hostChar) {
		c.Host, c.Addr = f[4], netip.AddrPortFrom(netip.Addr{}, uint16(port))
	} else {
		return bad("address")
	}
	c.Related = related(f[8:])
	return c, nil
}

// related finds raddr and rport among what follows the type. One that is a name
// or is out of range is as good as absent: nothing depends on it.
func related(f []string) netip.AddrPort {
	var a netip.Addr
	var port uint64
	for ; len(f) >= 2; f = f[2:] {
		switch f[0] {
		case "raddr":
			if x, err := netip.ParseAddr(f[1]); err == nil && x.Zone() == "" {
				a = x.Unmap()
			}
		case "rport":
			port, _ = strconv.ParseUint(f[1], 10, 16)
		}
	}
	if !a.IsValid() || port > 0xffff {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, uint16(port))
}

// Append appends the candidate as the value of an a=candidate attribute,
// without the "candidate:" prefix.
func (c Candidate) Append(b []byte) []byte {
	b = append(append(b, c.Foundation...), ' ')
	b = append(strconv.AppendUint(b, uint64(c.Component), 10), ' ')
	b = append(append(b, c.Transport...), ' ')
	b = append(strconv.AppendUint(b, uint64(c.Priority), 10), ' ')
	if c.Host != "" {
		b = append(b, c.Host...)
	} else {
		b = c.Addr.Addr().AppendTo(b)
	}
	b = strconv.AppendUint(append(b, ' '), uint64(c.Addr.Port()), 10)
	b = append(append(b, " typ "...), c.Type.String()...)
	r := c.Related
	if !r.IsValid() {
		switch c.Type {
		case ServerReflexive, PeerReflexive, Relayed:
			// These types must have one; what is not told is the unspecified
			// address (RFC 8839 section 5.1).
			a := netip.IPv4Unspecified()
			if c.Addr.Addr().Is6() {
				a = netip.IPv6Unspecified()
			}
			r = netip.AddrPortFrom(a, 0)
		default:
			return b
		}
	}
	b = r.Addr().AppendTo(append(b, " raddr "...))
	return strconv.AppendUint(append(b, " rport "...), uint64(r.Port()), 10)
}

// String is the text that Append writes.
func (c Candidate) String() string { return string(c.Append(nil)) }

// typePreference is RFC 8445 section 5.1.2.2's recommendation.
func (t CandidateType) typePreference() uint32 {
	switch t {
	case Host:
		return 126
	case PeerReflexive:
		return 110
	case ServerReflexive:
		return 100
	}
	return 0
}

// priority is the formula of RFC 8445 section 5.1.2.1.
func priority(t CandidateType, localPreference, component uint16) uint32 {
	return t.typePreference()<<24 | uint32(localPreference)<<8 | uint32(256-component)
}

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// foundationChar takes ice-char and the few others that peers were seen to use.
func foundationChar(c byte) bool {
	return alphanumeric(c) || strings.IndexByte("+/-_.:", c) >= 0
}
func tokenChar(c byte) bool { return alphanumeric(c) || c == '-' || c == '_' }
func hostChar(c byte) bool  { return alphanumeric(c) || c == '-' || c == '_' || c == '.' }
