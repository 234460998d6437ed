package registrar

import (
	"net/netip"
	"sync"
	"time"
)

const maxSources = 4096 // sources counted apart; ours

// limiter is a token bucket per source: an IPv4 address or an IPv6 /64. It is
// told the time and safe for concurrent use. When there are too many sources,
// the new ones share one bucket.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex // guards what follows
	sources map[netip.Prefix]*bucket
	swept   time.Time
}

type bucket struct {
	tokens float64
	last   time.Time
}

func newLimiter(perSecond int) *limiter {
	return &limiter{rate: float64(perSecond), burst: 10 * float64(perSecond), sources: make(map[netip.Prefix]*bucket)}
}

// Take reports whether source may spend so many tokens now.
func (l *limiter) Take(now time.Time, source netip.Addr, tokens float64) bool {
	if l.rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := sourceKey(source)
	b := l.sources[key]
	if b == nil {
		if len(l.sources) >= maxSources && now.Sub(l.swept) >= time.Second {
			l.swept = now
			l.forgetIdle(now)
		}
		if len(l.sources) >= maxSources {
			key = netip.Prefix{}
		}
		if b = l.sources[key]; b == nil {
			b = &bucket{tokens: l.burst, last: now}
			l.sources[key] = b
		}
	}
	b.tokens = min(l.burst, b.tokens+l.rate*max(0, now.Sub(b.last).Seconds()))
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens = max(-l.burst, b.tokens-tokens)
	return true
}

func (l *limiter) forgetIdle(now time.Time) {
	for k, b := range l.sources {
		if b.tokens+l.rate*now.Sub(b.last).Seconds() >= l.burst {
			delete(l.sources, k)
		}
	}
}

func sourceKey(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr only
	return p
}
