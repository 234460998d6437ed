package media

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// staller holds up a clock's goroutine, as a busy machine does.
type staller struct{ every, stall time.Duration }

func (s *staller) tick(now time.Time, missed int) {
	if now.UnixNano()/int64(s.every) != now.Add(-period*time.Duration(missed+1)).UnixNano()/int64(s.every) {
		time.Sleep(s.stall) // virtual
	}
}

// A machine that stalls does late what it did not do in time; it does not tear the
// words apart.
func TestStallsLeaveTheWordsWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		alice, bob   time.Duration // how long their clocks stall, once a second
		writer, read time.Duration // how long alice's writer and bob's reader stall, once a second
		corr         float64
	}{
		"both clocks, one machine": {alice: 250 * time.Millisecond, bob: 250 * time.Millisecond, corr: 0.99},
		"both, in short":           {alice: 70 * time.Millisecond, bob: 70 * time.Millisecond, corr: 0.99},
		"the hearer's":             {bob: 300 * time.Millisecond, corr: 0.99},
		"the talker's, in short":   {alice: 40 * time.Millisecond, corr: 0.99},
		"the reader":               {read: 400 * time.Millisecond, corr: 0.99},
		"the writer, in short":     {writer: 55 * time.Millisecond, corr: 0.99},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, cb := NewClock(1), NewClock(1)
				defer ca.Close()
				defer cb.Close()
				pa, pb := newPipe(t)
				ta, tb := connect(t, TransportConfig{RTP: pa, Keys: Keys{Plain: true}, Clock: ca}, TransportConfig{RTP: pb, Keys: Keys{Plain: true}, Clock: cb})
				alice := newParty(t, ta, Format{}, StreamConfig{Send: codecPCMU})
				bob := newParty(t, tb, Format{}, StreamConfig{Send: codecPCMU})
				words := speech(16000, 6)
				time.Sleep(100 * time.Millisecond) // both talk, in silence
				for c, d := range map[*Clock]time.Duration{ca: tc.alice, cb: tc.bob} {
					if d > 0 {
						defer c.add(&staller{time.Second, d})()
					}
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					for i := 0; i < len(words); i += 320 {
						if i%16000 == 8000-8000%320 {
							time.Sleep(tc.writer)
						}
						alice.say(words[i : i+320])
					}
				})
				var heard []int16
				wg.Go(func() {
					for len(heard) < len(words) {
						heard = append(heard, bob.hear(8000)...)
						time.Sleep(tc.read)
					}
				})
				wg.Wait()
				at := bob.s.Stats()
				delay, corr, _ := compare(t, words[:len(words)-16000], heard, 8000)
				if corr < tc.corr || at.Lost != 0 || at.DroppedReader != 0 {
					t.Errorf("heard with correlation %.3f after %v, want %.2f; lost %d, concealed %d, dropped for the reader %d",
						corr, time.Duration(delay)*time.Second/16000, tc.corr, at.Lost, at.Concealed, at.DroppedReader)
				}
				ta.Close()
				tb.Close()
			})
		})
	}
}

// Words that end are followed by silence at once; a stall does not make it wait.
func TestSilenceIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		ta, _, pa, _ := plainPair(t, clock)
		alice := newParty(t, ta, Format{}, StreamConfig{Send: codecPCMU})
		pa.set(func(e *end) { e.tap = true })
		alice.say(speech(16000, 0.5))
		time.Sleep(500 * time.Millisecond)
		if n := len(pa.packets(kindRTP)); n < 46 || n > 48 { // the words were queued after 440 ms
			t.Errorf("%d packets in 940 ms of words and silence, want 47", n)
		}
	})
}
