package session

import (
	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
)

// CallStats are the figures of a call's media. They are zero before media flows
// and keep their last values after the end.
type CallStats struct {
	Stream    media.StreamStats
	Transport media.TransportStats
	Path      ice.PathStats
}

// Stats are the figures of the call's media so far.
func (c *Call) Stats() CallStats {
	l := c.current.Load()
	if l == nil {
		return CallStats{}
	}
	return l.stats()
}

func (l *leg) stats() CallStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.link; k != nil {
		l.last = k.stats()
	}
	return l.last
}

func (k *link) stats() CallStats {
	return CallStats{Stream: k.stream.Stats(), Transport: k.transport.Stats(), Path: k.path.Stats()}
}

// Security is how the call is protected; zero before media flows.
func (c *Call) Security() Security {
	l := c.current.Load()
	if l == nil {
		return Security{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.security
}

func (c *Call) securityOf(l *leg, k *link) Security {
	s := Security{Profile: k.transport.Profile(), Suite: k.transport.Suite()}
	if l.dialog != nil {
		s.Hop, s.HopVerified = l.dialog.Transport(), l.dialog.Secure()
	}
	if s.Profile == "DTLS-SRTP" {
		s.LocalFingerprint, s.RemoteFingerprint = k.transport.LocalFingerprint().String(), k.transport.RemoteFingerprint().String()
	}
	return s
}
