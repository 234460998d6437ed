package media

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
)

func TestHostilePackets(t *testing.T) {
	evil := netip.MustParseAddrPort("203.0.113.66:6666")
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		pa, pb := newPipe(t)
		ka, kb := keyPair(t)
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
		alice := newParty(t, a, Format{}, StreamConfig{Send: codecG722})
		bob := newParty(t, b, Format{}, StreamConfig{Send: codecG722})
		words := speech(16000, 2)
		go alice.say(words)
		var wg sync.WaitGroup
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, 4))
			for range 100 {
				for range 20 {
					p := make([]byte, r.IntN(3000))
					for i := range p {
						p[i] = byte(r.Uint32())
					}
					if len(p) > 0 && r.IntN(2) == 0 {
						p[0] = byte(20 + r.IntN(172)) // DTLS, RTP, RTCP more often
					}
					pb.queue <- sentPacket{p, evil, time.Now()}
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		heard := bob.hear(len(words))
		wg.Wait()
		if _, corr, snr := compare(t, words[:len(words)-4000], heard, 4000); snr < 15 {
			t.Errorf("under a flood of noise: correlation %.3f, SNR %.1f dB, want 15", corr, snr)
		}
		st := b.Stats()
		if st.DroppedAuth == 0 || st.DroppedUnknown == 0 || st.DTLS == 0 {
			t.Errorf("noise was not counted: %+v", st)
		}
		a.Close()
		b.Close()
	})
}

// hostilePeer sends what an authenticated but malicious peer may send.
func TestHostilePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		pa, pb := newPipe(t)
		ka, kb := keyPair(t)
		a, b := connect(t, TransportConfig{RTP: pa, Keys: ka, Clock: clock}, TransportConfig{RTP: pb, Keys: kb, Clock: clock})
		bob := newParty(t, b, Format{}, StreamConfig{Send: codecPCMU, ReceiveDTMF: 101})
		var seq uint16
		send := func(edit func(h *rtp.Header), payload []byte) {
			seq++
			h := rtp.Header{Version: 2, SSRC: 77, SequenceNumber: seq, Timestamp: uint32(seq) * 160}
			edit(&h)
			p, err := h.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if h.Padding {
				p[0] |= 0x20
			}
			p = append(p, payload...)
			if err := a.writeRTP(append(make([]byte, 0, 4000), p...)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		same := func(*rtp.Header) {}
		send(same, make([]byte, 160))
		send(same, nil)
		send(same, make([]byte, 1900))
		send(func(h *rtp.Header) { h.PayloadType = 99 }, make([]byte, 160))
		send(func(h *rtp.Header) { h.PayloadType = 101 }, nil)
		send(func(h *rtp.Header) { h.PayloadType = 101 }, []byte{255, 255, 255})
		send(func(h *rtp.Header) { h.PayloadType = 101 }, []byte{255, 255, 255, 255})
		send(func(h *rtp.Header) { h.Padding = true }, []byte{1, 2, 3, 255}) // padding longer than the payload
		send(func(h *rtp.Header) { h.Padding = true }, []byte{1, 2, 3, 0})
		send(func(h *rtp.Header) { h.CSRC = make([]uint32, 15) }, make([]byte, 160))
		send(func(h *rtp.Header) { h.Timestamp = 0xfffffff0 }, make([]byte, 160))
		send(func(h *rtp.Header) { h.PayloadType = 9 }, make([]byte, 1400))
		st := bob.s.Stats()
		if st.DroppedPayload != 1 || st.Malformed < 2 || st.DroppedDTMF < 2 {
			t.Errorf("odd packets were not counted: %+v", st)
		}
		for i := range uint32(2000) { // a new SSRC each time
			send(func(h *rtp.Header) { h.SSRC = 1000 + i }, make([]byte, 160))
		}
		if st := b.Stats(); st.DroppedSSRC < 1900 {
			t.Errorf("2000 sources: %d dropped, want all but %d: their state must be bounded", st.DroppedSSRC, maxSSRCs)
		}
		for range 500 { // leaps of the sequence number and of time
			seq += 7919
			send(func(h *rtp.Header) { h.Timestamp = uint32(seq) * 7_000_003 }, make([]byte, 160))
		}
		time.Sleep(time.Second)
		start := time.Now()
		if n := len(bob.hear(16000)); n != 16000 || time.Since(start) > 1100*time.Millisecond {
			t.Errorf("a second of sound took %v (%d samples)", time.Since(start), n)
		}
		a.Close()
		b.Close()
	})
}

// FuzzReceive feeds the demultiplexer of a plain transport: any bytes, then a tick.
func FuzzReceive(f *testing.F) {
	valid := []byte{0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, 1, 2, 3, 4}
	f.Add(valid, false)
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, 1, 0, 0, 9, 9}, false)
	f.Add([]byte{0xa0, 101, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7, 5, 10, 0, 160, 0, 0, 0, 4}, false)
	f.Add(appendBye(appendCNAME(appendReport(nil, 7, &senderInfo{}, &reportBlock{}), 7, "x"), 7), false)
	f.Add([]byte{22, 254, 253, 0, 0}, false)
	f.Add(binary.BigEndian.AppendUint32([]byte{0x8f, 0, 0, 1, 0, 0, 0, 0}, 7), true)
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	clock := NewClock(1)
	clock.Close()
	f.Fuzz(func(t *testing.T, p []byte, twice bool) {
		path := &null{}
		tr, err := NewTransport(t.Context(), &TransportConfig{RTP: path, Clock: clock, Keys: Keys{Plain: true}})
		if err != nil {
			t.Fatal(err)
		}
		audio := NewAudio(Format{})
		s, err := tr.NewStream(&StreamConfig{Audio: audio, Send: codecPCMU, Receive: []Codec{codecPCMU, codecG722}, ReceiveDTMF: 101, Sending: true, Receiving: true, OnDTMF: func(DTMF) {}})
		if err != nil {
			t.Fatal(err)
		}
		path.handler(valid, from)
		path.handler(append([]byte(nil), p...), from)
		if twice {
			path.handler(append([]byte(nil), p...), from)
		}
		s.tick(time.Now(), 0)
		s.tick(time.Now().Add(time.Second), 3)
		_ = s.Stats()
		tr.Close()
	})
}
