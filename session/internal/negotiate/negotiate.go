package negotiate

import (
	"log/slog"
	"net/netip"
	"strconv"
	"time"
)

// Codec is one RTP payload format. Names compare without regard to case.
type Codec struct {
	Name        string // as in a=rtpmap: "PCMU", "G722", "telephone-event"
	PayloadType uint8
	ClockRate   int // of the RTP timestamps; 8000 for G722
	Channels    int // 0 counts as 1
	FMTP        string
}

// Profile says how media is protected; a greater one is stronger. The zero
// Profile means that none was named.
type Profile uint8

// The profiles.
const (
	Plain Profile = iota + 1 // RTP/AVP
	SDES                     // RTP/SAVP with keys in a=crypto (RFC 4568)
	DTLS                     // DTLS-SRTP (RFC 5763)
)

// String names the profile as people know it.
func (p Profile) String() string {
	switch p {
	case Plain:
		return "RTP"
	case SDES:
		return "SDES-SRTP"
	case DTLS:
		return "DTLS-SRTP"
	}
	return "Profile(" + strconv.Itoa(int(p)) + ")"
}

// Direction is a media direction as its own side sees it. The zero Direction is SendRecv.
type Direction uint8

// The directions of RFC 8866 section 6.7.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// String is the direction's attribute name.
func (d Direction) String() string {
	switch d {
	case SendRecv:
		return "sendrecv"
	case SendOnly:
		return "sendonly"
	case RecvOnly:
		return "recvonly"
	case Inactive:
		return "inactive"
	}
	return "Direction(" + strconv.Itoa(int(d)) + ")"
}

func (d Direction) sends() bool    { return d == SendRecv || d == SendOnly }
func (d Direction) receives() bool { return d == SendRecv || d == RecvOnly }

// reversed is d as the other side sees it.
func (d Direction) reversed() Direction { return direction(d.receives(), d.sends()) }

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Config is what a Machine may agree to. It is copied.
type Config struct {
	Codecs      []Codec       // ours in order of preference; a payload type that is taken is replaced
	DTMF        bool          // offer and accept telephone-event
	Weakest     Profile       // the weakest profile to agree to; zero: DTLS
	SDESSuites  []string      // crypto suites of RFC 4568 that we can do, in order; nil: no SDES
	PTime       time.Duration // what we would like to receive; zero: not said
	SessionName string        // s=; default "-"
	Username    string        // o=; default "-"
}

// ICE is one side's ICE description as text (RFC 8839).
type ICE struct {
	Ufrag, Pwd string
	Lite       bool
	Options    string   // value of a=ice-options
	Candidates []string // values of a=candidate, without "candidate:"
	End        bool     // a=end-of-candidates was there (RFC 8840)
}

// LogValue hides the password and leaves the rest.
func (i *ICE) LogValue() slog.Value {
	if i == nil {
		return slog.StringValue("none")
	}
	return slog.GroupValue(slog.String("ufrag", i.Ufrag), slog.String("pwd", redacted),
		slog.Bool("lite", i.Lite), slog.Int("candidates", len(i.Candidates)))
}

// String says nothing secret.
func (i *ICE) String() string {
	if i == nil {
		return "no ICE"
	}
	return "ICE " + i.Ufrag + " with " + strconv.Itoa(len(i.Candidates)) + " candidates"
}

// GoString is String: "%#v" shows no password either.
func (i *ICE) GoString() string { return i.String() }

func (i *ICE) clone() *ICE {
	if i == nil {
		return nil
	}
	c := *i
	c.Candidates = append([]string(nil), i.Candidates...)
	return &c
}

// Local describes our side of the transport for one offer or answer.
type Local struct {
	Address      netip.AddrPort // the default destination: c= and the port of m=
	RTCP         netip.AddrPort // where RTCP goes without multiplexing; zero: port+1
	ICE          *ICE           // nil: no ICE
	Fingerprints []string       // values of a=fingerprint; needed for DTLS
	Crypto       []Crypto       // ours, in order; needed for SDES: one per suite, an answer uses the chosen suite's
	Mux          bool           // RTP and RTCP on one port (RFC 5761): offer and accept it
	RTCPMuxOnly  bool           // nothing else (RFC 8858); implies Mux
	Direction    Direction      // what we want: SendOnly or Inactive holds the call
}

// Offered is what a received offer asks for, known before it is answered.
type Offered struct {
	Profile      Profile // what Accept would agree to
	ICE          *ICE    // the peer's; nil: the answer needs no ICE
	Mismatch     bool    // ICE was offered but something rewrote the addresses: the answer will say ice-mismatch
	Mux, MuxOnly bool
	Fingerprints []string
	Suites       []string // crypto suites in common, in the offerer's order, when Profile is SDES
	Crypto       []Crypto // the peer's
	Remote       netip.AddrPort
	Direction    Direction // as the peer sees it
	Held         bool      // the peer does not want to hear us
	Repeat       bool      // word for word the offer agreed on last
	ICERestart   bool      // other credentials than those agreed
	Removed      bool      // the audio line is gone (port 0, re-offers only)
}

// Plan is what was agreed: every m-line in order.
type Plan struct {
	Lines []Line
}

// Audio is the accepted audio line. There is none when ok is false.
func (p *Plan) Audio() (line *Line, ok bool) {
	for i := range p.Lines {
		if !p.Lines[i].Rejected && p.Lines[i].Kind == "audio" {
			return &p.Lines[i], true
		}
	}
	return nil, false
}

// Line is one m-line of a Plan. A rejected one has Index, Mid, Kind and Rejected only.
type Line struct {
	Index    int
	Mid      string
	Kind     string // "audio", "video", "image", ...
	Rejected bool

	Send        Codec   // what we send, with the peer's payload type and fmtp
	Receive     []Codec // what may come, with our payload types
	SendDTMF    uint8   // telephone-event; 0: none
	ReceiveDTMF uint8

	Sending, Receiving bool
	PTime, MaxPTime    time.Duration // the peer's wishes for what we send; zero: not said

	Remote     netip.AddrPort // the peer's default destination; invalid, but for its port, when Host is set; zero when it is 0.0.0.0
	RemoteRTCP netip.AddrPort // equals Remote when Mux
	Host       string         // a host name in c=, to be resolved by the caller
	Mux        bool

	ICE        *ICE // the peer's; nil: no ICE
	Mismatch   bool // a=ice-mismatch was sent or received
	ICERestart bool // the peer's credentials differ from those agreed before

	Proto        string // of the m-line, e.g. "UDP/TLS/RTP/SAVPF"
	Profile      Profile
	Fingerprints []string // the peer's, "sha-256 AB:CD..."; any of them may match
	DTLSClient   bool     // we send the ClientHello
	DTLSChanged  bool     // the role or a side's fingerprints differ from those agreed before: a new association (RFC 8842 section 4)

	LocalCrypto, RemoteCrypto Crypto // SDES: we protect with LocalCrypto, unprotect with RemoteCrypto
}
