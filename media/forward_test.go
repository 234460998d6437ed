package media

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"
)

func TestForwardingGoesOnWithoutASeam(t *testing.T) {
	var f forwarding
	now := time.Unix(1000, 0)
	seq, ts := uint16(100), uint32(1000)
	next := func(ssrc uint32, s uint16, t uint32) (uint16, uint32, bool) {
		if f.begun {
			ts = f.clock(now)
		}
		a, b, ok := f.next(&rtp.Header{SSRC: ssrc, SequenceNumber: s, Timestamp: t}, seq, ts, now)
		seq = f.lastSeq + 1
		return a, b, ok
	}
	want := func(what string, a uint16, b uint32, ok bool, wantA uint16, wantB uint32) {
		t.Helper()
		if !ok || a != wantA || b != wantB {
			t.Errorf("%s: %d at %d (%v), want %d at %d", what, a, b, ok, wantA, wantB)
		}
	}
	a, b, ok := next(1, 65535, 7000)
	want("first packet", a, b, ok, 100, 1000)
	now = now.Add(40 * time.Millisecond)
	a, b, ok = next(1, 1, 7320)
	want("one lost", a, b, ok, 102, 1320)
	a, b, ok = next(1, 0, 7160)
	want("the lost one, late", a, b, ok, 101, 1160)
	if _, _, ok = next(1, 0, 7160); ok {
		t.Error("a sequence number given twice (RFC 3711 section 9.1)")
	}
	now = now.Add(20 * time.Millisecond)
	a, b, ok = next(2, 9, 55)
	want("another source", a, b, ok, 103, 1480)
	f.inserted() // a telephone event takes 104
	now = now.Add(20 * time.Millisecond)
	a, b, ok = next(2, 10, 215)
	want("after a packet of our own", a, b, ok, 105, 1640)
}

func TestForwardingNeverRepeatsANumber(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var f forwarding
	now := time.Unix(1000, 0)
	seq, ts := uint16(5), uint32(0)
	seen, last := map[int]bool{}, 5
	for i := range 200_000 {
		h := rtp.Header{SSRC: uint32(r.IntN(2)), SequenceNumber: uint16(i + r.IntN(200))}
		if r.IntN(100) == 0 {
			h.SequenceNumber = uint16(r.Uint32())
		}
		if r.IntN(50) == 0 {
			f.inserted()
			last++
			seen[last] = true
			seq = f.lastSeq + 1
		}
		got, _, ok := f.next(&h, seq, ts, now)
		seq, ts = f.lastSeq+1, f.lastTS
		if !ok {
			continue
		}
		index := last + int(int16(got-uint16(last))) // as SRTP extends it
		if seen[index] {
			t.Fatalf("packet %d: index %d given twice", i, index)
		}
		seen[index] = true
		last = max(last, index)
	}
	if len(seen) < 1000 {
		t.Errorf("only %d packets forwarded", len(seen))
	}
}
