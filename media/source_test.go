package media

import (
	"net/netip"
	"testing"
	"time"
)

func TestPlainSources(t *testing.T) {
	ap := netip.MustParseAddrPort
	public, private := ap("198.51.100.1:4000"), ap("10.0.0.5:4000")
	signalling := netip.MustParseAddr("203.0.113.5")
	type step struct {
		from   string
		ssrc   uint32
		agreed bool
		after  time.Duration
		ok     bool
		moved  bool
	}
	for _, tc := range []struct {
		name  string
		sdp   netip.AddrPort
		steps []step
	}{
		{"the address of SDP, then locked", public, []step{
			{"198.51.100.1:4000", 1, true, 0, true, false},
			{"198.51.100.1:5000", 1, true, 0, false, false},
			{"203.0.113.66:4000", 1, true, 0, false, false},
			{"198.51.100.1:4000", 1, true, 0, true, false},
		}},
		{"another port of its host", public, []step{
			{"198.51.100.1:5000", 1, false, 0, false, false}, // not an agreed payload type
			{"198.51.100.1:5000", 1, true, 0, true, true},
			{"198.51.100.1:4000", 1, true, 0, false, false},
		}},
		{"the signalling host", public, []step{{"203.0.113.5:7000", 1, true, 0, true, true}}},
		{"a stranger, SDP address public", public, []step{
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
		}},
		{"a stranger, SDP address private", private, []step{
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 1, true, 0, false, false},
			{"203.0.113.66:1", 2, true, 0, false, false}, // another SSRC: begins again
			{"203.0.113.66:1", 2, true, 0, false, false},
			{"203.0.113.66:1", 2, true, 0, false, false},
			{"203.0.113.66:1", 2, true, 0, false, false},
			{"203.0.113.66:1", 2, true, 0, true, true},
			{"203.0.113.67:1", 2, true, 0, false, false},
		}},
		{"its port changes after silence", public, []step{
			{"198.51.100.1:4000", 1, true, 0, true, false},
			{"198.51.100.1:5000", 1, true, time.Second, false, false},
			{"198.51.100.1:5000", 1, true, 2 * time.Second, true, true},
			{"203.0.113.66:5000", 1, true, time.Hour, false, false},
		}},
		{"ICE: the path decides", netip.AddrPort{}, []step{
			{"203.0.113.66:1", 1, true, 0, true, false},
			{"203.0.113.67:1", 2, false, 0, true, false},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sources{sdp: tc.sdp, signalling: signalling}
			now := time.Unix(1000, 0)
			for i, st := range tc.steps {
				now = now.Add(st.after)
				ok, moved := s.rtp(now, ap(st.from), st.ssrc, st.agreed)
				if ok != st.ok || moved != st.moved {
					t.Errorf("packet %d from %s: taken %v, moved %v; want %v, %v", i, st.from, ok, moved, st.ok, st.moved)
				}
			}
		})
	}
}
