package negotiate

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	pcmu = Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}
	pcma = Codec{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}
	g722 = Codec{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1}
	opus = Codec{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2, FMTP: "useinbandfec=1"}
)

func testConfig() Config {
	return Config{
		Codecs: []Codec{g722, pcmu, pcma}, DTMF: true, Weakest: Plain,
		SDESSuites: []string{"AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"}, PTime: 20 * time.Millisecond,
	}
}

func testLocal() Local {
	return Local{
		Address: netip.MustParseAddrPort("192.0.2.1:40000"), RTCP: netip.MustParseAddrPort("192.0.2.1:40001"), Mux: true,
		Fingerprints: []string{print2},
		Crypto:       []Crypto{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: testKey2}},
	}
}

func iceLocal() Local {
	l := testLocal()
	l.ICE = &ICE{Ufrag: "abcd", Pwd: "abcdefghijklmnopqrstuv", Candidates: []string{
		"1 1 udp 2130706431 192.0.2.1 40000 typ host",
		"2 1 udp 1694498815 198.51.100.1 40000 typ srflx raddr 192.0.2.1 rport 40000",
	}}
	return l
}

func text(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// accepts lets m answer an offer.
func accepts(t *testing.T, m *Machine, offer string, local Local) (string, *Line) {
	t.Helper()
	if _, err := m.Receive(text(offer)); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	answer, plan, err := m.Accept(local)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	line, _ := plan.Audio()
	return string(answer), line
}

// wantLines asks for lines in this order, with others between them.
func wantLines(t *testing.T, sdp string, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(sdp, "\r\n"), "\r\n")
	rest := lines
	for _, w := range want {
		i := slices.Index(rest, w)
		if i < 0 {
			t.Fatalf("no line %q, or not in its place, in\n%s", w, sdp)
		}
		rest = rest[i+1:]
	}
}

func wantNoLine(t *testing.T, sdp string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(sdp, p) {
			t.Fatalf("%q must not be in\n%s", p, sdp)
		}
	}
}

func wantRefused(t *testing.T, m *Machine, offer string, code int, warning string) {
	t.Helper()
	_, err := m.Receive(text(offer))
	r, ok := errors.AsType[*Refused](err)
	if !ok || r.Code != code || !strings.HasPrefix(r.Warning, warning) {
		t.Fatalf("got %v (%+v), want %d with Warning %q", err, r, code, warning)
	}
}

func names(codecs []Codec) string {
	var b strings.Builder
	for _, c := range codecs {
		b.WriteString(" " + c.key())
	}
	return strings.TrimSpace(b.String())
}

func TestPeers(t *testing.T) {
	withOpus := testConfig()
	withOpus.Codecs = append([]Codec{opus}, withOpus.Codecs...)
	apart := iceLocal()
	apart.RTCP = netip.MustParseAddrPort("192.0.2.1:40002")
	for _, tt := range []struct {
		name, offer string
		cfg         Config
		local       Local
		want        []string // lines of the answer
		not         []string
		profile     Profile
		send        Codec
		dtmf        uint8
		client      bool
		ice         string // ufrag of the peer's
		remote      string
	}{
		{
			name: "baresip", offer: baresipOffer, cfg: testConfig(), local: iceLocal(),
			want: []string{
				"m=audio 40000 UDP/TLS/RTP/SAVPF 9 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15",
				"a=rtcp-mux", "a=setup:active", "a=fingerprint:" + print2, "a=ice-ufrag:abcd",
				"a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",
			},
			not:     []string{"a=rtcp:", "a=mid", "a=group", "a=crypto"},
			profile: DTLS, send: g722, dtmf: 101, client: true, ice: "RjGX", remote: "192.0.2.10:29586",
		},
		{
			name: "linphone without opus here", offer: linphoneOffer, cfg: testConfig(), local: iceLocal(),
			want:    []string{"m=audio 40000 UDP/TLS/RTP/SAVPF 0 8 99", "a=rtpmap:99 telephone-event/8000", "a=setup:active"},
			not:     []string{"opus", "speex", "G729"},
			profile: DTLS, send: pcmu, dtmf: 99, client: true, ice: "9a1c63f2", remote: "198.51.100.20:7078",
		},
		{
			name: "linphone with opus here", offer: linphoneOffer, cfg: withOpus, local: iceLocal(),
			want: []string{
				"m=audio 40000 UDP/TLS/RTP/SAVPF 96 0 8 101 99", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1",
				"a=rtpmap:101 telephone-event/48000", "a=rtpmap:99 telephone-event/8000",
			},
			profile: DTLS, send: opus, dtmf: 101, client: true, ice: "9a1c63f2", remote: "198.51.100.20:7078",
		},
		{
			name: "Chrome with JsSIP", offer: chromeOffer, cfg: testConfig(), local: iceLocal(),
			want: []string{
				"a=group:BUNDLE 0", "m=audio 40000 UDP/TLS/RTP/SAVPF 9 0 8 126", "a=rtpmap:126 telephone-event/8000",
				"a=mid:0", "a=rtcp-mux", "a=setup:active", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1",
			},
			not:     []string{"CN", "extmap", "ice-mismatch"},
			profile: DTLS, send: g722, dtmf: 126, client: true, ice: "hD+k", remote: "invalid AddrPort",
		},
		{
			name: "Asterisk with SDES", offer: asteriskOffer, cfg: testConfig(), local: apart,
			want: []string{
				"m=audio 40000 RTP/SAVP 0 8 9 101", "a=rtcp:40002", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey2,
			},
			not:     []string{"a=ice", "a=candidate", "a=setup", "a=fingerprint", "a=rtcp-mux"},
			profile: SDES, send: pcmu, dtmf: 101, remote: "192.0.2.30:16502",
		},
		{
			name: "an old phone", offer: oldPhoneOffer, cfg: testConfig(), local: testLocal(),
			want:    []string{"c=IN IP4 192.0.2.1", "m=audio 40000 RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000"},
			not:     []string{"a=rtcp-mux", "a=fingerprint", "a=crypto", "18"},
			profile: Plain, send: pcma, dtmf: 101, remote: "192.0.2.40:11780",
		},
		{
			name: "a fax gateway", offer: faxOffer, cfg: testConfig(), local: testLocal(),
			want:    []string{"m=audio 40000 RTP/AVP 0", "m=image 0 udptl t38"},
			not:     []string{"telephone-event"},
			profile: Plain, send: pcmu, remote: "192.0.2.50:20000",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer, line := accepts(t, New(tt.cfg, 1), tt.offer, tt.local)
			wantLines(t, answer, tt.want...)
			wantNoLine(t, answer, tt.not...)
			if line.Profile != tt.profile || line.DTLSClient != tt.client || line.Remote.String() != tt.remote {
				t.Errorf("got %v client=%v remote=%v", line.Profile, line.DTLSClient, line.Remote)
			}
			if line.Send.key() != tt.send.key() || line.SendDTMF != tt.dtmf || line.ReceiveDTMF != tt.dtmf {
				t.Errorf("got codec %+v dtmf %d %d", line.Send, line.SendDTMF, line.ReceiveDTMF)
			}
			if got := line.ICE; (got == nil) != (tt.ice == "") || got != nil && got.Ufrag != tt.ice {
				t.Errorf("got %v, want ufrag %q", got, tt.ice)
			}
			if !line.Sending || !line.Receiving {
				t.Error("media does not flow both ways")
			}
		})
	}
}

// TestOfferSize: an offer stays far under the 1300 bytes that a request over UDP may have.
func TestOfferSize(t *testing.T) {
	m := New(testConfig(), 1<<60)
	local := iceLocal()
	local.ICE.Candidates = append(local.ICE.Candidates, "3 1 udp 2130706175 2001:db8::1234:5678:9abc:def0 40000 typ host")
	offer, err := m.Offer(local, DTLS)
	if err != nil {
		t.Fatal(err)
	}
	if len(offer) > 900 {
		t.Errorf("%d bytes, want at most 900:\n%s", len(offer), offer)
	}
	wantLines(t, string(offer), "v=0", "t=0 0", "m=audio 40000 UDP/TLS/RTP/SAVPF 9 0 8 101", "a=rtcp-mux", "a=setup:actpass")
}

// TestForks: one offer, two answers, two machines.
func TestForks(t *testing.T) {
	m := New(testConfig(), 1)
	offer, err := m.Offer(testLocal(), Plain)
	if err != nil {
		t.Fatal(err)
	}
	var plans []Plan
	for _, codecs := range [][]Codec{{pcma}, {g722}} {
		cfg := testConfig()
		cfg.Codecs = codecs
		peer := New(cfg, 2)
		answer, _ := accepts(t, peer, strings.ReplaceAll(string(offer), "\r\n", "\n"), testLocal())
		fork := m.Fork()
		plan, err := fork.Answer([]byte(answer))
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, plan)
	}
	a, _ := plans[0].Audio()
	b, _ := plans[1].Audio()
	if a.Send.Name != "PCMA" || b.Send.Name != "G722" {
		t.Errorf("got %v and %v", a.Send, b.Send)
	}
	if _, ok := m.Agreed(); ok {
		t.Error("a fork's answer settled the original")
	}
}

// TestSecrets: nothing that prints a Plan by accident shows a key or a password.
func TestSecrets(t *testing.T) {
	m := New(testConfig(), 1)
	_, line := accepts(t, m, asteriskOffer, testLocal())
	all := sprintAll(line)
	_, line = accepts(t, New(testConfig(), 1), baresipOffer, iceLocal())
	all += sprintAll(line)
	for _, secret := range []string{testKey1, testKey2, "N5r5eUVS9XqUDrl0sMEOvG"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in %s", secret, all)
		}
	}
	if !strings.Contains(all, "REDACTED") {
		t.Error("no key was printed at all")
	}
}

func sprintAll(l *Line) string {
	var b strings.Builder
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("line", "ice", l.ICE, "local", l.LocalCrypto, "remote", l.RemoteCrypto)
	fmt.Fprintf(&b, "%v %+v %#v %s", l.LocalCrypto, l.LocalCrypto, l.LocalCrypto, l.RemoteCrypto)
	fmt.Fprintf(&b, "%v %+v %#v", *l, *l, *l)
	fmt.Fprintf(&b, "%v %+v %#v", l.ICE, l.ICE, l.ICE)
	return b.String()
}
