package negotiate

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestRFC8839Text(t *testing.T) {
	m := New(testConfig(), 1)
	_, line := accepts(t, m, baresipOffer+"a=end-of-candidates\n", iceLocal())
	ice := line.ICE
	if ice.Ufrag != "RjGX" || ice.Pwd != "N5r5eUVS9XqUDrl0sMEOvG" || ice.Lite || !ice.End || len(ice.Candidates) != 2 ||
		ice.Candidates[0] != "7f000001 1 UDP 2113929471 192.0.2.10 29586 typ host" {
		t.Errorf("got %+v", ice)
	}
	t.Run("a restart shows", func(t *testing.T) {
		offered, err := m.Receive(text(strings.Replace(baresipOffer, "RjGX", "RjGY", 1)))
		if err != nil || !offered.ICERestart {
			t.Fatalf("got %+v %v", offered, err)
		}
		_, plan, err := m.Accept(iceLocal())
		if err != nil {
			t.Fatal(err)
		}
		if line, _ := plan.Audio(); !line.ICERestart || line.DTLSChanged {
			t.Errorf("got %+v", line)
		}
	})
	t.Run("lite", func(t *testing.T) {
		local := iceLocal()
		local.ICE.Lite = true
		answer, line := accepts(t, New(testConfig(), 1), strings.Replace(baresipOffer, "t=0 0\n", "t=0 0\na=ice-lite\n", 1), local)
		if !line.ICE.Lite {
			t.Error("the peer is lite")
		}
		head, _, _ := strings.Cut(answer, "m=")
		wantLines(t, head, "a=ice-lite")
	})
	t.Run("half of the credentials are none", func(t *testing.T) {
		for _, part := range []string{"a=ice-ufrag:", "a=ice-pwd:"} {
			answer, line := accepts(t, New(testConfig(), 1), strings.Replace(baresipOffer, part, "a=x:", 1), iceLocal())
			wantNoLine(t, answer, "ice", "candidate")
			if line.ICE != nil {
				t.Errorf("got %v", line.ICE)
			}
		}
	})
}

func TestRFC8839Mismatch(t *testing.T) {
	rewritten := strings.Replace(baresipOffer, "c=IN IP4 192.0.2.10", "c=IN IP4 198.51.100.99", 1)
	m := New(testConfig(), 1)
	offered, err := m.Receive(text(rewritten))
	if err != nil || !offered.Mismatch || offered.ICE != nil {
		t.Fatalf("got %+v %v", offered, err)
	}
	answer, plan, err := m.Accept(iceLocal())
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(answer), "a=ice-mismatch")
	wantNoLine(t, string(answer), "a=candidate", "a=ice-ufrag")
	if line, _ := plan.Audio(); line.ICE != nil || !line.Mismatch || line.Remote.String() != "198.51.100.99:29586" {
		t.Errorf("got %+v", line)
	}
	t.Run("in an answer", func(t *testing.T) {
		m := New(testConfig(), 1)
		if _, err := m.Offer(iceLocal(), DTLS); err != nil {
			t.Fatal(err)
		}
		answer := strings.Replace(baresipOffer, "setup:actpass", "setup:passive", 1)
		plan, err := m.Answer(text(answer + "a=ice-mismatch\n"))
		if err != nil {
			t.Fatal(err)
		}
		if line, _ := plan.Audio(); line.ICE != nil || !line.Mismatch || !line.DTLSClient {
			t.Errorf("got %+v", line)
		}
	})
}

func TestRFC5761Mux(t *testing.T) {
	bare := testLocal()
	bare.Mux = false
	only := testLocal()
	only.RTCPMuxOnly = true
	for _, tt := range []struct {
		name             string
		offering, answer Local
		mux              bool
	}{
		{"both", testLocal(), testLocal(), true},
		{"offerer alone", testLocal(), bare, false},
		{"answerer alone", bare, testLocal(), false},
		{"required by the offerer", only, testLocal(), true},
		{"required by the answerer", testLocal(), only, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, testConfig(), testConfig())
			_, _, own, other := p.exchange(p.a, p.b, tt.offering, tt.answer, Plain)
			if own.Mux != tt.mux || other.Mux != tt.mux {
				t.Errorf("got %v and %v", own.Mux, other.Mux)
			}
			if (own.Remote == own.RemoteRTCP) != tt.mux {
				t.Errorf("RTP to %v, RTCP to %v", own.Remote, own.RemoteRTCP)
			}
		})
	}
	t.Run("required and refused", func(t *testing.T) {
		p := newPair(t, testConfig(), testConfig())
		offer, err := p.a.Offer(only, Plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.b.Receive(offer); err != nil {
			t.Fatal(err)
		}
		if _, _, err = p.b.Accept(bare); err == nil {
			t.Error("accepted without")
		} else if r, ok := errors.AsType[*Refused](err); !ok || r.Code != 488 {
			t.Errorf("got %v", err)
		}
		if _, err = p.a.Answer(text(oldPhoneOffer)); err == nil {
			t.Error("an answer without was taken")
		}
	})
}

func TestRFC3605(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"", "192.0.2.40:11781"},
		{"a=rtcp:5000\n", "192.0.2.40:5000"},
		{"a=rtcp:5000 IN IP4 198.51.100.4\n", "198.51.100.4:5000"},
		{"a=rtcp:5000 IN IP4 nowhere.example\n", "192.0.2.40:5000"},
		{"a=rtcp:70000\n", "192.0.2.40:11781"},
		{"a=rtcp:what\n", "192.0.2.40:11781"},
	} {
		if _, line := accepts(t, New(testConfig(), 1), oldPhoneOffer+tt.line, testLocal()); line.RemoteRTCP.String() != tt.want {
			t.Errorf("%q gives %v, want %s", tt.line, line.RemoteRTCP, tt.want)
		}
	}
	local := testLocal()
	local.RTCP = netip.MustParseAddrPort("198.51.100.3:7777")
	offer, err := New(testConfig(), 1).Offer(local, Plain)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(offer), "a=rtcp:7777 IN IP4 198.51.100.3")
}

func TestAddresses(t *testing.T) {
	t.Run("a host name", func(t *testing.T) {
		_, line := accepts(t, New(testConfig(), 1), strings.Replace(oldPhoneOffer, "c=IN IP4 192.0.2.40", "c=IN IP4 media.example.org", 1), testLocal())
		if line.Host != "media.example.org" || line.Remote.IsValid() {
			t.Errorf("got %+v", line)
		}
	})
	t.Run("IPv6", func(t *testing.T) {
		local := testLocal()
		local.Address = netip.MustParseAddrPort("[2001:db8::1]:40000")
		answer, line := accepts(t, New(testConfig(), 1), strings.Replace(oldPhoneOffer, "c=IN IP4 192.0.2.40", "c=IN IP6 2001:db8::40", 1), local)
		wantLines(t, answer, "c=IN IP6 2001:db8::1")
		if line.Remote.String() != "[2001:db8::40]:11780" {
			t.Errorf("got %v", line.Remote)
		}
	})
	t.Run("the m-line's own", func(t *testing.T) {
		_, line := accepts(t, New(testConfig(), 1), strings.Replace(oldPhoneOffer, "a=rtpmap", "c=IN IP4 198.51.100.8\na=rtpmap", 1), testLocal())
		if line.Remote.String() != "198.51.100.8:11780" {
			t.Errorf("got %v", line.Remote)
		}
	})
	t.Run("ours must be fit for a line", func(t *testing.T) {
		for name, change := range map[string]func(*Local){
			"no address":  func(l *Local) { l.Address = netip.AddrPort{} },
			"ufrag":       func(l *Local) { l.ICE.Ufrag = "a\r\na=x" },
			"candidate":   func(l *Local) { l.ICE.Candidates[0] = "1\n" },
			"fingerprint": func(l *Local) { l.Fingerprints = nil },
		} {
			local := iceLocal()
			change(&local)
			if _, err := New(testConfig(), 1).Offer(local, DTLS); err == nil {
				t.Errorf("%s: offered", name)
			}
		}
	})
}

func TestRFC8843OneAudioInAGroup(t *testing.T) {
	// The offerer-tagged m-line is the refused video: the answer's group holds the audio alone.
	video := chromeOffer[strings.Index(chromeOffer, "m=video"):]
	audio := chromeOffer[strings.Index(chromeOffer, "m=audio"):strings.Index(chromeOffer, "m=video")]
	head := strings.Replace(chromeOffer[:strings.Index(chromeOffer, "m=audio")], "BUNDLE 0 1", "BUNDLE 1 0", 1)
	answer, line := accepts(t, New(testConfig(), 1), head+video+audio, iceLocal())
	wantLines(t, answer, "a=group:BUNDLE 0", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "m=audio 40000 UDP/TLS/RTP/SAVPF 9 0 8 126", "a=mid:0")
	if line.Index != 1 || line.Mid != "0" {
		t.Errorf("got %+v", line)
	}
	answer, _ = accepts(t, New(testConfig(), 1), strings.Replace(chromeOffer, "a=group:BUNDLE 0 1\n", "", 1), iceLocal())
	wantNoLine(t, answer, "a=group")
	wantLines(t, answer, "a=mid:0", "a=mid:1")
}
