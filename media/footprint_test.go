package media

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// An established encrypted call end has no goroutine but its path's reader: DTLS
// is closed when the keys are proven, and the clock is shared.
func TestEstablishedCallHasNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock(1)
		defer clock.Close()
		before := runtime.NumGoroutine()
		alice, bob, _, _ := callPair(t, clock, StreamConfig{Send: codecPCMU}, StreamConfig{Send: codecPCMU})
		time.Sleep(2 * dtlsLinger)
		synctest.Wait()
		// The clock's, and one of each end of the pipe.
		if n := runtime.NumGoroutine() - before; n > 3 {
			buf := make([]byte, 1<<16)
			t.Errorf("%d goroutines more than before an established call, want 3\n%s", n, buf[:runtime.Stack(buf, true)])
		}
		if at := alice.t.Stats().LastReceived; time.Since(at) > time.Second {
			t.Errorf("last received %v ago", time.Since(at))
		}
		alice.end()
		bob.end()
	})
}
