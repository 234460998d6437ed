package netsim

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// arrival is one packet of a run: its number and how long it took.
type arrival struct {
	n    int
	took time.Duration
}

// run sends packets of the class every 20 ms over a link and returns what
// arrived, in order.
func run(t *testing.T, seed uint64, l Link, packets int, first byte, besides func(c *UDPConn)) []arrival {
	t.Helper()
	var got []arrival
	synctest.Test(t, func(t *testing.T) {
		s := New(seed)
		defer s.Close()
		a, b := s.NewHost("192.0.2.1", nil), s.NewHost("192.0.2.2", nil)
		a.SetLink(l, Link{})
		ca, cb := udp(t, a, ":1"), udp(t, b, ":1")
		sent := make([]time.Time, packets)
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 2000)
			for {
				n, err := cb.Read(buf)
				if err != nil {
					return
				}
				if buf[0] == first && n == 160 {
					i := int(binary.BigEndian.Uint32(buf[1:]))
					got = append(got, arrival{i, time.Since(sent[i])})
				}
			}
		}()
		p := make([]byte, 160)
		p[0] = first
		for i := range packets {
			binary.BigEndian.PutUint32(p[1:], uint32(i))
			sent[i] = time.Now()
			ca.put(t, string(p), "192.0.2.2:1")
			if besides != nil {
				besides(ca)
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		cb.Close()
		ca.Close()
		<-done
	})
	return got
}

const rtp = 0x80

func TestLinkPerfect(t *testing.T) {
	got := run(t, 1, Link{}, 100, rtp, nil)
	if len(got) != 100 || slices.ContainsFunc(got, func(a arrival) bool { return a.took != 0 }) {
		t.Fatal(got)
	}
}

func TestLinkDown(t *testing.T) {
	if got := run(t, 1, Link{Down: true}, 100, rtp, nil); len(got) != 0 {
		t.Fatal(got)
	}
}

func TestLinkJitter(t *testing.T) {
	l := Link{Delay: 50 * time.Millisecond, Jitter: 100 * time.Millisecond}
	got := run(t, 1, l, 1000, rtp, nil)
	if len(got) != 1000 {
		t.Fatalf("%d of 1000 arrived", len(got))
	}
	var least, most, sum time.Duration = time.Hour, 0, 0
	for i, a := range got {
		if a.n != i {
			t.Fatalf("packet %d came as number %d: jitter alone must not reorder", a.n, i)
		}
		least, most, sum = min(least, a.took), max(most, a.took), sum+a.took
	}
	if least < l.Delay || least > l.Delay+20*time.Millisecond || most > l.Delay+l.Jitter || most < l.Delay+l.Jitter-10*time.Millisecond {
		t.Errorf("took %v to %v, mean %v", least, most, sum/1000)
	}
}

func TestLinkLoss(t *testing.T) {
	const n = 5000
	for _, tc := range []struct {
		link Link
		runs float64 // mean length of runs of losses
	}{
		{Link{Loss: 0.1}, 1 / 0.9},
		{Link{Loss: 0.1, Burst: 4}, 4},
	} {
		got := run(t, 1, tc.link, n, rtp, nil)
		if loss := 1 - float64(len(got))/n; math.Abs(loss-0.1) > 0.02 {
			t.Errorf("%+v: lost %.3f, want 0.1", tc.link, loss)
		}
		runs, next := 0, 0
		for _, a := range got {
			if a.n != next {
				runs++
			}
			next = a.n + 1
		}
		if mean := float64(n-len(got)) / float64(runs); math.Abs(mean-tc.runs) > tc.runs*0.2 {
			t.Errorf("%+v: runs of %.2f losses, want %.2f", tc.link, mean, tc.runs)
		}
	}
	if got := run(t, 1, Link{Loss: 1}, 100, rtp, nil); len(got) != 0 {
		t.Errorf("loss 1: %d arrived", len(got))
	}
}

func TestLinkReorder(t *testing.T) {
	got := run(t, 1, Link{Delay: 10 * time.Millisecond, Reorder: 0.1}, 1000, rtp, nil)
	if len(got) != 1000 {
		t.Fatalf("%d of 1000 arrived", len(got))
	}
	late := 0
	for i := 1; i < len(got); i++ {
		if got[i].n < got[i-1].n {
			late++
		}
	}
	if late < 50 || late > 150 {
		t.Errorf("%d of 1000 came late, want about 100", late)
	}
}

func TestLinkDuplicates(t *testing.T) {
	got := run(t, 1, Link{Dup: 0.2}, 1000, rtp, nil)
	if len(got) < 1150 || len(got) > 1250 {
		t.Errorf("%d arrived, want about 1200", len(got))
	}
}

func TestLinkRate(t *testing.T) {
	// 188 bytes with headers in 20 ms are 75,200 bit/s.
	got := run(t, 1, Link{Rate: 100_000}, 100, rtp, nil)
	if len(got) != 100 || got[99].took != 188*8*10*time.Microsecond {
		t.Errorf("faster than the traffic: %d arrived, the last after %v", len(got), got[len(got)-1].took)
	}
	got = run(t, 1, Link{Rate: 37_600}, 1000, rtp, nil)
	last := got[len(got)-1]
	if len(got) < 500 || len(got) > 510 || last.took < 200*time.Millisecond || last.took > 260*time.Millisecond {
		t.Errorf("half as fast: %d of 1000 arrived, the last after %v", len(got), last.took)
	}
}

func TestLinkMTU(t *testing.T) {
	if got := run(t, 1, Link{MTU: 160}, 10, rtp, nil); len(got) != 10 {
		t.Errorf("%d of 10 that fit arrived", len(got))
	}
	if got := run(t, 1, Link{MTU: 159}, 10, rtp, nil); len(got) != 0 {
		t.Errorf("%d of 10 that are too long arrived", len(got))
	}
}

func TestSameSeedSameFate(t *testing.T) {
	l := Link{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.1, Reorder: 0.05, Dup: 0.05}
	first := run(t, 7, l, 500, rtp, nil)
	if again := run(t, 7, l, 500, rtp, nil); !slices.Equal(first, again) {
		t.Error("the same seed gave another run")
	}
	if other := run(t, 8, l, 500, rtp, nil); slices.Equal(first, other) {
		t.Error("another seed gave the same run")
	}
	lost := func(got []arrival) []int {
		var ns []int
		for _, a := range got {
			ns = append(ns, a.n)
		}
		slices.Sort(ns)
		return slices.Compact(ns)
	}
	checks := func(c *UDPConn) { c.WriteToUDPAddrPort([]byte{0, 1}, netip.MustParseAddrPort("192.0.2.2:1")) }
	if with := run(t, 7, l, 500, rtp, checks); !slices.Equal(lost(first), lost(with)) {
		t.Error("STUN traffic beside changed which RTP packets are lost")
	}
}

func TestClasses(t *testing.T) {
	for first, want := range map[string]int{
		"\x00\x01": classSTUN, "\x40\x00": classSTUN, "\x16\xfe": classDTLS, "\x80\x00": classRTP, "\x80\xc8": classRTP,
		"INVITE sip:": classSIP, "SIP/2.0 200": classSIP, "\r\n\r\n": classSIP, "": classSTUN,
	} {
		if got := classOf([]byte(first)); got != want {
			t.Errorf("%q: class %d, want %d", first, got, want)
		}
	}
}
