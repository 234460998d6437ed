package negotiate

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// pair is two machines that talk to each other.
type pair struct {
	t    *testing.T
	a, b *Machine
}

func newPair(t *testing.T, a, b Config) *pair {
	return &pair{t: t, a: New(a, 4), b: New(b, 8)}
}

// exchange sends an offer of from to to, and the answer back.
func (p *pair) exchange(from, to *Machine, offering, answering Local, profile Profile) (offer, answer string, own, other *Line) {
	p.t.Helper()
	o, err := from.Offer(offering, profile)
	if err != nil {
		p.t.Fatalf("Offer: %v", err)
	}
	if _, err = to.Receive(o); err != nil {
		p.t.Fatalf("Receive: %v\n%s", err, o)
	}
	a, theirs, err := to.Accept(answering)
	if err != nil {
		p.t.Fatalf("Accept: %v\n%s", err, o)
	}
	ours, err := from.Answer(a)
	if err != nil {
		p.t.Fatalf("Answer: %v\n%s", err, a)
	}
	own, _ = ours.Audio()
	other, _ = theirs.Audio()
	return string(o), string(a), own, other
}

func version(t *testing.T, sdp string) string {
	t.Helper()
	_, rest, _ := strings.Cut(sdp, "\r\no=")
	f := strings.Fields(rest)
	if len(f) < 6 {
		t.Fatalf("no o= in %s", sdp)
	}
	return f[2]
}

func TestRFC3264Section5Origin(t *testing.T) {
	p := newPair(t, testConfig(), testConfig())
	offer, answer, _, _ := p.exchange(p.a, p.b, testLocal(), testLocal(), DTLS)
	if version(t, offer) != "1" || version(t, answer) != "1" {
		t.Fatalf("first versions %s and %s", version(t, offer), version(t, answer))
	}
	moved := testLocal()
	moved.Address = netip.MustParseAddrPort("198.51.100.7:5000")
	again, answer, _, _ := p.exchange(p.a, p.b, moved, testLocal(), DTLS)
	if version(t, again) != "2" {
		t.Errorf("a changed offer has version %s, want one more", version(t, again))
	}
	if version(t, answer) != "1" {
		t.Errorf("an unchanged answer has version %s", version(t, answer))
	}
	origin := func(s string) string { _, s, _ = strings.Cut(s, " IN IP4 "); s, _, _ = strings.Cut(s, "\r"); return s }
	if origin(again) != origin(offer) {
		t.Errorf("the session's o= address changed from %s to %s", origin(offer), origin(again))
	}
	same, _, _, _ := p.exchange(p.a, p.b, moved, testLocal(), DTLS)
	if same != again {
		t.Errorf("the same offer again:\n%s\nwant\n%s", same, again)
	}
}

func TestRFC3264Section6Direction(t *testing.T) {
	for _, tt := range []struct {
		offered, wanted Direction
		answer          string
		sends, receives bool // the answerer
	}{
		{SendRecv, SendRecv, "", true, true},
		{SendRecv, SendOnly, "a=sendonly", true, false},
		{SendRecv, RecvOnly, "a=recvonly", false, true},
		{SendRecv, Inactive, "a=inactive", false, false},
		{SendOnly, SendRecv, "a=recvonly", false, true},
		{SendOnly, SendOnly, "a=inactive", false, false},
		{RecvOnly, SendRecv, "a=sendonly", true, false},
		{RecvOnly, RecvOnly, "a=inactive", false, false},
		{Inactive, SendRecv, "a=inactive", false, false},
	} {
		t.Run(tt.offered.String()+" meets "+tt.wanted.String(), func(t *testing.T) {
			p := newPair(t, testConfig(), testConfig())
			offering, answering := testLocal(), testLocal()
			offering.Direction, answering.Direction = tt.offered, tt.wanted
			_, answer, own, other := p.exchange(p.a, p.b, offering, answering, Plain)
			if tt.answer != "" {
				wantLines(t, answer, tt.answer)
			} else {
				wantNoLine(t, answer, "only", "inactive")
			}
			if other.Sending != tt.sends || other.Receiving != tt.receives {
				t.Errorf("answerer sends %v, receives %v", other.Sending, other.Receiving)
			}
			if own.Sending != other.Receiving || own.Receiving != other.Sending {
				t.Errorf("the two sides do not fit: %+v %+v", own, other)
			}
		})
	}
}

func TestRFC3264Section6WideAnswer(t *testing.T) {
	m := New(testConfig(), 1)
	local := testLocal()
	local.Direction = SendOnly
	if _, err := m.Offer(local, Plain); err != nil {
		t.Fatal(err)
	}
	plan, err := m.Answer(text(oldPhoneOffer)) // says sendrecv
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := plan.Audio(); !line.Sending || line.Receiving {
		t.Errorf("got %+v, want sending alone", line)
	}
}

func TestRFC3264Section6Order(t *testing.T) {
	// "it is RECOMMENDED that unless there is a specific reason, the answerer list
	// formats in the same relative order they were present in the offer"
	cfg := testConfig()
	cfg.Codecs = []Codec{pcma, g722, pcmu}
	answer, line := accepts(t, New(cfg, 1), strings.Replace(oldPhoneOffer, "18 8 0 101", "0 9 8 101", 1), testLocal())
	wantLines(t, answer, "m=audio 40000 RTP/AVP 0 9 8 101")
	if line.Send.Name != "PCMU" || names(line.Receive) != "pcmu/8000/1 g722/8000/1 pcma/8000/1" {
		t.Errorf("got %+v", line)
	}
}

func TestRFC3264Section6PayloadTypes(t *testing.T) {
	const offer = `v=0
o=- 1 1 IN IP4 192.0.2.9
s=-
c=IN IP4 192.0.2.9
t=0 0
m=audio 4000 RTP/AVP 97 98 99 100
a=rtpmap:97 PCMA/8000
a=rtpmap:98 g722/16000
a=rtpmap:99 Telephone-Event/8000/1
a=rtpmap:100 PCMU/16000
`
	answer, line := accepts(t, New(testConfig(), 1), offer, testLocal())
	wantLines(t, answer, "m=audio 40000 RTP/AVP 97 98 99", "a=rtpmap:97 PCMA/8000", "a=rtpmap:98 G722/8000", "a=rtpmap:99 telephone-event/8000")
	if line.Send.PayloadType != 97 || line.Send.Name != "PCMA" || line.SendDTMF != 99 {
		t.Errorf("got %+v", line)
	}

	t.Run("the answerer's numbers are sent, ours received", func(t *testing.T) {
		m := New(testConfig(), 1)
		if _, err := m.Offer(testLocal(), Plain); err != nil {
			t.Fatal(err)
		}
		plan, err := m.Answer(text(strings.Replace(offer, " 98", "", 1)))
		if err != nil {
			t.Fatal(err)
		}
		line, _ := plan.Audio()
		if line.Send.PayloadType != 97 || line.SendDTMF != 99 || line.ReceiveDTMF != 101 ||
			len(line.Receive) != 1 || line.Receive[0].PayloadType != 8 {
			t.Errorf("got %+v", line)
		}
	})

	t.Run("a number of the offer without its rtpmap", func(t *testing.T) {
		m := New(testConfig(), 1)
		if _, err := m.Offer(testLocal(), Plain); err != nil {
			t.Fatal(err)
		}
		plan, err := m.Answer(text(strings.Replace(oldPhoneOffer, "a=rtpmap:101 telephone-event/8000\n", "", 1)))
		if err != nil {
			t.Fatal(err)
		}
		if line, _ := plan.Audio(); line.SendDTMF != 101 || line.Send.Name != "PCMA" {
			t.Errorf("got %+v", line)
		}
	})
}

func TestRFC3264Section6Refusals(t *testing.T) {
	strict := testConfig()
	strict.Weakest = DTLS
	sdes := testConfig()
	sdes.Weakest = SDES
	noSDES := testConfig()
	noSDES.SDESSuites = nil
	for _, tt := range []struct {
		name    string
		cfg     Config
		offer   string
		code    int
		warning string
	}{
		{"no common codec", testConfig(), strings.Replace(oldPhoneOffer, "18 8 0", "18", 1), 488, "305 "},
		{"only telephone-event", testConfig(), strings.Replace(oldPhoneOffer, "18 8 0 ", "", 1), 488, "305 "},
		{"RTP/AVP where DTLS is asked for", strict, oldPhoneOffer, 488, "302 "},
		{"RTP/AVP where SDES is asked for", sdes, oldPhoneOffer, 488, "302 "},
		{"SDES where DTLS is asked for", strict, asteriskOffer, 488, "302 "},
		{"SDES that we cannot do", noSDES, asteriskOffer, 488, "302 "},
		{"another proto", testConfig(), strings.Replace(oldPhoneOffer, "RTP/AVP", "TCP/RTP/AVP", 1), 488, "302 "},
		{"no audio", testConfig(), strings.Replace(oldPhoneOffer, "m=audio", "m=video", 1), 488, "304 "},
		{"no m-line", testConfig(), "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n", 488, "304 "},
		{"audio port 0", testConfig(), strings.Replace(oldPhoneOffer, "11780", "0", 1), 488, "304 "},
		{"multicast", testConfig(), strings.Replace(oldPhoneOffer, "c=IN IP4 192.0.2.40", "c=IN IP4 224.2.1.1/127", 1), 488, "330 "},
		{"no c=", testConfig(), strings.Replace(oldPhoneOffer, "c=IN IP4 192.0.2.40\n", "", 1), 488, "300 "},
		{"no SDP", testConfig(), "hello", 400, "399 "},
		{"empty", testConfig(), "", 400, "399 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(tt.cfg, 1)
			wantRefused(t, m, tt.offer, tt.code, tt.warning)
			if _, _, err := m.Accept(testLocal()); !errors.Is(err, ErrState) {
				t.Errorf("a refused offer can be accepted: %v", err)
			}
		})
	}
}

func TestRFC3264Section6Lines(t *testing.T) {
	const two = `m=audio 11782 RTP/AVP 0
`
	t.Run("a second audio line is refused", func(t *testing.T) {
		answer, line := accepts(t, New(testConfig(), 1), oldPhoneOffer+two, testLocal())
		wantLines(t, answer, "m=audio 40000 RTP/AVP 8 0 101", "m=audio 0 RTP/AVP 0")
		if line.Index != 0 {
			t.Errorf("got line %d", line.Index)
		}
	})
	t.Run("of two the encrypted one is taken", func(t *testing.T) {
		offer := oldPhoneOffer + strings.Replace(two, "RTP/AVP 0", "RTP/SAVP 0", 1) +
			"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + "\n"
		answer, line := accepts(t, New(testConfig(), 1), offer, testLocal())
		wantLines(t, answer, "m=audio 0 RTP/AVP 18", "m=audio 40000 RTP/SAVP 0", "a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:"+testKey2)
		if line.Index != 1 || line.Profile != SDES || line.LocalCrypto.Tag != 7 || line.RemoteCrypto.Key != testKey1 {
			t.Errorf("got %+v", line)
		}
	})
}

func TestRFC3264Section7BadAnswers(t *testing.T) {
	good := func() string {
		p := New(testConfig(), 2)
		offer, err := New(testConfig(), 1).Offer(testLocal(), DTLS)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = p.Receive(offer); err != nil {
			t.Fatal(err)
		}
		answer, _, err := p.Accept(testLocal())
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}()
	for _, tt := range []struct{ name, old, now string }{
		{"an m-line more", "a=setup:active\r\n", "a=setup:active\r\nm=audio 4 RTP/AVP 0\r\n"},
		{"another kind", "m=audio", "m=video"},
		{"refused", "m=audio 40000", "m=audio 0"},
		{"codecs never offered", "SAVPF 9 0 8 101", "SAVPF 3 18"},
		{"fingerprint missing", "a=fingerprint:", "a=finger:"},
		{"a weak fingerprint", "a=fingerprint:sha-256", "a=fingerprint:md5"},
		{"actpass", "a=setup:active", "a=setup:actpass"},
		{"holdconn", "a=setup:active", "a=setup:holdconn"},
		{"plain RTP", "UDP/TLS/RTP/SAVPF", "RTP/AVP"},
		{"another transport", "UDP/TLS/RTP/SAVPF", "DCCP/TLS/RTP/SAVPF"},
		{"no address", "c=IN IP4 192.0.2.1\r\n", ""},
		{"no SDP", "v=0", "v=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(testConfig(), 1)
			if _, err := m.Offer(testLocal(), DTLS); err != nil {
				t.Fatal(err)
			}
			bad := strings.Replace(good, tt.old, tt.now, 1)
			if bad == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := m.Answer([]byte(bad)); err == nil {
				t.Fatal("a bad answer was taken")
			} else if _, ok := errors.AsType[*AnswerError](err); !ok {
				t.Fatalf("got %v, want an *AnswerError", err)
			}
			if _, ok := m.Agreed(); ok {
				t.Error("a bad answer was agreed to")
			}
			if _, err := m.Answer([]byte(good)); err != nil {
				t.Errorf("after a bad answer the good one fails: %v", err)
			}
		})
	}
}

func TestRFC3264Section8Reoffers(t *testing.T) {
	t.Run("lines and payload types stay", func(t *testing.T) {
		m := New(testConfig(), 1)
		offer := strings.Replace(chromeOffer, "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 9 126 101", 1)
		offer = strings.Replace(offer, "a=rtpmap:111 opus/48000/2\n", "a=rtpmap:111 opus/48000/2\na=rtpmap:101 PCMA/8000\n", 1)
		accepts(t, m, offer, iceLocal())
		again, err := m.Offer(iceLocal(), DTLS)
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(again), "a=group:BUNDLE 0", "m=audio 40000 UDP/TLS/RTP/SAVPF 0 9 101 126", "a=rtpmap:101 PCMA/8000",
			"a=mid:0", "a=setup:actpass", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1")
	})
	t.Run("a number never changes its meaning", func(t *testing.T) {
		cfg := testConfig()
		cfg.Codecs = []Codec{opus, pcmu}
		cfg.Codecs[0].PayloadType = 101 // as telephone-event wants to be
		m := New(cfg, 1)
		accepts(t, m, oldPhoneOffer, testLocal()) // 101 is telephone-event
		again, err := m.Offer(testLocal(), Plain)
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(again), "m=audio 40000 RTP/AVP 0 96 101 97", "a=rtpmap:96 opus/48000/2",
			"a=rtpmap:101 telephone-event/8000", "a=rtpmap:97 telephone-event/48000")
	})
	t.Run("missing lines are refused", func(t *testing.T) {
		m := New(testConfig(), 1)
		accepts(t, m, faxOffer, testLocal())
		wantRefused(t, m, oldPhoneOffer, 488, "399 ")
		wantRefused(t, m, strings.Replace(strings.Replace(faxOffer, "m=image", "m=audio", 1), "m=audio 20000", "m=text 20000", 1), 488, "399 ")
		if _, ok := m.Agreed(); !ok {
			t.Error("the agreement is gone")
		}
	})
	t.Run("the audio line goes and comes back", func(t *testing.T) {
		m := New(testConfig(), 1)
		accepts(t, m, oldPhoneOffer, testLocal())
		offered, err := m.Receive(text(strings.Replace(oldPhoneOffer, "11780", "0", 1)))
		if err != nil || !offered.Removed {
			t.Fatalf("got %+v %v", offered, err)
		}
		answer, plan, err := m.Accept(testLocal())
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(answer), "m=audio 0 RTP/AVP 18")
		if _, ok := plan.Audio(); ok {
			t.Error("there still is an audio line")
		}
		again, err := m.Offer(testLocal(), Plain)
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(again), "m=audio 40000 RTP/AVP 9 0 8 101")
		if strings.Count(string(again), "m=") != 1 {
			t.Errorf("the dead line was not used again:\n%s", again)
		}
	})
	t.Run("the same offer again", func(t *testing.T) {
		m := New(testConfig(), 1)
		first, _ := accepts(t, m, baresipOffer, iceLocal())
		offered, err := m.Receive(text(baresipOffer))
		if err != nil || !offered.Repeat || offered.ICERestart {
			t.Fatalf("got %+v %v", offered, err)
		}
		second, plan, err := m.Accept(iceLocal())
		if err != nil || string(second) != first {
			t.Fatalf("got %v\n%s\nwant\n%s", err, second, first)
		}
		if line, _ := plan.Audio(); line.DTLSChanged || line.ICERestart {
			t.Errorf("got %+v", line)
		}
	})
}

func TestRFC3264Section84Hold(t *testing.T) {
	m := New(testConfig(), 1)
	accepts(t, m, oldPhoneOffer, testLocal())
	held := strings.Replace(oldPhoneOffer, "c=IN IP4 192.0.2.40", "c=IN IP4 0.0.0.0", 1)
	offered, err := m.Receive(text(held))
	if err != nil || !offered.Held || offered.Remote.IsValid() {
		t.Fatalf("got %+v %v", offered, err)
	}
	answer, plan, err := m.Accept(testLocal())
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(answer), "a=recvonly")
	if line, _ := plan.Audio(); line.Sending || !line.Receiving || line.Remote.IsValid() {
		t.Errorf("got %+v", line)
	}
	if _, line := accepts(t, m, oldPhoneOffer, testLocal()); !line.Sending {
		t.Error("the call is not resumed")
	}
}

func TestRFC3264PacketTimes(t *testing.T) {
	_, line := accepts(t, New(testConfig(), 1), asteriskOffer, testLocal())
	if line.PTime != 20*time.Millisecond || line.MaxPTime != 150*time.Millisecond {
		t.Errorf("got %v and %v", line.PTime, line.MaxPTime)
	}
	for _, bad := range []string{"0", "-20", "100000", "soon", ""} {
		_, line = accepts(t, New(testConfig(), 1), strings.Replace(asteriskOffer, "a=ptime:20", "a=ptime:"+bad, 1), testLocal())
		if line.PTime != 0 {
			t.Errorf("ptime %q gives %v", bad, line.PTime)
		}
	}
}
