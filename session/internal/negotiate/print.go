package negotiate

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/pion/sdp/v3"
)

// outLine is one m-line of a description of ours.
type outLine struct {
	slot
	rejected bool
	bundled  bool
	port     uint16
	codecs   []Codec
	events   []Codec
	dir      Direction
	mux      bool
	muxOnly  bool
	rtcp     netip.AddrPort
	ice      *ICE
	mismatch bool // a=ice-mismatch
	setup    string
	prints   []string
	crypto   []Crypto
}

// print makes our next description: "the "o=" line of the new SDP MUST be
// identical to that in the previous SDP, except that the version in the origin
// field MUST increment by one from the previous SDP. If the version in the
// origin line does not increment, the SDP MUST be identical to the SDP with that
// version number" (RFC 3264 section 8).
func (m *Machine) print(local *Local, lines []outLine) ([]byte, error) {
	origin := m.origin
	if !origin.IsValid() {
		origin = local.Address.Addr().WithZone("").Unmap()
	}
	text, err := m.marshal(origin, m.version, local, lines)
	if err != nil {
		return nil, err
	}
	if m.sent == "" || string(text) != m.sent {
		if text, err = m.marshal(origin, m.version+1, local, lines); err != nil {
			return nil, err
		}
		m.version++
	}
	m.origin, m.sent = origin, string(text)
	for i := range lines {
		m.bind(lines[i].codecs)
		m.bind(lines[i].events)
	}
	return text, nil
}

// bind remembers what our payload types mean: "the mapping from a particular
// dynamic payload type number to a particular codec within that media stream
// MUST NOT change for the duration of a session" (RFC 3264 section 8.3.2).
func (m *Machine) bind(codecs []Codec) {
	for i := range codecs {
		m.bound[codecs[i].PayloadType&127] = codecs[i].key()
	}
}

func (m *Machine) marshal(origin netip.Addr, version uint64, local *Local, lines []outLine) ([]byte, error) {
	addr := local.Address.Addr().WithZone("").Unmap()
	d := sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: m.cfg.Username, SessionID: m.id, SessionVersion: version,
			NetworkType: "IN", AddressType: family(origin), UnicastAddress: origin.String(),
		},
		SessionName: sdp.SessionName(m.cfg.SessionName),
		ConnectionInformation: &sdp.ConnectionInformation{
			NetworkType: "IN", AddressType: family(addr), Address: &sdp.Address{Address: addr.String()},
		},
		TimeDescriptions: []sdp.TimeDescription{{}},
	}
	for i := range lines {
		l := &lines[i]
		if l.bundled && !l.rejected {
			d.Attributes = append(d.Attributes, sdp.NewAttribute("group", "BUNDLE "+l.mid))
		}
		if l.ice != nil && l.ice.Lite {
			d.Attributes = append(d.Attributes, sdp.NewPropertyAttribute("ice-lite"))
		}
		d.MediaDescriptions = append(d.MediaDescriptions, l.media(addr, m.cfg.PTime))
	}
	return d.Marshal()
}

// media builds the m-line and its attributes.
func (l *outLine) media(addr netip.Addr, ptime time.Duration) *sdp.MediaDescription {
	md := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: l.kind, Protos: []string{l.proto}}}
	say := func(key, value string) { md.Attributes = append(md.Attributes, sdp.NewAttribute(key, value)) }
	if l.rejected {
		// "the port number in the corresponding stream in the answer MUST be set
		// to zero. Any media formats listed are ignored. At least one MUST be
		// present, as specified by SDP." (RFC 3264 section 6)
		md.MediaName.Formats = []string{l.format}
		if l.mid != "" {
			say("mid", l.mid)
		}
		return md
	}
	md.MediaName.Port.Value = int(l.port)
	for _, c := range slices.Concat(l.codecs, l.events) {
		pt := strconv.Itoa(int(c.PayloadType))
		md.MediaName.Formats = append(md.MediaName.Formats, pt)
		value := pt + " " + c.Name + "/" + strconv.Itoa(c.ClockRate)
		if c.Channels > 1 {
			value += "/" + strconv.Itoa(c.Channels)
		}
		say("rtpmap", value)
		if c.FMTP != "" {
			say("fmtp", pt+" "+c.FMTP)
		}
	}
	if ptime > 0 {
		say("ptime", strconv.FormatInt(ptime.Milliseconds(), 10))
	}
	if l.dir != SendRecv {
		say(l.dir.String(), "")
	}
	if l.mid != "" {
		say("mid", l.mid)
	}
	if l.mux {
		say("rtcp-mux", "")
	}
	if l.muxOnly {
		say("rtcp-mux-only", "")
	}
	l.sayRTCP(addr, say)
	l.sayKeys(say)
	l.sayICE(say)
	return md
}

// sayRTCP writes a=rtcp (RFC 3605) when RTCP is not where it would be looked for.
func (l *outLine) sayRTCP(addr netip.Addr, say func(key, value string)) {
	if !l.rtcp.IsValid() || l.muxOnly {
		return
	}
	value := strconv.Itoa(int(l.rtcp.Port()))
	if other := l.rtcp.Addr().WithZone("").Unmap(); other != addr {
		value += " IN " + family(other) + " " + other.String()
	} else if int(l.rtcp.Port()) == int(l.port)+1 {
		return
	}
	say("rtcp", value)
}

func (l *outLine) sayKeys(say func(key, value string)) {
	if l.setup != "" {
		say("setup", l.setup)
		for _, f := range l.prints {
			say("fingerprint", f)
		}
	}
	for _, c := range l.crypto {
		say("crypto", string(c.Append(nil)))
	}
}

func (l *outLine) sayICE(say func(key, value string)) {
	if l.mismatch {
		say("ice-mismatch", "")
	}
	if l.ice == nil {
		return
	}
	say("ice-ufrag", l.ice.Ufrag)
	say("ice-pwd", l.ice.Pwd)
	if l.ice.Options != "" {
		say("ice-options", l.ice.Options)
	}
	for _, c := range l.ice.Candidates {
		say("candidate", c)
	}
	if l.ice.End {
		say("end-of-candidates", "")
	}
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IP4"
	}
	return "IP6"
}
