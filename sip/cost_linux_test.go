package sip

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	atOnce = 50
	// calleeVar tells a copy of the test binary that it is the callee.
	calleeVar = "PEERCALL_BENCHMARK_CALLEE"
	calleeSay = "callee: " // begins each line of it that is meant for the caller
)

// costs is what one process used since it began to count.
type costs struct {
	Addr    string        `json:",omitempty"` // of the callee, in its first line only
	CPU     time.Duration // user and system
	Mallocs uint64
	Heap    uint64 // live bytes
}

// used is what this process has used; Heap costs two collections.
func used(tb testing.TB, heap bool) costs {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c := costs{CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Mallocs: m.Mallocs}
	if heap {
		runtime.GC()
		runtime.GC() // what finalizers held
		runtime.ReadMemStats(&m)
		c.Heap = m.HeapAlloc
	}
	return c
}

func (c costs) since(before costs) costs {
	return costs{CPU: c.CPU - before.CPU, Mallocs: c.Mallocs - before.Mallocs, Heap: c.Heap - min(c.Heap, before.Heap)}
}

// callSDP is a session description of the usual size.
func callSDP() []byte {
	return []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 9 101\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n" +
		"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n")
}

// BenchmarkCalls is the signalling of calls between two processes, 50 at once, on
// loopback UDP: INVITE with SDP, 200 with SDP, ACK, BYE, 200. It counts the CPU time
// of both processes, and the heap that finished calls still hold: right afterwards,
// and (but for -short) when their timers have ended. With -benchtime 30000x every
// call is still in its timers at the end; the client transactions of one agent
// (65,536, two a call for 32 s) allow no more.
func BenchmarkCalls(b *testing.B) {
	callee, stop := startCallee(b)
	agent, err := Listen(b.Context(), &Config{Listen: []string{"udp://127.0.0.1:0"}, MaxTransactions: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer agent.Close()
	start := <-callee
	target, err := ParseURI("sip:bob@" + start.Addr)
	if err != nil {
		b.Fatal(err)
	}
	sdp := callSDP()
	from := Address{URI: URI{Scheme: "sip", User: "alice", Host: "127.0.0.1"}}
	call := func() error {
		answered := make(chan *Dialog, 1)
		failed := make(chan error, 1)
		_, err := agent.Invite(&OutRequest{URI: target, From: from, ContentType: "application/sdp", Body: sdp}, func(ev InviteEvent) {
			switch ev := ev.(type) {
			case Answered:
				answered <- ev.Dialog
			case Failed:
				failed <- ev.Err
			}
		})
		if err != nil {
			return err
		}
		select {
		case d := <-answered:
			if err := d.Ack("", nil); err != nil {
				return err
			}
			return d.Bye(b.Context())
		case err := <-failed:
			return err
		}
	}
	before := used(b, true)
	free := make(chan error, atOnce)
	for range atOnce {
		free <- nil
	}
	n := 0
	b.ReportAllocs() // of the caller
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
	took := b.Elapsed()
	b.StopTimer()
	ours := used(b, true).since(before)
	stop.report()
	theirs := (<-callee).since(start)
	calls := float64(n)
	b.ReportMetric(calls/took.Seconds(), "calls/s")
	b.ReportMetric(float64((ours.CPU+theirs.CPU).Microseconds())/calls, "CPU-us/call")
	b.ReportMetric(float64(ours.Mallocs+theirs.Mallocs)/calls, "mallocs/call")
	b.ReportMetric(float64(ours.Heap)/1e6, "caller-MB")
	b.ReportMetric(float64(theirs.Heap)/1e6, "callee-MB")
	b.ReportMetric(float64(agent.Stats().Retransmissions), "retransmissions")
	if testing.Short() || n < 1000 {
		return
	}
	<-time.After(34 * time.Second) // 64*T1, and a little
	b.ReportMetric(float64(used(b, true).since(before).Heap)/1e6, "caller-idle-MB")
	stop.report()
	b.ReportMetric(float64((<-callee).since(start).Heap)/1e6, "callee-idle-MB")
}

// remote is the process of the callee.
type remote struct{ ask chan struct{} }

func (r *remote) report() { r.ask <- struct{}{} }

// startCallee runs BenchmarkCallee in a process of its own. What it says comes out
// of the channel, first when it listens and then whenever it is asked.
func startCallee(b *testing.B) (<-chan costs, *remote) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkCallee$", "-test.benchtime=1x")
	cmd.Env = append(os.Environ(), calleeVar+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	said := make(chan costs)
	r := &remote{ask: make(chan struct{})}
	go func() { // ends when the benchmark closes ask
		for range r.ask {
			_, _ = fmt.Fprintln(in)
		}
		_ = in.Close()
	}()
	go func() { // ends with the process
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, text, ok := strings.Cut(lines.Text(), calleeSay)
			var c costs
			if ok && json.Unmarshal([]byte(text), &c) == nil {
				said <- c
			}
		}
	}()
	b.Cleanup(func() {
		close(r.ask)
		for range said { // until it has ended
		}
		if err := cmd.Wait(); err != nil {
			b.Errorf("callee: %v", err)
		}
	})
	return said, r
}

// BenchmarkCallee is the other process of BenchmarkCalls. By itself it does nothing.
func BenchmarkCallee(b *testing.B) {
	if os.Getenv(calleeVar) == "" {
		b.Skip("the other process of BenchmarkCalls")
	}
	sdp := callSDP()
	agent, err := Listen(b.Context(), &Config{
		Listen: []string{"udp://127.0.0.1:0"}, MaxTransactions: -1,
		OnInvite: func(in *IncomingInvite) { _ = in.Respond(200, "", "application/sdp", sdp) },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer agent.Close()
	at, _ := agent.Addr("udp")
	say := func(c costs) {
		c.Addr = cmp.Or(c.Addr, at.String())
		text, err := json.Marshal(c)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Printf("\n%s%s\n", calleeSay, text)
	}
	for range b.N {
		say(used(b, true))
		for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
			say(used(b, true))
		}
	}
}
