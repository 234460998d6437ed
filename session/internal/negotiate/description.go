package negotiate

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pion/sdp/v3"
)

// description is a peer's session description in our terms. It is never changed once made.
type description struct {
	media  []media
	bundle []string // mids of the first BUNDLE group
}

// media is one m-line with what it inherits from the session.
type media struct {
	mediaName
	addr         netip.Addr // c=; invalid: none, or host
	host         string
	mid          string
	dir          Direction
	mux, muxOnly bool
	rtcp         netip.AddrPort // a=rtcp; only the port when it named no address
	ptime        time.Duration
	maxptime     time.Duration
	ice          *ICE // nil without both credentials
	iceMismatch  bool // a=ice-mismatch
	fingerprints []string
	setup        string
	crypto       []Crypto
	hasCrypto    bool // also when no line of it could be read
	codecs       []Codec
}

func describe(d *sdp.SessionDescription, names []mediaName) *description {
	out := &description{media: make([]media, 0, len(names))}
	head := readAttributes(d.Attributes)
	out.bundle = head.bundle
	for i, md := range d.MediaDescriptions {
		a := readAttributes(md.Attributes)
		m := media{
			mediaName: names[i],
			mid:       a.mid,
			mux:       a.mux || a.muxOnly, muxOnly: a.muxOnly,
			ptime: a.ptime, maxptime: a.maxptime,
			iceMismatch: a.iceMismatch,
			crypto:      a.crypto, hasCrypto: a.hasCrypto,
			setup: a.setup, fingerprints: a.fingerprints,
			dir: a.dir,
		}
		if !a.hasDir {
			m.dir = head.dir
		}
		if m.setup == "" {
			m.setup = head.setup
		}
		if !a.hasFingerprint {
			m.fingerprints = head.fingerprints
		}
		m.ice = a.iceText(&head)
		m.codecs = a.codecs(m.formats)
		c := md.ConnectionInformation
		if c == nil {
			c = d.ConnectionInformation
		}
		if c != nil && c.Address != nil {
			m.addr, m.host = destination(c.Address.Address)
		}
		m.rtcp = parseRTCP(a.rtcp)
		out.media = append(out.media, m)
	}
	return out
}

// destination splits c='s address into an IP address or a host name; a
// multicast address may have a TTL and a count behind it.
func destination(s string) (netip.Addr, string) {
	s, _, _ = strings.Cut(s, "/")
	if a, err := netip.ParseAddr(s); err == nil {
		return a.WithZone("").Unmap(), ""
	}
	if len(s) > 253 || strings.Trim(s, "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") != "" {
		return netip.Addr{}, ""
	}
	return netip.Addr{}, s
}

// parseRTCP reads a=rtcp (RFC 3605): "port [IN IP4 address]".
func parseRTCP(s string) netip.AddrPort {
	f := strings.Fields(s)
	if len(f) == 0 {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	var addr netip.Addr
	if len(f) >= 4 && strings.EqualFold(f[1], "IN") {
		addr, _ = destination(f[3])
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// remote is the m-line's default destination, invalid without a usable address.
// "0.0.0.0" is nobody's: an old way to hold, or a trickling ICE peer.
func (m *media) remote() netip.AddrPort {
	if m.host != "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(m.port)) // not valid, but the port counts
	}
	if !m.addr.IsValid() || m.addr.IsUnspecified() || m.port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(m.addr, uint16(m.port))
}

// remoteRTCP is where RTCP goes when it is not multiplexed: a=rtcp, else the
// next port.
func (m *media) remoteRTCP() netip.AddrPort {
	r := m.remote()
	if !r.IsValid() {
		return r
	}
	if m.rtcp.Port() == 0 {
		if r.Port() == 65535 {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(r.Addr(), r.Port()+1)
	}
	if a := m.rtcp.Addr(); a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() {
		return m.rtcp
	}
	return netip.AddrPortFrom(r.Addr(), m.rtcp.Port())
}

// wants is the m-line's direction. RFC 3264 section 8.4: a connection address
// of 0.0.0.0 "means that neither RTP nor RTCP should be sent to the peer"; a
// trickling ICE peer says 0.0.0.0 too and means nothing by it.
func (m *media) wants() Direction {
	if m.ice == nil && m.addr.IsValid() && m.addr.IsUnspecified() {
		return direction(m.dir.sends(), false)
	}
	return m.dir
}

// mismatch is RFC 8839 section 4.2.5's: candidates came, and the default
// destination is none of them. Candidates with host names and a
// default of 0.0.0.0 (trickle) leave it open, which counts as no.
func (m *media) mismatch() bool {
	if m.ice == nil || len(m.ice.Candidates) == 0 || m.host != "" || m.addr.IsUnspecified() || !m.addr.IsValid() {
		return false
	}
	for _, c := range m.ice.Candidates {
		// foundation component transport priority address port "typ" type
		f := strings.Fields(c)
		if len(f) < 6 {
			continue
		}
		addr, err := netip.ParseAddr(f[4])
		if err != nil {
			return false
		}
		if f[1] == "1" && addr.Unmap() == m.addr && f[5] == strconv.Itoa(m.port) {
			return false
		}
	}
	return true
}
