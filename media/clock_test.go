package media

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// metronome records its ticks, and may stall in one of them.
type metronome struct {
	mu      sync.Mutex
	at      []time.Time
	missed  int
	stallAt int
	stall   time.Duration
}

func (m *metronome) tick(now time.Time, missed int) {
	m.mu.Lock()
	m.at = append(m.at, now)
	m.missed += missed
	n := len(m.at)
	m.mu.Unlock()
	if n == m.stallAt {
		time.Sleep(m.stall) // virtual
	}
}

// ticks returns what was recorded so far.
func (m *metronome) ticks() (at []time.Time, missed int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.at), m.missed
}

func (m *metronome) count() int {
	at, _ := m.ticks()
	return len(at)
}

func TestClockTicksEvery20ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(2)
		all := make([]*metronome, 200)
		var remove []func()
		for i := range all {
			all[i] = &metronome{}
			remove = append(remove, c.add(all[i]))
		}
		time.Sleep(time.Second)
		phases := map[time.Duration]int{}
		for _, m := range all {
			at, _ := m.ticks()
			if len(at) < 49 || len(at) > 51 {
				t.Fatalf("%d ticks in a second, want 50", len(at))
			}
			for i := 1; i < len(at); i++ {
				if d := at[i].Sub(at[i-1]); d != period {
					t.Fatalf("ticks %v apart, want 20 ms", d)
				}
			}
			phases[time.Duration(at[0].UnixNano())%period]++
		}
		if len(phases) != slots {
			t.Errorf("200 streams in %d phases, want %d", len(phases), slots)
		}
		for _, f := range remove {
			f()
		}
		synctest.Wait()
		before := all[0].count()
		time.Sleep(time.Second)
		if all[0].count() != before {
			t.Error("a removed stream ticks on")
		}
		// Idle: the goroutines ended, and come back with a stream.
		m := &metronome{}
		defer c.add(m)()
		time.Sleep(100 * time.Millisecond)
		if n := m.count(); n < 4 {
			t.Errorf("%d ticks in 100 ms after the clock was idle", n)
		}
		c.Close()
	})
}

func TestClockIdleHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(4)
		remove := c.add(&metronome{})
		time.Sleep(50 * time.Millisecond)
		remove()
		synctest.Wait()
		buf := make([]byte, 1<<16)
		if all := string(buf[:runtime.Stack(buf, true)]); strings.Contains(all, "(*shard).run") {
			t.Errorf("an idle clock has a goroutine:\n%s", all)
		}
		c.Close()
	})
}

func TestClockStall(t *testing.T) {
	for _, stall := range []time.Duration{15 * time.Millisecond, 90 * time.Millisecond, 250 * time.Millisecond, 3 * time.Second} {
		t.Run(stall.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := NewClock(1)
				defer c.Close()
				m, other := &metronome{stallAt: 10, stall: stall}, &metronome{}
				defer c.add(m)()
				defer c.add(other)()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				for _, m := range []*metronome{m, other} {
					at, missed := m.ticks()
					if total := len(at) + missed; total < 248 || total > 251 {
						t.Errorf("%d ticks and %d missed, want 250 together", len(at), missed)
					}
					// At most one tick is late; after it the phase is the old one.
					for i := 12; i < len(at); i++ {
						if d := at[i].Sub(at[0]) % period; d != 0 {
							t.Fatalf("tick %d is %v out of phase", i, d)
						}
					}
				}
			})
		})
	}
}
