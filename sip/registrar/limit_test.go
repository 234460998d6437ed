package registrar

import (
	"net/netip"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(10)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	spend := func(from netip.Addr, tokens float64) (n int) {
		for n < 1000 && l.Take(now, from, tokens) {
			n++
		}
		return n
	}
	if n := spend(a, 1); n != 100 {
		t.Errorf("a burst of %d requests, want 100", n)
	}
	now = now.Add(time.Second)
	if n := spend(a, 1); n != 10 {
		t.Errorf("%d requests a second later, want 10", n)
	}
	if n := spend(b, 10); n != 10 {
		t.Errorf("%d wrong passwords, want 10", n)
	}
	if l.Take(now, netip.MustParseAddr("2001:db8::ffff"), 1) {
		t.Error("a neighbour in the /64 has tokens of its own")
	}
	if !newLimiter(-1).Take(now, a, 1) {
		t.Error("no limit, and yet refused")
	}
}

func TestHostileManySources(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(1)
	var refused int
	for i := range 100_000 {
		if !l.Take(now, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1) {
			refused++
		}
	}
	if len(l.sources) > maxSources+1 {
		t.Errorf("%d sources remembered, limit %d", len(l.sources), maxSources)
	}
	if refused < 90_000 {
		t.Errorf("%d refused; the sources over the limit share one bucket", refused)
	}
	now = now.Add(time.Minute)
	if !l.Take(now, netip.MustParseAddr("192.0.2.1"), 1) || len(l.sources) > 2 {
		t.Errorf("%d sources after a minute, want the idle ones forgotten", len(l.sources))
	}
}
