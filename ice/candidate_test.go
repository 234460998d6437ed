package ice

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func TestRFC8839_5_1_Candidates(t *testing.T) {
	for text, want := range map[string]Candidate{
		// The examples of RFC 8839.
		"candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host": {
			"1", 1, "UDP", 2130706431, netip.MustParseAddrPort("203.0.113.141:8998"), "", Host, netip.AddrPort{},
		},
		"a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998": {
			"2", 1, "UDP", 1694498815, netip.MustParseAddrPort("192.0.2.3:45664"), "", ServerReflexive, netip.MustParseAddrPort("203.0.113.141:8998"),
		},
		// Browsers and baresip.
		"842163049 1 udp 1677729535 2001:db8::7 46154 typ relay raddr 0.0.0.0 rport 0 generation 0 ufrag EEtu network-id 3 network-cost 10": {
			"842163049", 1, "UDP", 1677729535, netip.MustParseAddrPort("[2001:db8::7]:46154"), "", Relayed, netip.MustParseAddrPort("0.0.0.0:0"),
		},
		"1 2 UDP 1 1a2b3c4d-0000-4000-8000-000000000000.local 9 typ host": {
			"1", 2, "UDP", 1, netip.AddrPortFrom(netip.Addr{}, 9), "1a2b3c4d-0000-4000-8000-000000000000.local", Host, netip.AddrPort{},
		},
		"1 1 TCP 1 192.0.2.1 9 typ host tcptype active": {
			"1", 1, "TCP", 1, netip.MustParseAddrPort("192.0.2.1:9"), "", Host, netip.AddrPort{},
		},
		"1 1 UDP 1 ::ffff:192.0.2.1 9 typ new-kind": {
			"1", 1, "UDP", 1, netip.MustParseAddrPort("192.0.2.1:9"), "", Other, netip.AddrPort{},
		},
	} {
		got, err := ParseCandidate(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := ParseCandidate(got.String()); err != nil || again.Type != want.Type || again.Addr != want.Addr {
			t.Errorf("%s: written as %s, read as %+v, %v", text, got, again, err)
		}
	}
	c := Candidate{"1", 1, "UDP", 5, netip.MustParseAddrPort("192.0.2.3:4"), "", ServerReflexive, netip.AddrPort{}}
	if got := c.String(); got != "1 1 UDP 5 192.0.2.3 4 typ srflx raddr 0.0.0.0 rport 0" {
		t.Errorf("%q: rel-addr MUST be present for srflx", got)
	}
}

func TestRFC8839_5_1_BadCandidates(t *testing.T) {
	for _, text := range []string{
		"", "candidate:", "1 1 UDP 1 192.0.2.1 9", "1 1 UDP 1 192.0.2.1 9 type host", "1 0 UDP 1 192.0.2.1 9 typ host",
		"1 257 UDP 1 192.0.2.1 9 typ host", "1 1 UDP 0 192.0.2.1 9 typ host", "1 1 UDP 2147483648 192.0.2.1 9 typ host",
		"1 1 UDP -1 192.0.2.1 9 typ host", "1 1 UDP 1 192.0.2.1 65536 typ host", "1 1 UDP 1 fe80::1%eth0 9 typ host",
		"1 1 UDP 1 192.0.2.1/24 9 typ host", "\x00 1 UDP 1 192.0.2.1 9 typ host", "1 1 U\x01P 1 192.0.2.1 9 typ host",
		strings.Repeat("f", 33) + " 1 UDP 1 192.0.2.1 9 typ host", "1 1 UDP 1 192.0.2.1 9 typ host " + strings.Repeat("x", 1024),
	} {
		if c, err := ParseCandidate(text); err == nil {
			t.Errorf("%q read as %+v", text, c)
		}
	}
}

// "priority = (2^24)*(type preference) + (2^8)*(local preference) + (2^0)*(256 -
// component ID)" (RFC 8445 section 5.1.2.1).
func TestRFC8445_5_1_2_Priorities(t *testing.T) {
	for _, c := range []struct {
		t    CandidateType
		want uint32
	}{{Host, 2130706431}, {PeerReflexive, 1862270975}, {ServerReflexive, 1694498815}, {Relayed, 16777215}} {
		if got := priority(c.t, 65535, 1); got != c.want {
			t.Errorf("%v: %d, want %d", c.t, got, c.want)
		}
	}
}

func TestRFC8445_5_1_1_3_Foundations(t *testing.T) {
	f := foundations{}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	all := []string{f.of(Host, a, ""), f.of(Host, b, ""), f.of(ServerReflexive, a, "s1"), f.of(ServerReflexive, a, "s2"), f.of(Relayed, a, "s1")}
	seen := map[string]bool{}
	for _, s := range all {
		seen[s] = true
	}
	if len(seen) != len(all) || f.of(ServerReflexive, a, "s1") != all[2] {
		t.Errorf("foundations %v: want all different, and the same for the same", all)
	}
}

func TestServerURIs(t *testing.T) {
	for url, want := range map[string]serverURI{
		"stun:stun.example.org":                  {false, "stun.example.org", 3478},
		"stun:192.0.2.1:5":                       {false, "192.0.2.1", 5},
		"turn:[2001:db8::1]:5349?transport=udp":  {true, "2001:db8::1", 5349},
		"turn:[2001:db8::1]":                     {true, "2001:db8::1", 3478},
		"TURN:turn.example.org:80?transport=UDP": {true, "turn.example.org", 80},
	} {
		if got, err := parseServer(url); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", url, got, err, want)
		}
	}
	for _, url := range []string{"", "stun", "http://x", "stun:", "stun:h:0", "stun:h:x", "stun:h?transport=udp", "turn:h?transport=tcp", "turns:h"} {
		if got, err := parseServer(url); err == nil {
			t.Errorf("%s: read as %+v", url, got)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	var b strings.Builder
	l := slog.New(slog.NewTextHandler(&b, nil))
	l.Info("x", "server", Server{URL: "turn:h", Username: "u", Password: "hunter2"}, "description", Description{Ufrag: "uuuu", Pwd: "hunter2"})
	if s := b.String(); strings.Contains(s, "hunter2") || !strings.Contains(s, "turn:h") {
		t.Errorf("logged %s", s)
	}
}

func FuzzParseCandidate(f *testing.F) {
	f.Add("candidate:1 1 UDP 2130706431 203.0.113.141 8998 typ host")
	f.Add("a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998")
	f.Add("1 1 TCP 1 x.local 9 typ host tcptype active raddr ::1")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCandidate(s)
		if err != nil {
			return
		}
		again, err := ParseCandidate(c.String())
		if err != nil {
			t.Fatalf("%q was read as %+v, written as %q: %v", s, c, c, err)
		}
		if !c.Related.IsValid() {
			again.Related = netip.AddrPort{}
		}
		if again != c {
			t.Fatalf("%q: %+v, again %+v", s, c, again)
		}
	})
}

func FuzzParseServer(f *testing.F) {
	f.Add("stun:192.0.2.1:3478")
	f.Add("turn:[::1]:1?transport=udp")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := parseServer(s); err == nil && (u.host == "" || u.port == 0) {
			t.Fatalf("%q: %+v", s, u)
		}
	})
}
