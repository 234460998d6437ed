package media

import (
	"crypto/tls"
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
)

var (
	codecPCMU = Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000}
	codecPCMA = Codec{Name: "PCMA", PayloadType: 8, ClockRate: 8000}
	codecG722 = Codec{Name: "G722", PayloadType: 9, ClockRate: 8000}
)

func newIdentity(tb testing.TB) (tls.Certificate, Fingerprint) {
	tb.Helper()
	cert, err := NewCertificate()
	if err != nil {
		tb.Fatal(err)
	}
	fp, err := FingerprintOf(cert)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, fp
}

// party is one end of a call with sound.
type party struct {
	t *Transport
	a *Audio
	s *Stream
}

func newParty(tb testing.TB, t *Transport, format Format, cfg StreamConfig) *party {
	tb.Helper()
	p := &party{t: t, a: NewAudio(format)}
	if cfg.Receive == nil {
		cfg.Receive = []Codec{codecPCMU, codecPCMA, codecG722}
	}
	cfg.Audio, cfg.Sending, cfg.Receiving = p.a, true, true
	s, err := t.NewStream(&cfg)
	if err != nil {
		tb.Fatal(err)
	}
	p.s = s
	tb.Cleanup(func() { _ = p.a.Close() })
	return p
}

// say writes pcm in frames until done, or the Audio is closed.
func (p *party) say(pcm []int16) {
	for len(pcm) > 0 {
		n := min(len(pcm), 320)
		if _, err := p.a.WritePCM(pcm[:n]); err != nil {
			return
		}
		pcm = pcm[n:]
	}
}

// hear reads n samples.
func (p *party) hear(n int) []int16 {
	pcm := make([]int16, 0, n)
	for len(pcm) < n {
		got, err := p.a.ReadPCM(pcm[len(pcm):min(len(pcm)+320, n)])
		if err != nil {
			break
		}
		pcm = pcm[:len(pcm)+got]
	}
	return pcm
}

func TestSpeechOverEachCodecAndSuite(t *testing.T) {
	for _, tc := range []struct {
		codec Codec
		suite dtls.SRTPProtectionProfile
		name  string
		snr   float64
	}{
		{codecPCMU, dtls.SRTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM", 25},
		{codecPCMA, dtls.SRTP_AES128_CM_HMAC_SHA1_80, "AES_CM_128_HMAC_SHA1_80", 25},
		{codecG722, dtls.SRTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM", 15},
	} {
		t.Run(tc.codec.Name+" "+tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := NewClock(1)
				defer clock.Close()
				pa, pb := newPipe(t)
				ka, kb := keyPair(t)
				pa.delay, pb.delay = 30*time.Millisecond, 30*time.Millisecond
				ta, tb := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock, suites: []dtls.SRTPProtectionProfile{tc.suite}},
					TransportConfig{RTP: pb, Keys: kb, Clock: clock})
				for _, tr := range []*Transport{ta, tb} {
					if tr.Suite() != tc.name || tr.Profile() != "DTLS-SRTP" {
						t.Fatalf("suite %q, profile %q, want %q by DTLS-SRTP", tr.Suite(), tr.Profile(), tc.name)
					}
				}
				alice := newParty(t, ta, Format{}, StreamConfig{Send: tc.codec})
				bob := newParty(t, tb, Format{}, StreamConfig{Send: tc.codec})
				words := speech(16000, 3)
				go alice.say(words)
				go bob.say(words)
				var atAlice, atBob []int16
				var wg sync.WaitGroup
				wg.Go(func() { atAlice = alice.hear(len(words)) })
				wg.Go(func() { atBob = bob.hear(len(words)) })
				wg.Wait()
				for who, heard := range map[string][]int16{"bob": atBob, "alice": atAlice} {
					delay, corr, snr := compare(t, words[:len(words)-8000], heard, 6000)
					if snr < tc.snr {
						t.Errorf("%s heard %s with correlation %.4f, SNR %.1f dB after %v, want %.0f dB",
							who, tc.codec.Name, corr, snr, time.Duration(delay)*time.Second/16000, tc.snr)
					}
				}
				if st := bob.s.Stats(); st.Lost != 0 || st.Concealed != 0 || st.PacketsReceived < 140 {
					t.Errorf("statistics of a clean call: %+v", st)
				}
				ta.Close()
				tb.Close()
			})
		})
	}
}

// callPair connects two parties over an encrypted path with a delay of 30 ms.
func callPair(t *testing.T, clock *Clock, a, b StreamConfig) (alice, bob *party, pa, pb *end) {
	t.Helper()
	pa, pb = newPipe(t)
	pa.delay, pb.delay = 30*time.Millisecond, 30*time.Millisecond
	ka, kb := keyPair(t)
	ta, tb := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
	return newParty(t, ta, Format{}, a), newParty(t, tb, Format{}, b), pa, pb
}

func (p *party) end() {
	p.a.Close()
	p.t.Close()
}

func TestRFC4733BothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		var atAlice, atBob []rune
		var mu sync.Mutex
		hears := func(to *[]rune) func(DTMF) {
			return func(d DTMF) {
				mu.Lock()
				defer mu.Unlock()
				*to = append(*to, d.Digit)
				if d.Duration < 40*time.Millisecond || d.Duration > 300*time.Millisecond {
					t.Errorf("digit %c lasted %v", d.Digit, d.Duration)
				}
			}
		}
		alice, bob, pa, pb := callPair(t, clock,
			StreamConfig{Send: codecPCMU, SendDTMF: 101, ReceiveDTMF: 96, OnDTMF: hears(&atAlice)},
			StreamConfig{Send: codecPCMU, SendDTMF: 96, ReceiveDTMF: 101, OnDTMF: hears(&atBob)})
		pa.set(func(e *end) { e.drop = lossy(0.2, 9) })
		pb.set(func(e *end) { e.drop = lossy(0.2, 10) })
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := alice.s.SendDTMF(t.Context(), "0123,456789*#ABCD"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := bob.s.SendDTMF(t.Context(), "5551"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		time.Sleep(time.Second)
		mu.Lock()
		if string(atBob) != "0123456789*#ABCD" || string(atAlice) != "5551" {
			t.Errorf("bob heard %q, alice %q; want 0123456789*#ABCD and 5551 under 20%% loss", string(atBob), string(atAlice))
		}
		mu.Unlock()
		if err := alice.s.SendDTMF(t.Context(), "12x"); err == nil {
			t.Error("x is not a digit")
		}
		if err := newParty(t, bob.t, Format{}, StreamConfig{Send: codecPCMU}).s.SendDTMF(t.Context(), "1"); err == nil {
			t.Error("the peer takes no events, and no error")
		}
		alice.end()
		bob.end()
	})
}

// Packets of telephone events have sequence numbers of the stream and no sound: on
// a perfect line nothing is lost and nothing concealed.
func TestRFC4733IsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		alice, bob, _, _ := callPair(t, clock,
			StreamConfig{Send: codecPCMU, SendDTMF: 101}, StreamConfig{Send: codecPCMU, ReceiveDTMF: 101})
		go alice.say(speech(16000, 3))
		go bob.hear(1 << 20)
		if err := alice.s.SendDTMF(t.Context(), "159#"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if st := bob.s.Stats(); st.Lost != 0 || st.Concealed != 0 || st.Late != 0 || st.Duplicates != 0 || st.DroppedDTMF != 0 {
			t.Errorf("digits on a perfect line: %+v", st)
		}
		alice.end()
		bob.end()
	})
}

func TestLossIsConcealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		alice, bob, pa, _ := callPair(t, clock, StreamConfig{Send: codecPCMU}, StreamConfig{Send: codecPCMU})
		pa.set(func(e *end) { e.drop = lossy(0.1, 5) })
		words := speech(16000, 4)
		go alice.say(words)
		heard := bob.hear(len(words))
		_, corr, snr := compare(t, words[:len(words)-8000], heard, 6000)
		st := bob.s.Stats()
		if st.Lost < 10 || st.Concealed == 0 {
			t.Errorf("10%% loss: %d lost, %d samples concealed", st.Lost, st.Concealed)
		}
		if corr < 0.93 {
			t.Errorf("10%% loss: correlation %.3f, SNR %.1f dB; want 0.93", corr, snr)
		}
		alice.end()
		bob.end()
	})
}

// click is the greatest leap between neighbouring samples.
func click(pcm []int16) (most, at int) {
	for i := 1; i < len(pcm); i++ {
		if d := int(pcm[i]) - int(pcm[i-1]); max(d, -d) > most {
			most, at = max(d, -d), i
		}
	}
	return most, at
}

func TestUpdateMidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		cfg := StreamConfig{Send: codecPCMU, Receive: []Codec{codecPCMU, codecPCMA, codecG722}}
		alice, bob, pa, _ := callPair(t, clock, cfg, cfg)
		pa.set(func(e *end) { e.tap = true })
		tone := make([]int16, 16000*4)
		for i := range tone {
			tone[i] = int16(8000 * math.Sin(2*math.Pi*300*float64(i)/16000))
		}
		go alice.say(tone)
		var heard []int16
		done := make(chan struct{})
		go func() {
			defer close(done)
			heard = bob.hear(len(tone) - 16000/2)
		}()
		ssrc := alice.s.Stats().LocalSSRC
		for _, c := range []Codec{codecG722, codecPCMA, codecPCMU, codecG722} {
			time.Sleep(700 * time.Millisecond)
			next := cfg
			next.Audio, next.Sending, next.Receiving, next.Send = alice.a, true, true, c
			if err := alice.s.Update(&next); err != nil {
				t.Fatal(err)
			}
		}
		<-done
		st := bob.s.Stats()
		if st.SourceChanges != 0 || st.RemoteSSRC != ssrc || st.Lost != 0 || st.Concealed != 0 {
			t.Errorf("an update of the codec shows: %+v", st)
		}
		// A 300 Hz tone of 8000 moves at most 950 per sample at 16 kHz.
		if most, at := click(heard); most > 2000 {
			t.Errorf("a leap of %d at sample %d (%.3f s): a click", most, at, float64(at)/16000)
		}
		packets := pa.packets(kindRTP)
		for i := 1; i < len(packets); i++ {
			a, b := packets[i-1], packets[i]
			if d := binary.BigEndian.Uint16(b[2:]) - binary.BigEndian.Uint16(a[2:]); d != 1 {
				t.Errorf("sequence number leaps by %d", d)
			}
			if d := binary.BigEndian.Uint32(b[4:]) - binary.BigEndian.Uint32(a[4:]); d != 160 {
				t.Errorf("timestamp leaps by %d, want 160 per packet", d)
			}
		}
		alice.end()
		bob.end()
	})
}

func TestNothingCapturedLeavesOnHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		cfg := StreamConfig{Send: codecPCMU, Receive: []Codec{codecPCMU}}
		alice, bob, _, _ := callPair(t, clock, cfg, cfg)
		hold := cfg
		hold.Audio, hold.Receiving = alice.a, true
		if err := alice.s.Update(&hold); err != nil {
			t.Fatal(err)
		}
		loud := make([]int16, 16000)
		for i := range loud {
			loud[i] = 20000
		}
		start := time.Now()
		alice.say(loud)
		if took := time.Since(start); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("a second written on hold took %v: the writer must be paced as ever", took)
		}
		for i, s := range bob.hear(12000) {
			if max(s, -s) > 100 {
				t.Fatalf("sample %d of a call on hold is %d, want silence", i, s)
			}
		}
		if st := alice.s.Stats(); st.DroppedWriter < 14000 || st.PacketsSent < 40 {
			t.Errorf("on hold: %d samples dropped, %d packets of silence sent", st.DroppedWriter, st.PacketsSent)
		}
		// And nothing of the peer is heard while Receiving is false.
		quiet := cfg
		quiet.Audio, quiet.Sending = bob.a, true
		if err := bob.s.Update(&quiet); err != nil {
			t.Fatal(err)
		}
		resumed := cfg
		resumed.Audio, resumed.Sending, resumed.Receiving = alice.a, true, true
		if err := alice.s.Update(&resumed); err != nil {
			t.Fatal(err)
		}
		bob.hear(bob.a.in.len())
		go alice.say(loud)
		for i, s := range bob.hear(12000) {
			if max(s, -s) > 100 {
				t.Fatalf("sample %d is %d though Receiving is false", i, s)
			}
		}
		alice.end()
		bob.end()
	})
}

func TestTwoHundredStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(0)
		defer clock.Close()
		var all []*party
		for range 100 {
			pa, pb := newPipe(t)
			for _, p := range []*end{pa, pb} {
				tr, err := NewTransport(t.Context(), &TransportConfig{RTP: p, Clock: clock, Keys: Keys{SDES: &SDES{
					Suite: "AEAD_AES_128_GCM", Local: make([]byte, 28), Remote: make([]byte, 28),
				}}})
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, newParty(t, tr, Format{Rate: 8000}, StreamConfig{Send: codecPCMU}))
			}
		}
		time.Sleep(2 * time.Second)
		for i, p := range all {
			if st := p.s.Stats(); st.PacketsReceived < 95 || st.Lost > 0 || st.Concealed > 0 {
				t.Fatalf("stream %d of 200: %+v", i, st)
			}
		}
		for _, p := range all {
			p.end()
		}
	})
}
