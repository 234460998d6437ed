package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
)

func TestFormats(t *testing.T) {
	for _, f := range []Format{{8000, 1}, {16000, 2}, {48000, 1}, {48000, 2}} {
		for _, codec := range []Codec{codecPCMA, codecG722} {
			t.Run(fmt.Sprint(f, codec.Name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clock := NewClock(1)
					defer clock.Close()
					ta, tb, _, _ := plainPair(t, clock)
					alice := newParty(t, ta, f, StreamConfig{Send: codec})
					bob := newParty(t, tb, f, StreamConfig{Send: codec})
					mono := speech(f.Rate, 2)
					words := spread(nil, mono, f.Channels)
					go alice.say(words)
					heard := bob.hear(len(words))
					left := make([]int16, 0, len(mono))
					for i := 0; i < len(heard); i += f.Channels {
						if heard[i] != heard[i+f.Channels-1] {
							t.Fatal("the channels differ")
						}
						left = append(left, heard[i])
					}
					if _, corr, snr := compare(t, mono[:len(mono)-f.Rate/4], left, f.Rate/5); snr < 14 {
						t.Errorf("correlation %.4f, SNR %.1f dB, want 14", corr, snr)
					}
					alice.end()
					bob.end()
				})
			})
		}
	}
}

func TestRFC3551PacketTimes(t *testing.T) {
	for _, ptime := range []int{10, 20, 30, 40, 60} {
		for _, codec := range []Codec{codecPCMU, codecG722} {
			t.Run(fmt.Sprint(codec.Name, ptime), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					clock := NewClock(1)
					defer clock.Close()
					ta, tb, pa, _ := plainPair(t, clock)
					alice := newParty(t, ta, Format{}, StreamConfig{Send: codec, PTime: time.Duration(ptime) * time.Millisecond})
					bob := newParty(t, tb, Format{}, StreamConfig{Send: codec})
					words := speech(16000, 2)
					go alice.say(words)
					heard := bob.hear(len(words))
					if _, corr, snr := compare(t, words[:len(words)-6000], heard, 5000); snr < 14 {
						t.Errorf("correlation %.4f, SNR %.1f dB, want 14; %+v", corr, snr, bob.s.Stats())
					}
					packets := pa.packets(kindRTP)
					for i, p := range packets {
						// One octet per tick of the RTP clock, for G.722 as well.
						if len(p)-rtpHeader != ptime*8 {
							t.Fatalf("payload of %d octets, want %d", len(p)-rtpHeader, ptime*8)
						}
						if marked := p[1]&0x80 != 0; marked != (i == 0) {
							t.Errorf("packet %d: marker %v", i, marked)
						}
						if i > 0 {
							if d := binary.BigEndian.Uint32(p[4:]) - binary.BigEndian.Uint32(packets[i-1][4:]); d != uint32(ptime)*8 {
								t.Fatalf("timestamps %d apart, want %d", d, ptime*8)
							}
						}
					}
					alice.end()
					bob.end()
				})
			})
		}
	}
}

func TestBargeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		ta, tb, _, _ := plainPair(t, clock)
		alice := newParty(t, ta, Format{}, StreamConfig{Send: codecPCMU})
		start := time.Now()
		loud := make([]int16, 960) // 60 ms
		for i := range loud {
			loud[i] = 10000
		}
		alice.say(loud)
		alice.a.Discard()
		if err := alice.a.Drain(t.Context()); err != nil || time.Since(start) > 0 {
			t.Errorf("Drain after Discard: %v after %v, want at once", err, time.Since(start))
		}
		ta.Close()
		tb.Close()
	})
}

func TestStreamRefusals(t *testing.T) {
	a, _, _, _ := halves(t, profiles[0])
	audio := NewAudio(Format{})
	for name, cfg := range map[string]StreamConfig{
		"unknown codec":        {Audio: audio, Send: Codec{Name: "opus", PayloadType: 96, ClockRate: 48000, Channels: 2}},
		"payload type":         {Audio: audio, Send: Codec{Name: "PCMU", PayloadType: 128}},
		"received codec":       {Audio: audio, Send: codecPCMU, Receive: []Codec{{Name: "GSM", PayloadType: 3}}},
		"telephone-event type": {Audio: audio, Send: codecPCMU, SendDTMF: 200},
		"too many codecs":      {Audio: audio, Send: codecPCMU, Receive: make([]Codec, 100)},
	} {
		if _, err := a.NewStream(&cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := a.NewStream(&StreamConfig{Audio: audio, Send: codecPCMU})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WritePacket(&rtp.Header{}, nil); err == nil {
		t.Error("WritePacket on a stream with an Audio")
	}
	if err := s.Update(&StreamConfig{Send: codecPCMU}); err == nil {
		t.Error("an update that takes the Audio away")
	}
	a.Close()
	if _, err := a.NewStream(&StreamConfig{Audio: audio, Send: codecPCMU}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("NewStream after Close: %v", err)
	}
	if err := s.SendDTMF(t.Context(), "1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SendDTMF after Close: %v", err)
	}
}

func TestRFC3711RolloverCounter(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.1:4000")
	suites(func(profile dtls.SRTPProtectionProfile, name string) {
		t.Run(name, func(t *testing.T) {
			a, b, pa, pb := halves(t, profile)
			got := uint32(0)
			sa := packetsOnly(t, a, nil)
			sb := packetsOnly(t, b, func(*rtp.Header, []byte) { got++ })
			h, payload := rtp.Header{SSRC: 7}, make([]byte, 20)
			for i := range uint32(150_000) { // two wraps and more: 50 minutes
				h.SequenceNumber, h.Timestamp = uint16(i), 160*i
				if err := sa.WritePacket(&h, payload); err != nil {
					t.Fatal(err)
				}
				if i%10_000 == 5 {
					continue // lost
				}
				pb.handler(pa.last, from)
			}
			if st := sb.Stats(); got != 150_000-15 || st.Lost != 15 || b.Stats().DroppedAuth != 0 {
				t.Errorf("%d packets delivered, %d lost, %d not authentic; want %d, 15, 0", got, st.Lost, b.Stats().DroppedAuth, 150_000-15)
			}
		})
	})
}
