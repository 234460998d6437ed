package negotiate

import (
	"errors"
	"strings"
	"testing"
)

func TestRFC5763Setup(t *testing.T) {
	for _, tt := range []struct {
		name, setup, answer string
		client              bool
	}{
		{"actpass", "a=setup:actpass\n", "a=setup:active", true},
		{"none", "", "a=setup:active", true},
		{"passive", "a=setup:passive\n", "a=setup:active", true},
		{"active", "a=setup:active\n", "a=setup:passive", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			offer := strings.Replace(baresipOffer, "a=setup:actpass\n", tt.setup, 1)
			answer, line := accepts(t, New(testConfig(), 1), offer, testLocal())
			wantLines(t, answer, tt.answer, "a=fingerprint:"+print2)
			if line.DTLSClient != tt.client {
				t.Errorf("client is %v", line.DTLSClient)
			}
		})
	}
	t.Run("holdconn", func(t *testing.T) {
		wantRefused(t, New(testConfig(), 1), strings.Replace(baresipOffer, "setup:actpass", "setup:holdconn", 1), 488, "399 ")
	})
	t.Run("the m-line's own setup and fingerprint win", func(t *testing.T) {
		_, line := accepts(t, New(testConfig(), 1), baresipOffer+"a=setup:active\na=fingerprint:"+print2+"\n", testLocal())
		if line.DTLSClient || len(line.Fingerprints) != 1 || !strings.EqualFold(line.Fingerprints[0], print2) {
			t.Errorf("got %+v", line)
		}
	})
}

func TestRFC5763Fingerprint(t *testing.T) {
	offered := strings.Index(baresipOffer, "a=fingerprint:")
	for _, tt := range []struct {
		name, line string
		ok         bool
	}{
		{"missing", "", false},
		{"lower case", "a=fingerprint:" + strings.ToLower(print1) + "\n", true},
		{"two spaces", "a=fingerprint:" + strings.Replace(print1, " ", "  ", 1) + "\n", true},
		{"short", "a=fingerprint:" + print1[:len(print1)-3] + "\n", false},
		{"no colons", "a=fingerprint:" + strings.ReplaceAll(print1, ":", "-") + "\n", false},
		{"not hex", "a=fingerprint:" + strings.ReplaceAll(print1, "0A", "0G") + "\n", false},
		{"sha-1", "a=fingerprint:sha-1 0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:0A:1B:2C:3D\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			end := offered + strings.Index(baresipOffer[offered:], "\n") + 1
			offer := baresipOffer[:offered] + tt.line + baresipOffer[end:]
			if !tt.ok {
				wantRefused(t, New(testConfig(), 1), offer, 488, "399 ")
				return
			}
			_, line := accepts(t, New(testConfig(), 1), offer, testLocal())
			want, _ := fingerprint(print1)
			if len(line.Fingerprints) != 1 || line.Fingerprints[0] != want {
				t.Errorf("got %q, want %q", line.Fingerprints, want)
			}
		})
	}
}

// TestRFC5763Protos: the answer repeats the offer's proto, and a fingerprint
// makes DTLS-SRTP of all of them: baresip and others write RTP/SAVP(F), some RTP/AVP at best effort.
func TestRFC5763Protos(t *testing.T) {
	for _, proto := range []string{"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP"} {
		t.Run(proto, func(t *testing.T) {
			cfg := testConfig()
			cfg.Weakest = DTLS
			offer := strings.Replace(baresipOffer, "UDP/TLS/RTP/SAVPF", proto, 1)
			m := New(cfg, 1)
			answer, line := accepts(t, m, offer, testLocal())
			wantLines(t, answer, "m=audio 40000 "+proto+" 9 0 8 101", "a=setup:active")
			if line.Profile != DTLS || line.Proto != proto {
				t.Errorf("got %v over %s", line.Profile, line.Proto)
			}
			again, err := m.Offer(testLocal(), DTLS)
			if err != nil {
				t.Fatal(err)
			}
			wantLines(t, string(again), "m=audio 40000 "+proto+" 9 0 8 101", "a=setup:actpass")
		})
	}
}

func TestRFC8842Roles(t *testing.T) {
	p := newPair(t, testConfig(), testConfig())
	_, _, own, other := p.exchange(p.a, p.b, testLocal(), testLocal(), DTLS)
	if own.DTLSClient || !other.DTLSClient {
		t.Fatalf("first roles: offerer client %v, answerer client %v", own.DTLSClient, other.DTLSClient)
	}
	t.Run("kept when the answerer re-offers", func(t *testing.T) {
		offer, answer, own, other := p.exchange(p.b, p.a, testLocal(), testLocal(), DTLS)
		wantLines(t, offer, "a=setup:actpass")
		wantLines(t, answer, "a=setup:passive")
		if !own.DTLSClient || other.DTLSClient || own.DTLSChanged || other.DTLSChanged {
			t.Errorf("got %+v and %+v", own, other)
		}
	})
	t.Run("another certificate is another association", func(t *testing.T) {
		other := testLocal()
		other.Fingerprints = []string{strings.ToLower(print1)}
		_, _, own, answerer := p.exchange(p.b, p.a, other, testLocal(), DTLS)
		if own.DTLSClient || !answerer.DTLSClient || !own.DTLSChanged || !answerer.DTLSChanged {
			t.Errorf("got %+v and %+v", own, answerer)
		}
	})
}

// TestBaresipAnswersActpass: baresip keeps "actpass" of its own first offer in
// its answers to our re-offers.
func TestBaresipAnswersActpass(t *testing.T) {
	m := New(testConfig(), 1)
	_, first := accepts(t, m, baresipOffer, testLocal())
	if _, err := m.Offer(testLocal(), DTLS); err != nil {
		t.Fatal(err)
	}
	plan, err := m.Answer(text(baresipOffer))
	if err != nil {
		t.Fatal(err)
	}
	if line, _ := plan.Audio(); line.DTLSClient != first.DTLSClient || line.DTLSChanged {
		t.Errorf("got %+v", line)
	}
}

func TestNeverWeaker(t *testing.T) {
	plain := strings.NewReplacer("UDP/TLS/RTP/SAVPF", "RTP/AVP", "a=fingerprint", "a=x", "a=setup", "a=y").Replace(baresipOffer)
	t.Run("offers", func(t *testing.T) {
		m := New(testConfig(), 1)
		accepts(t, m, baresipOffer, testLocal())
		before, _ := m.Agreed()
		wantRefused(t, m, plain, 488, "302 ")
		wantRefused(t, m, asteriskOffer, 488, "302 ")
		after, _ := m.Agreed()
		a, _ := before.Audio()
		b, _ := after.Audio()
		if a.Profile != b.Profile {
			t.Error("the agreement changed")
		}
		for _, p := range []Profile{0, Plain, SDES, DTLS + 1} {
			if _, err := m.Offer(testLocal(), p); !errors.Is(err, ErrProfile) {
				t.Errorf("%v offered: %v", p, err)
			}
		}
	})
	t.Run("not by way of a removed line", func(t *testing.T) {
		m := New(testConfig(), 1)
		accepts(t, m, baresipOffer, testLocal())
		if _, err := m.Receive(text(strings.Replace(baresipOffer, "m=audio 29586", "m=audio 0", 1))); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Accept(testLocal()); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, m, plain, 488, "302 ")
	})
	t.Run("from plain to DTLS", func(t *testing.T) {
		p := newPair(t, testConfig(), testConfig())
		p.exchange(p.a, p.b, testLocal(), testLocal(), Plain)
		offer, _, own, _ := p.exchange(p.b, p.a, testLocal(), testLocal(), DTLS)
		wantLines(t, offer, "m=audio 40000 UDP/TLS/RTP/SAVPF 9 0 8 101")
		if own.Profile != DTLS {
			t.Errorf("got %v", own.Profile)
		}
	})
	t.Run("zero Config", func(t *testing.T) {
		wantRefused(t, New(Config{Codecs: []Codec{pcmu}}, 1), oldPhoneOffer, 488, "302 ")
	})
}

func TestRFC4568Crypto(t *testing.T) {
	for _, tt := range []struct {
		in     string
		ok     bool
		usable bool
	}{
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1, true, true},
		{"000000001  AES_CM_128_HMAC_SHA1_32  inline:" + testKey1 + "|2^20", true, true},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + "|1048576", true, true},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + "|2^20|1:4", true, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + "|1:4", true, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + ";inline:" + testKey2, true, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + " UNENCRYPTED_SRTP", true, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:QUJD", true, false},
		{"1 F8_128_HMAC_SHA1_80 inline:" + testKey1, true, false},
		{"0 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1, false, false},
		{"1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1, false, false},
		{"-1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1, false, false},
		{"1 AES_CM_128_HMAC_SHA1_80 outline:" + testKey1, false, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:", false, false},
		{"1 AES_CM_128_HMAC_SHA1_80", false, false},
		{"1", false, false},
		{"", false, false},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 600), false, false},
	} {
		c, err := ParseCrypto(tt.in)
		if (err == nil) != tt.ok || err == nil && c.usable() != tt.usable {
			t.Errorf("%q: %v, usable %v", tt.in, err, c.usable())
		}
		if err == nil {
			if again, err := ParseCrypto(string(c.Append(nil))); err != nil || again != c {
				t.Errorf("%q does not come back: %v", tt.in, err)
			}
		} else if strings.Contains(err.Error(), testKey1) {
			t.Error("an error shows the key")
		}
	}
}

func TestRFC4568Exchange(t *testing.T) {
	p := newPair(t, testConfig(), testConfig())
	a, b := testLocal(), testLocal()
	a.Crypto = []Crypto{
		{Tag: 3, Suite: "AEAD_AES_256_GCM", Key: "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXI="},
		{Tag: 4, Suite: "AES_CM_128_HMAC_SHA1_80", Key: testKey1},
	}
	_, _, own, other := p.exchange(p.a, p.b, a, b, SDES)
	if own.LocalCrypto.Key != testKey1 || own.RemoteCrypto.Key != testKey2 || own.RemoteCrypto.Tag != 4 ||
		other.LocalCrypto.Key != testKey2 || other.RemoteCrypto.Key != testKey1 {
		t.Errorf("got %+v and %+v", own, other)
	}
	t.Run("bad answers", func(t *testing.T) {
		for _, change := range [][2]string{
			{"a=crypto:1 ", "a=crypto:2 "},
			{"SHA1_80", "SHA1_32"},
			{"a=crypto:", "a=kryptos:"},
			{"a=crypto:1 ", "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:" + testKey1 + "\na=crypto:1 "},
			{testKey1, testKey1 + "|1:4"},
		} {
			m := New(testConfig(), 1)
			if _, err := m.Offer(testLocal(), SDES); err != nil {
				t.Fatal(err)
			}
			answer := strings.Replace(asteriskOffer, "a=crypto:2", "a=other:2", 1)
			if _, err := m.Answer(text(strings.Replace(answer, change[0], change[1], 1))); err == nil {
				t.Errorf("%q for %q was taken", change[1], change[0])
			}
			if _, err := m.Answer(text(answer)); err != nil {
				t.Errorf("the good answer fails: %v", err)
			}
		}
	})
}
