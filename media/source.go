package media

import (
	"net/netip"
	"time"
)

const (
	plainStreak  = 5               // packets in a row of one SSRC that make a strange host the peer
	plainSilence = 2 * time.Second // of the peer, before another port of its host may take over
)

// sources decides which sources of plain RTP are the peer, for which nothing
// vouches: a pure machine. The rule (symmetric RTP, locked as soon as it can be):
// the address of SDP; its host or the signalling host on any port; another host
// only when SDP named a private address, and only with the agreed payload types
// and one SSRC over several packets. Then nobody else, until the peer's host
// changes its port after a silence. The zero value with a zero sdp accepts all.
type sources struct {
	sdp        netip.AddrPort
	signalling netip.Addr

	peer  netip.AddrPort // locked to it when valid
	heard time.Time

	strange netip.AddrPort // a host that may become the peer
	ssrc    uint32
	streak  int
}

// rtp decides about an RTP packet; agreed says that its payload type was
// negotiated. moved asks for the path to be pointed at from.
func (s *sources) rtp(now time.Time, from netip.AddrPort, ssrc uint32, agreed bool) (ok, moved bool) {
	if !s.sdp.IsValid() || from == s.peer {
		s.heard = now
		return true, false
	}
	host := from.Addr().Unmap()
	switch {
	case s.peer.IsValid():
		if host != s.peer.Addr().Unmap() || now.Sub(s.heard) < plainSilence || !agreed {
			return false, false
		}
	case from == s.sdp:
		if !agreed {
			return true, false // counted as such by the stream
		}
	case host == s.sdp.Addr().Unmap() || host == s.signalling.Unmap():
		if !agreed {
			return false, false
		}
	case s.sdp.Addr().IsPrivate() || s.sdp.Addr().IsUnspecified() || s.sdp.Addr().IsLinkLocalUnicast():
		if from != s.strange || ssrc != s.ssrc || !agreed {
			s.strange, s.ssrc, s.streak = from, ssrc, 0
		}
		if agreed {
			s.streak++
		}
		if s.streak < plainStreak {
			return false, false
		}
	default:
		return false, false
	}
	moved = from != s.sdp
	if s.peer.IsValid() {
		moved = true
	}
	s.peer, s.heard = from, now
	return true, moved
}

// rtcp decides about an RTCP packet: it must come from the peer's host.
func (s *sources) rtcp(from netip.AddrPort) bool {
	if !s.sdp.IsValid() || from == s.peer {
		return true
	}
	host := from.Addr().Unmap()
	if s.peer.IsValid() {
		return host == s.peer.Addr().Unmap()
	}
	return host == s.sdp.Addr().Unmap() || host == s.signalling.Unmap()
}
