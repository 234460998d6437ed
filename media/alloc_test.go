package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// null is a path that goes nowhere, and keeps the last packet.
type null struct {
	handler func([]byte, netip.AddrPort)
	last    []byte
}

func (n *null) Write(p []byte) (int, error) {
	n.last = append(n.last[:0], p...)
	return len(p), nil
}

func (n *null) Handle(f func([]byte, netip.AddrPort)) { n.handler = f }
func (n *null) Close() error                          { return nil }

// halves makes two transports with the keys of each other over null paths, their
// clocks standing still.
func halves(tb testing.TB, profile dtls.SRTPProtectionProfile) (a, b *Transport, pa, pb *null) {
	tb.Helper()
	name := suiteNames[srtp.ProtectionProfile(profile)]
	n := 30
	if profile == dtls.SRTP_AEAD_AES_128_GCM {
		n = 28
	}
	x, y := make([]byte, n), make([]byte, n)
	for i := range x {
		x[i], y[i] = byte(i), byte(100+i)
	}
	clock := NewClock(1)
	clock.Close()
	pa, pb = &null{}, &null{}
	a, err := NewTransport(tb.Context(), &TransportConfig{RTP: pa, Clock: clock, Keys: Keys{SDES: &SDES{Suite: name, Local: x, Remote: y}}})
	if err != nil {
		tb.Fatal(err)
	}
	b, err = NewTransport(tb.Context(), &TransportConfig{RTP: pb, Clock: clock, Keys: Keys{SDES: &SDES{Suite: name, Local: y, Remote: x}}})
	if err != nil {
		tb.Fatal(err)
	}
	return a, b, pa, pb
}

func suites(f func(profile dtls.SRTPProtectionProfile, name string)) {
	f(dtls.SRTP_AEAD_AES_128_GCM, "GCM")
	f(dtls.SRTP_AES128_CM_HMAC_SHA1_80, "CM")
}

func TestPacketPathAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	suites(func(profile dtls.SRTPProtectionProfile, name string) {
		t.Run(name, func(t *testing.T) {
			a, b, pa, pb := halves(t, profile)
			got := 0
			sa := packetsOnly(t, a, nil)
			packetsOnly(t, b, func(*rtp.Header, []byte) { got++ })
			h, payload := rtp.Header{SSRC: 7}, make([]byte, 160)
			step := func() {
				h.SequenceNumber++
				h.Timestamp += 160
				if err := sa.WritePacket(&h, payload); err != nil {
					t.Fatal(err)
				}
			}
			step()
			if n := testing.AllocsPerRun(200, step); n != 0 {
				t.Errorf("%v allocations to protect and send a packet, want 0", n)
			}
			got = 0
			both := func() {
				step()
				pb.handler(pa.last, from)
			}
			both()
			if n := testing.AllocsPerRun(200, both); n != 0 {
				t.Errorf("%v allocations to send, receive, authenticate and decrypt a packet, want 0", n)
			}
			if got != 202 {
				t.Errorf("%d packets delivered, want 202", got)
			}
		})
	})
}

func TestTickAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, codec := range []Codec{codecPCMU, codecG722} {
		t.Run(codec.Name, func(t *testing.T) {
			f := newFlow(t, codec)
			now := time.Now()
			for range 20 {
				now = f.step(now, from)
			}
			if n := testing.AllocsPerRun(100, func() { now = f.step(now, from) }); n != 0 {
				t.Errorf("%v allocations in 20 ms of a call, one direction, want 0", n)
			}
			if st := f.b.Stats(); st.Concealed != 0 || st.Late != 0 || st.DroppedReader != 0 {
				t.Errorf("not a clean stream: %+v", st)
			}
		})
	}
}

// flow is one direction of a call without a clock.
type flow struct {
	a, b   *Stream
	pa, pb *null
	in     *Audio
	out    *Audio
	frame  []int16
	heard  []int16
}

func newFlow(tb testing.TB, codec Codec) *flow {
	a, b, pa, pb := halves(tb, dtls.SRTP_AEAD_AES_128_GCM)
	f := &flow{pa: pa, pb: pb, in: NewAudio(Format{}), out: NewAudio(Format{}), frame: speech(16000, 0.02), heard: make([]int16, 320)}
	cfg := StreamConfig{Audio: f.in, Send: codec, Receive: []Codec{codec}, Sending: true, Receiving: true}
	var err error
	if f.a, err = a.NewStream(&cfg); err != nil {
		tb.Fatal(err)
	}
	cfg.Audio = f.out
	if f.b, err = b.NewStream(&cfg); err != nil {
		tb.Fatal(err)
	}
	far := time.Now().Add(time.Hour)
	f.a.rep.next, f.b.rep.next = far, far // no reports: they are rare, and may allocate
	return f
}

func (f *flow) step(now time.Time, from netip.AddrPort) time.Time {
	_, _ = f.in.WritePCM(f.frame)
	f.a.send.tick(0)
	t := f.b.t
	t.in.mu.Lock()
	t.deliver(now, f.pa.last, from) // not through the handler, which looks at the true time
	t.in.mu.Unlock()
	f.b.play(now, 0)
	_, _ = f.out.ReadPCM(f.heard)
	return now.Add(period)
}

func BenchmarkSend(b *testing.B) {
	suites(func(profile dtls.SRTPProtectionProfile, name string) {
		b.Run(name, func(b *testing.B) {
			a, _, _, _ := halves(b, profile)
			s := packetsOnly(b, a, nil)
			h, payload := rtp.Header{SSRC: 7}, make([]byte, 160)
			b.ReportAllocs()
			for b.Loop() {
				h.SequenceNumber++
				h.Timestamp += 160
				_ = s.WritePacket(&h, payload)
			}
		})
	})
}

// BenchmarkSendReceive protects, sends, receives, authenticates and decrypts.
func BenchmarkSendReceive(b *testing.B) {
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	suites(func(profile dtls.SRTPProtectionProfile, name string) {
		b.Run(name, func(b *testing.B) {
			t, u, pa, pb := halves(b, profile)
			s := packetsOnly(b, t, nil)
			packetsOnly(b, u, func(*rtp.Header, []byte) {})
			h, payload := rtp.Header{SSRC: 7}, make([]byte, 160)
			b.ReportAllocs()
			for b.Loop() {
				h.SequenceNumber++
				h.Timestamp += 160
				_ = s.WritePacket(&h, payload)
				pb.handler(pa.last, from)
			}
		})
	})
}

// BenchmarkTick is 20 ms of speech in one direction: encode, protect, send,
// receive, authenticate, decrypt, buffer, decode, resample, read.
func BenchmarkTick(b *testing.B) {
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, codec := range []Codec{codecPCMU, codecG722} {
		b.Run(codec.Name, func(b *testing.B) {
			f := newFlow(b, codec)
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				now = f.step(now, from)
			}
		})
	}
}
