package sip

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

// TestCrowd makes many calls at once, both ways, on a network that loses,
// doubles and reorders; nothing may be left of them.
func TestCrowd(t *testing.T) {
	bubble(t, func(alice, bob *Config) {
		answer := func(in *IncomingInvite) {
			in.Handle(func(IncomingEvent) {})
			_ = in.Respond(180, "", "", nil)
			_ = in.Respond(200, "", "application/sdp", []byte(agreed))
		}
		alice.OnInvite, bob.OnInvite = answer, answer
		alice.Trace, bob.Trace = nil, nil
	}, func(p *pair) {
		bad := netsim.Link{Delay: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.05, Dup: 0.05, Reorder: 0.1}
		p.aliceHost.SetLink(bad, bad)
		var all sync.WaitGroup
		for i := range 200 {
			from, to := p.alice, "192.0.2.2"
			if i%2 == 1 {
				from, to = p.bob, "192.0.2.1"
			}
			all.Go(func() {
				ended := make(chan error, 1)
				var out *OutgoingInvite
				ready := make(chan struct{})
				out, err := from.Invite(&OutRequest{URI: URI{Scheme: "sip", Host: to}}, func(ev InviteEvent) {
					<-ready
					switch ev := ev.(type) {
					case Progress:
						if i%5 == 0 {
							out.Cancel("")
						}
					case Answered:
						_ = ev.Dialog.Ack("", nil)
						go func() {
							time.Sleep(time.Duration(i) * time.Millisecond)
							ended <- ev.Dialog.Bye(p.t.Context())
						}()
					case Failed:
						if i%5 == 0 && isStatus(ev.Err, 487) {
							ended <- nil
						} else {
							ended <- ev.Err
						}
					}
				})
				close(ready)
				if err == nil {
					err = <-ended
				}
				if err != nil {
					p.t.Errorf("call %d: %v", i, err)
				}
			})
		}
		all.Wait()
		time.Sleep(2 * time.Minute)
		for _, a := range []*Agent{p.alice, p.bob} {
			a.mu.Lock()
			if len(a.serving)+len(a.dialogs) != 0 {
				p.t.Errorf("%d INVITEs and %d dialogs are still listed", len(a.serving), len(a.dialogs))
			}
			a.mu.Unlock()
		}
		for who, st := range map[string]Stats{"alice": p.alice.Stats(), "bob": p.bob.Stats()} {
			if st.Dialogs != 0 || st.ClientTransactions != 0 || st.ServerTransactions != 0 {
				p.t.Errorf("%s: after all timers %+v", who, st)
			}
		}
	})
}

// TestIdleCallsHaveNoGoroutines counts what a hundred calls in progress cost.
func TestIdleCallsHaveNoGoroutines(t *testing.T) {
	bubble(t, nil, func(p *pair) {
		p.up()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 100 {
			p.up()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+10 { // the runtime has some of its own
			p.t.Errorf("%d goroutines more for 100 calls that only wait", after-before)
		}
	})
}
