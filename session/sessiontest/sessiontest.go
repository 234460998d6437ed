// Package sessiontest gives connected endpoints on a simulated network, for the
// tests of applications, as net/http/httptest does for HTTP. The full stack runs:
// SIP, ICE, DTLS-SRTP and codecs. Nothing leaves the process.
//
// # Usage
//
// Inside a testing/synctest bubble a call of an hour takes no time:
//
//	func TestGreeting(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			p := sessiontest.Pair(t)
//			go wav.Play(t.Context(), p.AliceCall.Audio(), greeting)
//			heard := make([]int16, 16000)
//			n, err := p.BobCall.Audio().ReadPCM(heard)
//			...
//		})
//	}
//
// Outside a bubble the same code runs in real time. What Pair, New and Listen
// make is closed when the test ends.
//
// # Limitations
//
// A process whose tests use bubbles should call Main from its TestMain: the first
// DNS look-up of a process must not happen inside a bubble.
package sessiontest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/session"
)

// Main runs the tests of a process that uses bubbles.
func Main(m *testing.M) {
	netsim.WarmResolver()
	os.Exit(m.Run())
}

// Net is a simulated network. Its methods are safe for concurrent use but for New
// and Listen, which belong to the test's goroutine.
type Net struct {
	t     testing.TB
	sim   *netsim.Sim
	hosts map[string]*netsim.Host
}

// Link is what a host's packets meet, in each direction.
type Link struct {
	Delay, Jitter time.Duration
	Loss          float64 // share of packets, 0 to 1
}

// New makes a network without hosts. seed decides which packets are lost.
func New(t testing.TB, seed uint64) *Net {
	n := &Net{t: t, sim: netsim.New(seed), hosts: map[string]*netsim.Host{}}
	t.Cleanup(n.sim.Close)
	return n
}

// Listen makes an endpoint on a host of its own with a public address. The Config
// may be nil; its Network, and its Listen when that is empty, are filled in: UDP
// and TCP on port 5060.
func (n *Net) Listen(name string, cfg *session.Config) *session.Endpoint {
	n.t.Helper()
	c := session.Config{}
	if cfg != nil {
		c = *cfg
	}
	ip := fmt.Sprintf("198.51.100.%d", len(n.hosts)+1)
	host := n.sim.NewHost(ip, nil)
	n.hosts[name] = host
	n.sim.AddName(name+".example", ip)
	c.Network = host
	if len(c.Listen) == 0 {
		c.Listen = []string{"udp://" + ip + ":5060", "tcp://" + ip + ":5060"}
	}
	ep, err := session.Listen(context.Background(), &c)
	if err != nil {
		n.t.Fatalf("sessiontest: %s: %v", name, err)
	}
	n.t.Cleanup(func() {
		if err := ep.Close(); err != nil {
			n.t.Errorf("sessiontest: close %s: %v", name, err)
		}
	})
	return ep
}

// SetLink sets the link of a host, in both directions.
func (n *Net) SetLink(name string, l Link) {
	n.t.Helper()
	host := n.hosts[name]
	if host == nil {
		n.t.Fatalf("sessiontest: there is no host %q", name)
	}
	k := netsim.Link{Delay: l.Delay, Jitter: l.Jitter, Loss: l.Loss}
	host.SetLink(k, k)
}

// Crash takes a host off the network at once, as a power cut does.
func (n *Net) Crash(name string) {
	n.t.Helper()
	host := n.hosts[name]
	if host == nil {
		n.t.Fatalf("sessiontest: there is no host %q", name)
	}
	host.Crash(true)
}

// Connected is a call that is on: two endpoints, "alice" and "bob", and each
// side's view of the call.
type Connected struct {
	Net                *Net
	Alice, Bob         *session.Endpoint
	AliceCall, BobCall *session.Call
}

// Pair gives an established, encrypted call from alice to bob. It returns when
// media flows both ways.
func Pair(t testing.TB) *Connected {
	t.Helper()
	n := New(t, 1)
	p := &Connected{Net: n}
	calls := make(chan *session.Call, 1)
	p.Bob = n.Listen("bob", &session.Config{Handler: session.HandlerFunc(func(ctx context.Context, in *session.Incoming) {
		call, err := in.Answer(ctx)
		if err != nil {
			t.Errorf("sessiontest: bob cannot answer: %v", err)
			close(calls)
			return
		}
		calls <- call
		<-ctx.Done()
	})})
	p.Alice = n.Listen("alice", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	if p.AliceCall, err = p.Alice.Dial(ctx, "sip:bob@bob.example", nil); err != nil {
		t.Fatalf("sessiontest: alice calls bob: %v", err)
	}
	if p.BobCall = <-calls; p.BobCall == nil {
		t.FailNow()
	}
	flows(ctx, t, p.AliceCall)
	flows(ctx, t, p.BobCall)
	return p
}

// flows waits until media flows.
func flows(ctx context.Context, t testing.TB, call *session.Call) {
	t.Helper()
	for ev := range call.Events(ctx) {
		switch ev := ev.(type) {
		case session.PathReady:
			return
		case session.Ended:
			t.Fatalf("sessiontest: %v", ev.Err)
		}
	}
	t.Fatalf("sessiontest: no media: %v", context.Cause(ctx))
}
