package sip

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
)

// dice are thrown by several goroutines.
type dice struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (d *dice) roll(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rnd.IntN(n)
}

func (d *dice) later(ms int, f func()) { time.AfterFunc(time.Duration(d.roll(ms))*time.Millisecond, f) }

// Calls in all stages, over both transports, on a bad network, and both agents end at
// some moment. Nobody panics or hangs, each INVITE has exactly one end, and the bubble
// shows that no goroutine is left.
func TestCloseInTheMiddle(t *testing.T) {
	for seed := range uint64(30) {
		d := &dice{rnd: rand.New(rand.NewPCG(seed, 1))}
		hangUpLater := func(dialog *Dialog) {
			dialog.Handle(func(ev DialogEvent) {
				switch ev := ev.(type) {
				case DialogInvite:
					d.later(50, func() { _ = ev.Respond([]int{200, 488}[d.roll(2)], "", "", nil) })
				case DialogRequest:
					_ = ev.Respond(200, "", "", nil)
				case DialogEnded:
				}
			})
			d.later(300, func() { _, _ = dialog.Reinvite("", nil, func(InviteEvent) {}) })
			d.later(300, func() { dialog.hangUp() })
		}
		answer := func(in *IncomingInvite) {
			d.later(50, func() { _ = in.Respond(180, "", "", nil) })
			d.later(200, func() { _ = in.Respond([]int{200, 200, 486}[d.roll(3)], "", "", nil) })
			hangUpLater(in.Dialog)
		}
		bubble(t, func(_, bob *Config) { bob.OnInvite = answer }, func(p *pair) {
			bad := netsim.Link{Delay: 5 * time.Millisecond, Loss: 0.1}
			p.aliceHost.SetLink(bad, bad)
			const calls = 20
			var mu sync.Mutex
			var ends [calls]int
			for i := range calls {
				target := uri(t, []string{"sip:bob@192.0.2.2", "sip:bob@192.0.2.2;transport=tcp"}[d.roll(2)])
				o, err := p.alice.Invite(&OutRequest{URI: target, Body: []byte(offer), ContentType: "application/sdp"}, func(ev InviteEvent) {
					switch ev := ev.(type) {
					case Answered:
						_ = ev.Dialog.Ack("", nil)
						hangUpLater(ev.Dialog)
					case Failed:
						if _, err := p.alice.Invite(&OutRequest{URI: target}, func(InviteEvent) {}); errors.Is(ev.Err, ErrClosed) && !errors.Is(err, ErrClosed) {
							t.Errorf("seed %d: a new call during Close: %v", seed, err)
						}
					default:
						return
					}
					mu.Lock()
					ends[i]++
					mu.Unlock()
				})
				p.must(err)
				if d.roll(4) == 0 {
					d.later(100, func() { o.Cancel("") })
				}
			}
			_, err := p.alice.Register(&Account{AOR: uri(t, "sip:alice@192.0.2.2"), Registrar: uri(t, "sip:192.0.2.2;transport=tcp")}, nil)
			p.must(err)
			if seed%3 == 0 { // let it all come to its end
				p.idle()
				p.idle()
			} else {
				time.Sleep(time.Duration(d.roll(300)) * time.Millisecond)
			}
			first, second := p.alice, p.bob
			if d.roll(2) == 0 {
				first, second = second, first
			}
			p.must(first.Close())
			time.Sleep(time.Duration(d.roll(40)) * time.Second)
			p.must(second.Close())
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			for i, n := range ends {
				if n != 1 {
					t.Errorf("seed %d: INVITE %d ended %d times", seed, i, n)
				}
			}
			for name, a := range map[string]*Agent{"alice": p.alice, "bob": p.bob} {
				if s := a.Stats(); s.ClientTransactions+s.ServerTransactions+s.Dialogs != 0 {
					t.Errorf("seed %d: %s keeps %+v after Close", seed, name, s)
				}
			}
		})
	}
}
