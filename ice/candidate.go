package ice

import (
	"errors"
	"net/netip"
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

// ParseCandidate reads the value of an a=candidate attribute, with or without
// "a=" and "candidate:" before it.
func ParseCandidate(s string) (Candidate, error) { return Candidate{}, errors.New("ice: TODO") }

// Append appends the candidate as the value of an a=candidate attribute,
// without the "candidate:" prefix.
func (c Candidate) Append(b []byte) []byte { return b }

// String is the text that Append writes.
func (c Candidate) String() string { return string(c.Append(nil)) }
