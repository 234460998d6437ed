package jitter

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// stream runs seconds of packets through a buffer whose reader ticks every 20 ms, and returns the
// sequence numbers played. skew lengthens the sender's frame; delay and lose say what the network
// does to a packet.
func stream(b *Buffer, packets int, skew time.Duration, delay func(seq int) time.Duration, lose func(seq int) bool) (played []int, statuses map[Status]int) {
	type arrival struct {
		at  time.Duration
		seq int
	}
	var arrivals []arrival
	for seq := range packets {
		if !lose(seq) {
			arrivals = append(arrivals, arrival{time.Duration(seq)*(20*time.Millisecond+skew) + delay(seq), seq})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	statuses = map[Status]int{}
	payload := make([]byte, 160)
	for tick := 0; len(played) < packets && tick < 3*packets+100; tick++ {
		now := time.Duration(tick) * 20 * time.Millisecond
		for len(arrivals) > 0 && arrivals[0].at <= now {
			a := arrivals[0]
			arrivals = arrivals[1:]
			b.Put(start.Add(a.at), Packet{Seq: uint16(a.seq + 65000), Timestamp: uint32(a.seq) * 160, Payload: payload})
		}
		f, s := b.Get(start.Add(now))
		statuses[s]++
		if s == Play {
			played = append(played, int(f.Timestamp/160))
		}
	}
	return played, statuses
}

func none(int) bool { return false }

// A sender's clock that is fast or slow by 1000 ppm for ten minutes: the delay stays bounded, and one
// packet in a thousand is all that is dropped or inserted.
func TestDrift(t *testing.T) {
	const packets = 30000
	want := uint64(packets / 1000)
	still := func(int) time.Duration { return 5 * time.Millisecond }
	t.Run("fast sender", func(t *testing.T) {
		b := New(Config{})
		stream(b, packets, -20*time.Microsecond, still, none)
		s := b.Stats()
		if s.Dropped < want-4 || s.Dropped > want+4 || s.Lost != 0 || s.Concealed > 3 || s.Delay > 100*time.Millisecond {
			t.Errorf("%+v, want about %d dropped and nothing lost", s, want)
		}
	})
	t.Run("slow sender", func(t *testing.T) {
		b := New(Config{})
		stream(b, packets, 20*time.Microsecond, still, none)
		s := b.Stats()
		if s.Inserted < want-4 || s.Inserted > want+4 || s.Dropped != 0 || s.Lost != 0 || s.Delay > 100*time.Millisecond {
			t.Errorf("%+v, want about %d inserted and nothing lost", s, want)
		}
	})
}

// After a spike of the network's delay everything is played; the delay it left shrinks away again.
func TestSpike(t *testing.T) {
	b := New(Config{})
	played, _ := stream(b, 1500, 0, func(seq int) time.Duration {
		if seq >= 100 && seq < 106 {
			return time.Duration(106-seq) * 20 * time.Millisecond
		}
		return 0
	}, none)
	s := b.Stats()
	if s.Lost != 0 || s.Delay > 80*time.Millisecond || len(played)+int(s.Dropped) != 1500 {
		t.Errorf("%+v after %d played, want nothing lost and a delay back under 80 ms", s, len(played))
	}
}

// Whatever the network does: never out of order, never twice, and no more lost than the network lost
// or delayed too long.
func TestRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		loss, jitter := r.Float64()*0.3*float64(seed%3), r.IntN(200)+1
		const packets = 400
		delays, lost := make([]time.Duration, packets), make([]bool, packets)
		for i := range packets {
			delays[i] = time.Duration(r.IntN(jitter)) * time.Millisecond
			lost[i] = r.Float64() < loss
		}
		b := New(Config{Min: time.Duration(20+r.IntN(80)) * time.Millisecond})
		played, _ := stream(b, packets, 0, func(seq int) time.Duration { return delays[seq] }, func(seq int) bool { return lost[seq] })
		for i := 1; i < len(played); i++ {
			if played[i] <= played[i-1] {
				t.Fatalf("seed %d: %d played after %d", seed, played[i], played[i-1])
			}
		}
		s := b.Stats()
		if got := s.Played + s.Late + s.Dropped + s.Duplicates + s.Refused + uint64(s.Depth); got != s.Received {
			t.Fatalf("seed %d: %d packets accounted for of %d: %+v", seed, got, s.Received, s)
		}
	}
}

// Packets delayed by less than Min, however they overtake each other, are all played and nothing else.
func TestAllInTime(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := New(Config{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond})
		const packets = 300
		played, statuses := stream(b, packets, 0, func(seq int) time.Duration {
			if seq == 0 {
				return 0
			}
			return time.Duration(r.IntN(95)) * time.Millisecond
		}, none)
		if len(played) != packets || statuses[Lost] != 0 {
			t.Fatalf("seed %d: %d of %d played, %v: %+v", seed, len(played), packets, statuses, b.Stats())
		}
	}
}
