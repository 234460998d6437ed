package media

import (
	"crypto/tls"
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
