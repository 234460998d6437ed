package media

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
)

// packetsOnly makes a stream that counts what arrives.
func packetsOnly(tb testing.TB, t *Transport, on func(*rtp.Header, []byte)) *Stream {
	tb.Helper()
	s, err := t.NewStream(&StreamConfig{
		Send: codecPCMU, Receive: []Codec{codecPCMU}, Sending: true, Receiving: true, OnPacket: on,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// send sends n packets, 20 ms apart.
func sendPackets(tb testing.TB, s *Stream, n int) {
	tb.Helper()
	now := uint32(time.Now().UnixMilli() / 20)
	h := rtp.Header{SSRC: 7}
	payload := make([]byte, 160)
	for i := range uint32(n) {
		h.SequenceNumber, h.Timestamp = uint16(now+i), 160*(now+i)
		if err := s.WritePacket(&h, payload); err != nil {
			tb.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // virtual: inside a bubble
	}
}

func TestRFC5764Suites(t *testing.T) {
	for _, tc := range []struct {
		name     string
		suites   []dtls.SRTPProtectionProfile
		wantBoth string
	}{
		{"best first", nil, "AEAD_AES_128_GCM"},
		{"only the old one", []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}, "AES_CM_128_HMAC_SHA1_80"},
		{"the server's order counts", []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AEAD_AES_128_GCM}, "AEAD_AES_128_GCM"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pa, pb := newPipe(t)
				ka, kb := keyPair(t)
				a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, suites: tc.suites}, TransportConfig{RTP: pb, Keys: kb})
				defer a.Close()
				defer b.Close()
				if a.Suite() != tc.wantBoth || b.Suite() != tc.wantBoth {
					t.Errorf("suites %q and %q, want %q", a.Suite(), b.Suite(), tc.wantBoth)
				}
				if a.LocalFingerprint() != b.RemoteFingerprint() || b.LocalFingerprint() != a.RemoteFingerprint() {
					t.Error("the fingerprints that the ends tell do not match")
				}
				got := 0
				packetsOnly(t, b, func(h *rtp.Header, p []byte) { got++ })
				sendPackets(t, packetsOnly(t, a, nil), 10)
				synctest.Wait()
				if got != 10 {
					t.Errorf("%d of 10 packets arrived; %+v", got, b.Stats())
				}
			})
		})
	}
}

func TestRFC5763Fingerprints(t *testing.T) {
	_, stranger := newIdentity(t)
	for _, tc := range []struct {
		name string
		edit func(a, b *DTLS)
		ok   bool
	}{
		{"the client's is wrong", func(a, b *DTLS) { b.Remote = []Fingerprint{stranger} }, false},
		{"the server's is wrong", func(a, b *DTLS) { a.Remote = []Fingerprint{stranger} }, false},
		{"none announced by the client", func(a, b *DTLS) { b.Remote = nil }, false},
		{"none announced by the server", func(a, b *DTLS) { a.Remote = nil }, false},
		{"any of several", func(a, b *DTLS) { a.Remote = append([]Fingerprint{stranger}, a.Remote...) }, true},
		{"upper-case hash name", func(a, b *DTLS) { a.Remote[0].Hash = "SHA-256" }, true},
		{"SHA-1", func(a, b *DTLS) { a.Remote[0].Hash = "sha-1" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pa, pb := newPipe(t)
				ka, kb := keyPair(t)
				tc.edit(ka.DTLS, kb.DTLS)
				a, b, errA, errB := tryConnect(TransportConfig{RTP: pa, Keys: ka}, TransportConfig{RTP: pb, Keys: kb})
				if tc.ok {
					if errA != nil || errB != nil {
						t.Fatalf("errors %v, %v", errA, errB)
					}
					a.Close()
					b.Close()
					return
				}
				if a != nil && b != nil {
					t.Error("both ends were content")
				}
				if !errors.Is(errA, ErrFingerprint) && !errors.Is(errB, ErrFingerprint) {
					t.Errorf("errors %v and %v, want ErrFingerprint of one end (RFC 5763 section 5)", errA, errB)
				}
				for _, tr := range []*Transport{a, b} {
					if tr != nil {
						tr.Close() // the DTLS server had finished before the client judged
					}
				}
			})
		})
	}
}

func TestHandshakeUnderLoss(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			pa, pb := newPipe(t)
			pa.drop, pb.drop = lossy(0.2, seed), lossy(0.2, seed+100)
			pa.delay, pb.delay = 20*time.Millisecond, 20*time.Millisecond
			ka, kb := keyPair(t)
			start := time.Now()
			a, b := connect(t, TransportConfig{RTP: pa, Keys: ka}, TransportConfig{RTP: pb, Keys: kb})
			defer a.Close()
			defer b.Close()
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("20%% loss, seed %d: handshake took %v", seed, took)
			}
		})
	}
}

func TestHandshakeEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pa, _ := newPipe(t)
		ka, _ := keyPair(t)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := NewTransport(ctx, &TransportConfig{RTP: pa, Keys: ka})
		if _, ok := errors.AsType[*HandshakeError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want a *HandshakeError with the context's error", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("gave up after %v, want 3s", took)
		}
	})
}

func TestDTLSEndsItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		pa, pb := newPipe(t)
		pa.tap = true
		ka, kb := keyPair(t)
		before := runtime.NumGoroutine()
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
		defer a.Close()
		defer b.Close()
		sa, sb := packetsOnly(t, a, nil), packetsOnly(t, b, nil)
		sendPackets(t, sa, 1)
		sendPackets(t, sb, 1)
		pa.set(func(e *end) { e.sent = nil })
		time.Sleep(dtlsLinger + time.Second)
		synctest.Wait()
		buf := make([]byte, 1<<17)
		all := string(buf[:runtime.Stack(buf, true)])
		if strings.Contains(all, "pion/dtls") || strings.Contains(all, "netctx") {
			t.Errorf("goroutines of DTLS remain:\n%s", all)
		}
		// One goroutine more for both transports: the clock's. One may be dying just now.
		if now := runtime.NumGoroutine(); now > before+2 {
			t.Errorf("%d goroutines before, %d with two transports\n%s", before, now, all)
		}
		if n := len(pa.packets(kindDTLS)); n != 0 {
			t.Errorf("%d DTLS datagrams sent when the association was closed, want silence", n)
		}
		got := b.Stats().PacketsReceived
		sendPackets(t, sa, 5)
		synctest.Wait()
		if b.Stats().PacketsReceived < got+5 || b.Stats().DroppedAuth != 0 {
			t.Error("SRTP does not go on after DTLS")
		}
	})
}

func TestRFC3711ReplayAndForgery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		pa, pb := newPipe(t)
		pa.tap = true
		ka, kb := keyPair(t)
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
		defer a.Close()
		defer b.Close()
		got := 0
		packetsOnly(t, b, func(*rtp.Header, []byte) { got++ })
		sa := packetsOnly(t, a, nil)
		sendPackets(t, sa, 20)
		synctest.Wait()
		evil := netip.MustParseAddrPort("203.0.113.66:6666")
		sent := pa.packets(kindRTP)
		target := func() (to netip.AddrPort) { pb.set(func(e *end) { to = e.target }); return }
		for _, p := range sent {
			pb.inject(append([]byte(nil), p...), evil)
		}
		if st := b.Stats(); got != 20 || st.DroppedReplay != 20 {
			t.Errorf("after replaying 20 packets: %d delivered, %d counted as replayed; want 20, 20", got, st.DroppedReplay)
		}
		for _, p := range sent {
			p = append([]byte(nil), p...)
			binary.BigEndian.PutUint16(p[2:], binary.BigEndian.Uint16(p[2:])+1000) // new, so that the window lets it through
			p[len(p)-1] ^= 1
			pb.inject(p, evil)
		}
		if st := b.Stats(); got != 20 || st.DroppedAuth != 20 {
			t.Errorf("after 20 forged packets: %d delivered, %d counted as forged; want 20, 20", got, st.DroppedAuth)
		}
		if target() == evil {
			t.Error("a packet that did not authenticate moved the path")
		}
		// The real peer moves (its NAT was rebound): the path follows.
		moved := netip.MustParseAddrPort("198.51.100.9:1234")
		pa.set(func(e *end) { e.from = moved })
		sendPackets(t, sa, 1)
		synctest.Wait()
		if target() != moved {
			t.Errorf("the path points at %v, want %v: SRTP latches on a packet that authenticates", target(), moved)
		}
		// SRTCP: wait for a report, replay it.
		time.Sleep(10 * time.Second)
		reports := pa.packets(kindRTCP)
		if len(reports) == 0 {
			t.Fatal("no SRTCP in 10 s")
		}
		before := b.Stats().DroppedReplay
		pb.inject(append([]byte(nil), reports[0]...), evil)
		if n := b.Stats().DroppedReplay - before; n != 1 {
			t.Errorf("%d SRTCP packets counted as replayed, want 1", n)
		}
	})
}

func TestDTLSAnswersWhereTheHandshakeComesFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pa, pb := newPipe(t)
		mapped := netip.MustParseAddrPort("198.51.100.9:1234") // by a NAT that SDP does not know of
		pa.from = mapped
		ka, kb := keyPair(t)
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Remote: pb.addr}, TransportConfig{RTP: pb, Keys: kb, Remote: pa.addr})
		if pb.target != mapped {
			t.Errorf("the path points at %v, want %v", pb.target, mapped)
		}
		a.Close()
		b.Close()
	})
}

func TestEarlyPacketsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		pa, pb := newPipe(t)
		ka, kb := keyPair(t)
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
		defer a.Close()
		defer b.Close()
		sa := packetsOnly(t, a, nil)
		sendPackets(t, sa, 30) // before the other end has a stream
		var seqs []uint16
		packetsOnly(t, b, func(h *rtp.Header, _ []byte) { seqs = append(seqs, h.SequenceNumber) })
		if len(seqs) != maxEarly {
			t.Errorf("%d packets delivered with the stream, want the %d held", len(seqs), maxEarly)
		}
		sendPackets(t, sa, 1)
		synctest.Wait()
		if len(seqs) != maxEarly+1 || b.Stats().DroppedEarly != 30-maxEarly {
			t.Errorf("%d packets delivered, %d dropped early; want %d and %d", len(seqs), b.Stats().DroppedEarly, maxEarly+1, 30-maxEarly)
		}
	})
}

func TestSDESAndPlain(t *testing.T) {
	key1, key2 := []byte(strings.Repeat("a", 30)), []byte(strings.Repeat("b", 30))
	for _, tc := range []struct {
		name           string
		a, b           Keys
		suite, profile string
	}{
		{
			"SDES",
			Keys{SDES: &SDES{Suite: "AES_CM_128_HMAC_SHA1_80", Local: key1, Remote: key2}},
			Keys{SDES: &SDES{Suite: "AES_CM_128_HMAC_SHA1_80", Local: key2, Remote: key1}},
			"AES_CM_128_HMAC_SHA1_80", "SDES",
		},
		{"plain", Keys{Plain: true}, Keys{Plain: true}, "", "RTP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := NewClock(1)
				defer clock.Close()
				pa, pb := newPipe(t)
				ca, cb := newPipe(t) // RTCP apart
				a, b := connect(t, TransportConfig{RTP: pa, RTCP: ca, Keys: tc.a, Clock: clock, Remote: pb.addr},
					TransportConfig{RTP: pb, RTCP: cb, Keys: tc.b, Clock: clock, Remote: pa.addr})
				defer a.Close()
				defer b.Close()
				if a.Suite() != tc.suite || a.Profile() != tc.profile {
					t.Errorf("suite %q, profile %q", a.Suite(), a.Profile())
				}
				got := 0
				sb := packetsOnly(t, b, func(*rtp.Header, []byte) { got++ })
				sendPackets(t, packetsOnly(t, a, nil), 300)
				synctest.Wait()
				if got != 300 {
					t.Errorf("%d of 300 packets; %+v", got, b.Stats())
				}
				if st := sb.Stats(); st.ReportsReceived == 0 {
					t.Errorf("no report on the RTCP path in 6 s: %+v", st)
				}
			})
		})
	}
	out := (&SDES{Suite: "X", Local: []byte("secret"), Remote: []byte("secret")}).String()
	if strings.Contains(out, "secret") || !strings.Contains(out, "REDACTED") {
		t.Errorf("SDES keys print as %q", out)
	}
}

func TestKeysMustBeOne(t *testing.T) {
	pa, _ := newPipe(t)
	if _, err := NewTransport(t.Context(), &TransportConfig{RTP: pa}); err == nil {
		t.Error("a transport without keys")
	}
	pa, _ = newPipe(t)
	if _, err := NewTransport(t.Context(), &TransportConfig{RTP: pa, Keys: Keys{Plain: true, SDES: &SDES{}}}); err == nil {
		t.Error("a transport with two kinds of keys")
	}
}

func TestAudioDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAudio(Format{})
		defer a.Close()
		_ = a.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		_, err := a.ReadPCM(make([]int16, 10))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("ReadPCM: %v after %v", err, time.Since(start))
		}
	})
}
