package negotiate

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func seeds() []string {
	return []string{baresipOffer, linphoneOffer, chromeOffer, asteriskOffer, oldPhoneOffer, faxOffer}
}

// FuzzReceive: no text makes a Machine panic, what is accepted keeps the
// limits, and what we print can be read again, by us at least.
func FuzzReceive(f *testing.F) {
	for _, s := range seeds() {
		f.Add(text(s))
		f.Add([]byte(s))
	}
	f.Add([]byte("v=0\no=-\ns=\nm=audio 1 RTP/AVP 0\nc=IN IP6 ::1"))
	f.Fuzz(func(t *testing.T, offer []byte) {
		asOffer(t, offer)
		asAnswer(t, offer)
	})
}

func asOffer(t *testing.T, offer []byte) {
	m := New(testConfig(), 1)
	offered, err := m.Receive(offer)
	if err != nil {
		r, ok := errors.AsType[*Refused](err)
		if !ok || r.Code != 488 && r.Code != 400 || strings.ContainsAny(r.Warning+r.Reason, "\r\n\x00") {
			t.Fatalf("refused with %v", err)
		}
		return
	}
	answer, plan, err := m.Accept(iceLocal())
	if err != nil {
		if _, ok := errors.AsType[*Refused](err); !ok && offered.Profile != SDES {
			t.Fatalf("not accepted: %v", err)
		}
		return
	}
	d, refused := parse(answer)
	if refused != nil {
		t.Fatalf("our answer cannot be read: %v\n%s", refused, answer)
	}
	if len(d.media) != len(plan.Lines) || len(plan.Lines) > maxMedia {
		t.Fatalf("%d m-lines, %d planned", len(d.media), len(plan.Lines))
	}
	for i, l := range plan.Lines {
		if (d.media[i].port == 0) != l.Rejected || l.Kind != d.media[i].kind {
			t.Fatalf("line %d of the answer is not as planned: %+v", i, l)
		}
	}
	if l, ok := plan.Audio(); ok {
		checkLine(t, l)
		if again, err := m.Offer(iceLocal(), DTLS); err != nil {
			t.Fatalf("no re-offer: %v", err)
		} else if _, refused := parse(again); refused != nil {
			t.Fatalf("our offer cannot be read: %v\n%s", refused, again)
		}
	}
}

func asAnswer(t *testing.T, answer []byte) {
	for _, p := range []Profile{Plain, SDES, DTLS} {
		m := New(testConfig(), 1)
		if _, err := m.Offer(iceLocal(), p); err != nil {
			t.Fatal(err)
		}
		plan, err := m.Answer(answer)
		if err != nil {
			if _, ok := m.Agreed(); ok {
				t.Fatal("a bad answer was agreed to")
			}
			continue
		}
		l, ok := plan.Audio()
		if !ok || l.Profile != p {
			t.Fatalf("got %+v, want %v", plan, p)
		}
		checkLine(t, l)
	}
}

func checkLine(t *testing.T, l *Line) {
	t.Helper()
	switch {
	case l.Send.Name == "" || len(l.Receive) == 0 || l.Send.PayloadType > 127:
		t.Fatalf("no codec in %+v", l)
	case l.Profile == DTLS && len(l.Fingerprints) == 0:
		t.Fatalf("DTLS without a fingerprint in %+v", l)
	case l.Profile == SDES && (l.RemoteCrypto.IsZero() || l.LocalCrypto.IsZero()):
		t.Fatalf("SDES without keys in %+v", l)
	case l.ICE != nil && (len(l.ICE.Candidates) > maxCandidates || l.ICE.Ufrag == "" || l.ICE.Pwd == ""):
		t.Fatalf("ICE is not whole in %+v", l)
	case l.Remote.IsValid() && (l.Remote.Port() == 0 || l.Remote.Addr().IsUnspecified()):
		t.Fatalf("nobody is at %v", l.Remote)
	case l.Mux && l.Remote != l.RemoteRTCP:
		t.Fatalf("multiplexed, but RTCP goes to %v", l.RemoteRTCP)
	}
}

// FuzzPair: two machines through random offers always agree, and never on
// less protection than before.
func FuzzPair(f *testing.F) {
	for i := range uint64(16) {
		f.Add(i, i*7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		rnd := rand.New(rand.NewPCG(a, b))
		ca, cb := randomConfig(rnd), randomConfig(rnd)
		sides := [2]*Machine{New(ca, rnd.Uint64()), New(cb, rnd.Uint64())}
		agreed := Profile(0)
		for range 6 {
			i := rnd.IntN(2)
			from, to := sides[i], sides[1-i]
			profile := Profile(1 + rnd.IntN(3))
			la, lb := randomLocal(rnd), randomLocal(rnd)
			offer, err := from.Offer(la, profile)
			if err != nil {
				if profile >= max(from.cfg.Weakest, agreed) {
					t.Fatalf("cannot offer %v after %v: %v", profile, agreed, err)
				}
				continue
			}
			if _, err = to.Receive(offer); err != nil {
				if profile >= max(to.cfg.Weakest, agreed) && shared(from, to) && (profile != SDES || to.cfg.SDESSuites != nil) {
					t.Fatalf("refused: %v\n%s", err, offer)
				}
				from.Withdraw()
				continue
			}
			answer, theirs, err := to.Accept(lb)
			if err != nil {
				t.Fatalf("not accepted: %v\n%s", err, offer)
			}
			ours, err := from.Answer(answer)
			if err != nil {
				t.Fatalf("bad answer: %v\n%s\n%s", err, offer, answer)
			}
			x, _ := ours.Audio()
			y, _ := theirs.Audio()
			fit(t, x, y)
			if x.Profile < agreed {
				t.Fatalf("%v after %v", x.Profile, agreed)
			}
			agreed = x.Profile
		}
	})
}

// fit checks that two plans of one exchange are two sides of the same thing.
func fit(t *testing.T, x, y *Line) {
	t.Helper()
	hears := func(l *Line, c Codec) bool {
		return slices.ContainsFunc(l.Receive, func(r Codec) bool { return r.key() == c.key() && r.PayloadType == c.PayloadType })
	}
	switch {
	case x.Profile != y.Profile || x.Mux != y.Mux || x.Proto != y.Proto || x.Index != y.Index || x.Mid != y.Mid:
		t.Fatalf("they do not agree:\n%+v\n%+v", x, y)
	case x.Sending != y.Receiving || x.Receiving != y.Sending:
		t.Fatalf("directions:\n%+v\n%+v", x, y)
	case !hears(y, x.Send) || !hears(x, y.Send) || x.SendDTMF != y.ReceiveDTMF || y.SendDTMF != x.ReceiveDTMF:
		t.Fatalf("payload types:\n%+v\n%+v", x, y)
	case x.Profile == DTLS && x.DTLSClient == y.DTLSClient:
		t.Fatalf("both are client %v", x.DTLSClient)
	case x.Profile == DTLS && x.DTLSChanged != y.DTLSChanged:
		t.Fatalf("a new association for one side alone:\n%+v\n%+v", x, y)
	case x.LocalCrypto.Key != y.RemoteCrypto.Key || y.LocalCrypto.Key != x.RemoteCrypto.Key:
		t.Fatalf("keys:\n%+v\n%+v", x, y)
	case (x.ICE == nil) != (y.ICE == nil):
		t.Fatalf("ICE on one side:\n%+v\n%+v", x, y)
	}
}

func shared(a, b *Machine) bool { return len(common(a.cfg.Codecs, b.cfg.Codecs)) > 0 }

func randomConfig(rnd *rand.Rand) Config {
	cfg := testConfig()
	cfg.Codecs = []Codec{pcmu, pcma, g722, opus}
	rnd.Shuffle(4, func(i, j int) { cfg.Codecs[i], cfg.Codecs[j] = cfg.Codecs[j], cfg.Codecs[i] })
	cfg.Codecs = cfg.Codecs[:1+rnd.IntN(4)]
	for i := range cfg.Codecs {
		if cfg.Codecs[i].Name == "opus" {
			cfg.Codecs[i].PayloadType = uint8(96 + rnd.IntN(32))
		}
	}
	cfg.DTMF = rnd.IntN(3) > 0
	cfg.Weakest = Profile(rnd.IntN(4))
	if rnd.IntN(3) == 0 {
		cfg.SDESSuites = nil
	}
	return cfg
}

func randomLocal(rnd *rand.Rand) Local {
	l := testLocal()
	if rnd.IntN(2) == 0 {
		l = iceLocal()
		l.ICE.Lite = rnd.IntN(4) == 0
	}
	l.Address = netip.AddrPortFrom(l.Address.Addr(), 40000)
	l.Mux = rnd.IntN(4) > 0
	l.Direction = Direction(rnd.IntN(4))
	if rnd.IntN(2) == 0 {
		l.Fingerprints = []string{print1, print2}
	}
	return l
}

// FuzzParseCrypto: what parses prints as the same again, and no String shows the key.
func FuzzParseCrypto(f *testing.F) {
	f.Add("1 AES_CM_128_HMAC_SHA1_80 inline:" + testKey1 + "|2^20|1:4")
	f.Add("2 AEAD_AES_128_GCM inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg==")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCrypto(s)
		if err != nil {
			return
		}
		c.usable()
		again, err := ParseCrypto(string(c.Append(nil)))
		if err != nil || again != c {
			t.Fatalf("%q: %v", s, err)
		}
		if len(c.Key) > 16 && strings.Contains(c.String()+c.GoString()+c.LogValue().String(), c.Key) {
			t.Fatal("the key shows")
		}
	})
}
