package session_test

import (
	"context"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
)

const (
	manyCalls = 200
	window    = 10 * time.Second // of wall time, in which CPU time is counted
)

// cpuTime is the user and system time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// traffic is what streams have counted so far.
type traffic struct{ sent, received, lost uint64 }

// load counts what the process spends on calls that go on, in one window. Packets
// must flow at the rate they should: else the figure means nothing.
func load(b *testing.B, calls int, count func() traffic) {
	b.Helper()
	f := profile(b, "cpu")
	if f != nil {
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			b.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	before, began, cpu := count(), time.Now(), cpuTime(b)
	<-time.After(window)
	took, spent, after := time.Since(began), cpuTime(b)-cpu, count()
	b.ReportMetric(spent.Seconds()/(float64(calls)*took.Minutes()), "CPU-s/call-min")
	rate := func(n uint64) float64 { return float64(n) / float64(2*calls) / took.Seconds() }
	sent, received := rate(after.sent-before.sent), rate(after.received-before.received)
	b.ReportMetric(received, "packets/s/end")
	b.ReportMetric(float64(after.lost-before.lost), "lost")
	if sent < 49 || received < 49 {
		b.Errorf("each end sent %.1f and received %.1f packets a second, want 50", sent, received)
	}
}

// BenchmarkTalking is 200 encrypted calls with 50 packets a second each way, both
// ends in this process: the CPU time of both ends, per minute of one call, once
// every DTLS association was let go. The rate is that of the PCM on the
// application's side, which writes and reads every 20 ms at both ends; in "idle" it
// does neither, and silence goes out.
func BenchmarkTalking(b *testing.B) {
	for _, v := range []struct {
		name, codec string
		rate        int
		idle        bool
	}{
		{"PCMU-8kHz", "PCMU", 8000, false},
		{"PCMU-16kHz", "PCMU", 16000, false},
		{"PCMU-16kHz-idle", "PCMU", 16000, true},
		{"G722-16kHz", "G722", 16000, false},
	} {
		b.Run(v.name, func(b *testing.B) {
			bobs := make(chan *session.Call)
			d := newDuo(b, session.Config{Codecs: []string{v.codec}, Format: media.Format{Rate: v.rate, Channels: 1}}, answering(bobs))
			calls := d.dial(b, manyCalls, bobs)
			var app sync.WaitGroup
			if !v.idle {
				for _, c := range calls {
					speak(&app, c.Audio())
				}
			}
			<-time.After(untilSettled)
			for b.Loop() {
				load(b, manyCalls, func() (t traffic) {
					for _, c := range calls {
						s := c.Stats().Stream
						t.sent, t.received, t.lost = t.sent+s.PacketsSent, t.received+s.PacketsReceived, t.lost+s.Lost
					}
					return t
				})
			}
			b.ReportMetric(0, "ns/op") // the window
			hangup(b, calls)
			app.Wait()
		})
	}
}

// BenchmarkForwarding is the same without signalling and codec: every 20 ms a
// program gives each end a packet to protect and send, and takes what comes. One
// goroutine paces all of them, spread over ten phases.
func BenchmarkForwarding(b *testing.B) {
	x, y := newParty(b), newParty(b)
	all := connectMany(b, x, y, manyCalls)
	ctx, cancel := context.WithCancel(b.Context())
	var pacing sync.WaitGroup
	pacing.Go(func() { pace(ctx, all) })
	<-time.After(untilSettled)
	for b.Loop() {
		load(b, manyCalls, func() (t traffic) {
			for _, e := range all {
				s := e.stream.Stats()
				t.sent, t.received, t.lost = t.sent+s.PacketsSent, t.received+s.PacketsReceived, t.lost+s.Lost
			}
			return t
		})
	}
	b.ReportMetric(0, "ns/op")
	cancel()
	pacing.Wait()
	for _, e := range all {
		e.close()
	}
}

// pace lets every end send a packet each 20 ms until ctx ends.
func pace(ctx context.Context, ends []*end) {
	const phases = 10
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for phase := 0; ; phase = (phase + 1) % phases {
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		next = next.Add(20 * time.Millisecond / phases)
		for i := phase; i < len(ends); i += phases {
			_ = ends[i].send() // fails only when it closes
		}
	}
}

// BenchmarkCallsAtOnce is BenchmarkCall without waiting for sound, eight calls at a
// time: what setting up and tearing down a call costs.
func BenchmarkCallsAtOnce(b *testing.B) {
	d := newDuo(b, session.Config{Codecs: []string{"PCMU"}}, func(ctx context.Context, in *session.Incoming) {
		if _, err := in.Answer(ctx); err != nil {
			return
		}
		<-ctx.Done()
	})
	call := func() error {
		call, err := d.alice.Dial(b.Context(), d.target, nil)
		if err != nil {
			return err
		}
		for ev := range call.Events(b.Context()) {
			if _, ok := ev.(session.PathReady); ok {
				break
			}
		}
		return call.Hangup(b.Context())
	}
	const atOnce = 8
	free := make(chan error, atOnce)
	for range atOnce {
		free <- nil
	}
	n, cpu := 0, cpuTime(b)
	b.ReportAllocs() // of both ends
	for b.Loop() {
		if err := <-free; err != nil {
			b.Fatal(err)
		}
		n++
		go func() { free <- call() }()
	}
	for range atOnce {
		if err := <-free; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/1000/float64(n), "CPU-ms/call") // both ends
}
