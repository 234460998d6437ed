package media

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// plainPair connects two plain transports, whose packets tests can read.
func plainPair(t *testing.T, clock *Clock) (a, b *Transport, pa, pb *end) {
	t.Helper()
	pa, pb = newPipe(t)
	pa.tap, pb.tap = true, true
	a, b = connect(t, TransportConfig{RTP: pa, Keys: Keys{Plain: true}, Clock: clock, CNAME: "alice@host"},
		TransportConfig{RTP: pb, Keys: Keys{Plain: true}, Clock: clock})
	return a, b, pa, pb
}

func TestRFC3550Reports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		a, b, pa, pb := plainPair(t, clock)
		pa.delay, pb.delay = 40*time.Millisecond, 40*time.Millisecond
		// Every tenth RTP packet of alice is lost.
		n := 0
		pa.set(func(e *end) {
			e.drop = func(p []byte) bool {
				if classify(p) != kindRTP {
					return false
				}
				n++
				return n%10 == 0
			}
		})
		sa, sb := packetsOnly(t, a, nil), packetsOnly(t, b, nil)
		start := time.Now()
		sendPackets(t, sa, 1500) // 30 s
		sendPackets(t, sb, 1)
		time.Sleep(10 * time.Second)
		a.Close()
		time.Sleep(100 * time.Millisecond)
		stA, stB := sa.Stats(), sb.Stats()

		var times int
		var lastSR *rtcp.SenderReport
		for _, p := range pa.packets(kindRTCP) {
			all, err := rtcp.Unmarshal(p)
			if err != nil {
				t.Fatalf("pion/rtcp cannot read our compound packet: %v", err)
			}
			if err := rtcp.CompoundPacket(all).Validate(); err != nil && !isBye(all) {
				t.Errorf("not a valid compound packet: %v", err)
			}
			sr, ok := all[0].(*rtcp.SenderReport)
			if !ok {
				t.Fatalf("a sender's compound packet begins with %T, want an SR (RFC 3550 section 6.4)", all[0])
			}
			sdes, ok := all[1].(*rtcp.SourceDescription)
			if !ok || sdes.Chunks[0].Source != stA.LocalSSRC || sdes.Chunks[0].Items[0].Type != rtcp.SDESCNAME || sdes.Chunks[0].Items[0].Text != "alice@host" {
				t.Errorf("SDES %v, want the CNAME (RFC 3550 section 6.1)", all[1])
			}
			if sr.SSRC != stA.LocalSSRC {
				t.Errorf("SR of %x, want %x", sr.SSRC, stA.LocalSSRC)
			}
			times, lastSR = times+1, sr
		}
		took := time.Since(start)
		if least, most := int(took/(7*time.Second)), int(took/(2*time.Second))+2; times < least || times > most {
			t.Errorf("%d reports in %v, want %d to %d (every 5 s on average)", times, took, least, most)
		}
		if lastSR.PacketCount != 1500 || lastSR.OctetCount != 1500*160 {
			t.Errorf("SR counts %d packets, %d octets, want 1500, %d (payload only)", lastSR.PacketCount, lastSR.OctetCount, 1500*160)
		}
		if got := lastSR.NTPTime >> 32; got != uint64(time.Now().Unix()+2208988800) {
			t.Errorf("SR's NTP seconds %d", got)
		}
		reports := pa.packets(kindRTCP)
		all, _ := rtcp.Unmarshal(reports[len(reports)-1])
		if bye, ok := all[len(all)-1].(*rtcp.Goodbye); !ok || bye.Sources[0] != stA.LocalSSRC {
			t.Errorf("the last packet ends with %T, want a BYE", all[len(all)-1])
		}

		// What bob said about alice's packets.
		var lastBlock rtcp.ReceptionReport
		for _, p := range pb.packets(kindRTCP) {
			all, err := rtcp.Unmarshal(p)
			if err != nil {
				t.Fatal(err)
			}
			switch r := all[0].(type) {
			case *rtcp.ReceiverReport:
				if len(r.Reports) > 0 {
					lastBlock = r.Reports[0]
				}
			case *rtcp.SenderReport:
				if len(r.Reports) > 0 {
					lastBlock = r.Reports[0]
				}
			}
		}
		if lastBlock.SSRC != stA.LocalSSRC {
			t.Errorf("report block about %x, want %x", lastBlock.SSRC, stA.LocalSSRC)
		}
		if lastBlock.TotalLost < 149 || lastBlock.TotalLost > 150 {
			t.Errorf("cumulative loss %d, want 149 or 150 (RFC 3550 appendix A.3)", lastBlock.TotalLost)
		}
		if stB.Lost < 149 || stB.Lost > 150 || stA.RemoteLost != int64(lastBlock.TotalLost) {
			t.Errorf("Stats: lost %d here, %d told by the peer", stB.Lost, stA.RemoteLost)
		}
		if stA.RTT < 78*time.Millisecond || stA.RTT > 82*time.Millisecond {
			t.Errorf("round trip %v, want 80 ms (A - LSR - DLSR)", stA.RTT)
		}
		if stB.Jitter > time.Millisecond {
			t.Errorf("jitter %v of a regular stream, want none", stB.Jitter)
		}
		select {
		case <-sb.Bye():
		default:
			t.Error("bob was not told of the BYE")
		}
		if stB.Bye.IsZero() {
			t.Error("Stats says nothing of the BYE")
		}
		b.Close()
	})
}

func isBye(all []rtcp.Packet) bool {
	_, ok := all[len(all)-1].(*rtcp.Goodbye)
	return ok
}

func TestRFC3550FractionLostAndWrap(t *testing.T) {
	now := time.Unix(1000, 0)
	var r reception
	seq := uint16(65500)
	for i := range 100 {
		if i%4 == 1 { // a quarter lost, none at the ends
			seq++
			continue
		}
		if ok, _ := r.takes(now, 1, seq); !ok || !r.sequence(seq) {
			t.Fatalf("packet %d refused", seq)
		}
		seq++
	}
	b := r.block()
	if b.fraction != 64 || b.lost != 25 || b.highest != 1<<16+uint32(seq-1) {
		t.Errorf("fraction %d, lost %d, highest %d; want 64 (of 256), 25, %d", b.fraction, b.lost, b.highest, 1<<16+uint32(seq-1))
	}
	// An interval of duplicates only: the fraction is zero, not negative.
	for range 30 {
		r.sequence(seq - 1)
	}
	if b := r.block(); b.fraction != 0 || b.lost != -5 {
		t.Errorf("after duplicates: fraction %d, lost %d; want 0, -5", b.fraction, b.lost)
	}
}

func TestRFC3550Jitter(t *testing.T) {
	// Packets that come alternately 10 ms early and late: |D| is 20 ms each time,
	// and J tends to that.
	now := time.Unix(1000, 0)
	var r reception
	for i := range 400 {
		at := now.Add(time.Duration(i)*20*time.Millisecond + time.Duration(i%2)*20*time.Millisecond)
		r.timing(at, uint32(i*160), 8000)
	}
	if j := r.jitterTime(8000); j < 19*time.Millisecond || j > 21*time.Millisecond {
		t.Errorf("jitter %v, want 20 ms (RFC 3550 appendix A.8)", j)
	}
}

func TestRFC3550SourceChangeAndCollision(t *testing.T) {
	now := time.Unix(1000, 0)
	t.Run("two sources at once", func(t *testing.T) {
		var r reception
		for i := range uint16(100) {
			if ok, _ := r.takes(now, 1, i); !ok {
				t.Fatalf("packet %d of the first source refused", i)
			}
			if ok, _ := r.takes(now, 2, i); ok {
				t.Fatalf("packet %d of an interleaved source taken", i)
			}
		}
	})
	t.Run("another takes over", func(t *testing.T) {
		var r reception
		r.takes(now, 1, 5)
		var taken []bool
		for i := range uint16(4) {
			ok, _ := r.takes(now, 2, 700+i)
			taken = append(taken, ok)
		}
		if taken[0] || taken[1] || !taken[2] || !taken[3] {
			t.Errorf("packets of the new source taken: %v, want from the third on", taken)
		}
	})
	t.Run("collision", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clock := NewClock(1)
			defer clock.Close()
			a, b, pa, _ := plainPair(t, clock)
			sa := packetsOnly(t, a, nil)
			sendPackets(t, sa, 1)
			mine := sa.Stats().LocalSSRC
			p, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: mine}, Payload: []byte{1}}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			pa.inject(p, pa.addr)
			time.Sleep(50 * time.Millisecond)
			st := sa.Stats()
			if st.LocalSSRC == mine || st.Collisions != 1 {
				t.Errorf("SSRC %x kept (collisions %d), want another (RFC 3550 section 8.2)", mine, st.Collisions)
			}
			reports := pa.packets(kindRTCP)
			if len(reports) == 0 || !bytes.Contains(reports[0], appendBye(nil, mine)) {
				t.Error("no BYE for the identifier given up")
			}
			a.Close()
			b.Close()
		})
	})
}

func TestRFC3550Interval(t *testing.T) {
	if lo, hi := interval(5*time.Second, 0), interval(5*time.Second, 0.9999); lo < 2*time.Second || hi > 6200*time.Millisecond {
		t.Errorf("interval from %v to %v, want 0.5 to 1.5 times 5 s over 1.21828 (RFC 3550 section 6.3.1)", lo, hi)
	}
}

func TestRFC5761Demultiplexing(t *testing.T) {
	p := make([]byte, 40)
	for first := range 256 {
		p[0] = byte(first)
		for second := range 256 {
			p[1] = byte(second)
			want := kindUnknown
			switch {
			case first >= 20 && first <= 63:
				want = kindDTLS
			case first >= 128 && first <= 191:
				want = kindRTP
				if second >= 192 && second <= 223 {
					want = kindRTCP
				}
			}
			if got := classify(p); got != want {
				t.Fatalf("bytes %d, %d: kind %d, want %d (RFC 7983 section 7, RFC 5761 section 4)", first, second, got, want)
			}
		}
	}
}

func FuzzRTCP(f *testing.F) {
	f.Add(appendBye(appendCNAME(appendReport(nil, 1, &senderInfo{ntp: 1}, &reportBlock{ssrc: 2, lost: -1}), 1, "a"), 1))
	f.Add(appendReport(nil, 1, nil, nil))
	f.Add([]byte{0x9f, 203, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		r := reporter{byes: make([]uint32, 0, 4)}
		parseRTCP(p, &r)
	})
}
