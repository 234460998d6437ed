package session_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
)

// profiles is where benchmarks of established calls write profiles of the moment
// that counts; those of go test mix it with setting up and tearing down. A heap
// profile of few calls wants -memprofilerate 512.
var profiles = flag.String("profiles", "", "directory for profiles of established calls")

// profile opens a file of the benchmark in the directory of -profiles; nil without one.
func profile(b *testing.B, kind string) *os.File {
	b.Helper()
	if *profiles == "" {
		return nil
	}
	name := strings.NewReplacer("/", "-", "Benchmark", "").Replace(b.Name()) + "-" + kind + ".pprof"
	f, err := os.Create(filepath.Join(*profiles, name))
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func snapshot(b *testing.B, kind, lookup string) {
	b.Helper()
	f := profile(b, kind)
	if f == nil {
		return
	}
	defer f.Close()
	if err := pprof.Lookup(lookup).WriteTo(f, 0); err != nil {
		b.Fatal(err)
	}
}

// footprint is what the process holds.
type footprint struct{ heap, stack, goroutines int64 }

func measure() footprint {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapAlloc), int64(m.StackInuse), int64(runtime.NumGoroutine())}
}

func (f footprint) report(b *testing.B, before footprint, ends int, suffix string) {
	kb := func(n int64) float64 { return float64(n) / 1000 / float64(ends) }
	heap, stack := f.heap-before.heap, f.stack-before.stack
	b.ReportMetric(kb(heap+stack), "KB/end"+suffix)
	b.ReportMetric(kb(stack), "stack-KB/end"+suffix)
	b.ReportMetric(float64(f.goroutines-before.goroutines)/float64(ends), "goroutines/end"+suffix)
}

// Until DTLS is let go: 5 s after the first protected packet, and a little.
const untilSettled = 7 * time.Second

// dial sets up n calls, a few at once, and returns both ends of each.
func (d *duo) dial(b *testing.B, n int, bobs <-chan *session.Call) []*session.Call {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	calls := make([]*session.Call, 2*n)
	errs := make([]error, n)
	slots := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			if calls[2*i], err = d.alice.Dial(ctx, d.target, nil); err != nil {
				errs[i] = err
				return
			}
			for ev := range calls[2*i].Events(ctx) {
				if _, ok := ev.(session.PathReady); ok {
					break
				}
			}
			select {
			case calls[2*i+1] = <-bobs: // whichever call it is an end of
			case <-ctx.Done():
				errs[i] = context.Cause(ctx)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return calls
}

// hangup ends calls and waits until the peer has confirmed it.
func hangup(b *testing.B, calls []*session.Call) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for _, c := range calls {
		_ = c.Close()
	}
	for _, c := range calls {
		if err := c.Wait(ctx); err != nil {
			b.Errorf("a call ended badly: %v", err)
		}
	}
}

// BenchmarkEstablished is what one end of an established encrypted call holds, out
// of 100 calls between two endpoints: the live heap and the stacks, and goroutines.
// The callee's handler, one goroutine on every other end, is among them; what else an
// application would have is not: one goroutine reads the sound of all calls, and
// silence goes both ways. The first figures are of 7 s
// after the last call was set up, when DTLS is gone but SIP's timers still hold the
// INVITE; those with "-later" of when they have let go.
//
// "packets" is the same without signalling and without a codec: ICE, DTLS-SRTP, a
// stream that forwards packets.
func BenchmarkEstablished(b *testing.B) {
	const n = 100
	b.Run("call", func(b *testing.B) {
		bobs := make(chan *session.Call)
		d := newDuo(b, session.Config{Codecs: []string{"PCMU"}}, answering(bobs))
		hangup(b, d.dial(b, 1, bobs)) // what is made once is made now
		for b.Loop() {
			before := measure()
			calls := d.dial(b, n, bobs)
			stop := hearAll(calls)
			<-time.After(untilSettled)
			measure().report(b, before, 2*n, "")
			if !testing.Short() {
				<-time.After(32 * time.Second)
				measure().report(b, before, 2*n, "-later")
			}
			snapshot(b, "heap", "heap")
			snapshot(b, "goroutine", "goroutine")
			stop()
			hangup(b, calls)
		}
		b.ReportMetric(0, "ns/op") // it is all waiting
	})
	b.Run("packets", func(b *testing.B) {
		x, y := newParty(b), newParty(b)
		ends, _, err := connect(b.Context(), x, y, [2]func(){})
		closeAll(ends)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			before := measure()
			all := connectMany(b, x, y, n)
			<-time.After(untilSettled)
			measure().report(b, before, 2*n, "")
			snapshot(b, "heap", "heap")
			snapshot(b, "goroutine", "goroutine")
			for _, e := range all {
				e.close()
			}
		}
		b.ReportMetric(0, "ns/op")
	})
}

// connectMany makes n calls without signalling and returns all their ends.
func connectMany(b *testing.B, x, y *party, n int) []*end {
	b.Helper()
	all := make([]*end, 0, 2*n)
	for range n {
		ends, _, err := connect(b.Context(), x, y, [2]func(){})
		if err != nil {
			closeAll(ends)
			b.Fatal(err)
		}
		all = append(all, ends[:]...)
	}
	return all
}

// hearAll reads the sound of all calls ten times a second, until stop is called.
func hearAll(calls []*session.Call) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]int16, 16000)
		for {
			for _, c := range calls {
				_, _ = c.Audio().ReadPCM(buf) // returns at once: there are 100 ms
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// speak writes sound to a call and reads what comes, as an application does, until
// the call ends.
func speak(wg *sync.WaitGroup, a *media.Audio) {
	frame := tone(400, 20*time.Millisecond)[:a.Format().Rate/50]
	wg.Go(func() {
		for {
			if _, err := a.WritePCM(frame); err != nil {
				return
			}
		}
	})
	wg.Go(func() {
		buf := make([]int16, len(frame))
		for {
			if _, err := a.ReadPCM(buf); err != nil {
				return
			}
		}
	})
}
