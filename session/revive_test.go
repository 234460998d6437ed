package session_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/session"
)

// silenceAfter is the longest that a call may be silent after a NAT forgot it.
const silenceAfter = 25 * time.Second

// paths counts the PathReady events of a call until it ends.
func paths(t *testing.T, c *session.Call) *atomic.Int32 {
	n := new(atomic.Int32)
	events := c.Events(t.Context())
	go func() {
		for ev := range events {
			if _, ok := ev.(session.PathReady); ok {
				n.Add(1)
			}
		}
	}()
	return n
}

// forget makes the NATs of some people forget everything, and gives them other
// public addresses if they are to be new.
func (w *world) forget(other bool, who ...string) {
	for i, name := range who {
		public := ""
		if other {
			public = fmt.Sprintf("198.51.100.%d", 70+i)
		}
		w.sim.Rebind(w.homes[name], public)
	}
}

// transportsWith are the signalling's: one kind of NAT will do for streams.
func transportsWith(kind netsim.NATKind) []string {
	if kind == netsim.PortRestricted {
		return []string{"udp", "tcp"}
	}
	return []string{"udp"}
}

// goesOn wants the call to be heard on both sides in time, as protected as before.
func (w *world) goesOn(alice, bob *session.Call, before map[string]session.Security) {
	w.Helper()
	time.Sleep(silenceAfter) // virtual
	for name, c := range map[string]*session.Call{"alice": alice, "bob": bob} {
		if err := c.Err(); err != nil {
			w.Errorf("%s: the call ended: %v", name, err)
		}
		if s := c.Security(); s != before[name] {
			w.Errorf("%s: protected by %+v now, %+v before", name, s, before[name])
		}
	}
	if w.Failed() {
		return
	}
	alice.Audio().Discard()
	bob.Audio().Discard()
	talk(w.T, alice, bob)
}

// TestRFC8445Section9NATForgets: in the middle of a call a NAT forgets its
// mappings, and may have another public address afterwards. Both sides hear each
// other again, by an ICE restart that the side which moved begins; with symmetric
// NATs over a new allocation.
func TestRFC8445Section9NATForgets(t *testing.T) {
	for _, kind := range []netsim.NATKind{netsim.FullCone, netsim.RestrictedCone, netsim.PortRestricted, netsim.Symmetric} {
		for _, who := range []string{"alice", "bob"} {
			for _, other := range []bool{false, true} {
				for _, transport := range transportsWith(kind) {
					t.Run(fmt.Sprintf("%v, %s, new address %v, %s", kind, who, other, transport), func(t *testing.T) {
						inWorldOver(t, transport, kind, func(w *world) {
							alice, bob := w.established()
							talk(w.T, alice, bob)
							before := map[string]session.Security{"alice": alice.Security(), "bob": bob.Security()}
							toldA, toldB := paths(w.T, alice), paths(w.T, bob)
							time.Sleep(7 * time.Second)
							w.forget(other, who)
							w.goesOn(alice, bob, before)
							if w.Failed() {
								return
							}
							if a, b := toldA.Load(), toldB.Load(); a < 2 || b < 2 {
								w.Errorf("PathReady %d and %d times, want again", a, b)
							}
							time.Sleep(25 * time.Second)
							if a, b := toldA.Load(), toldB.Load(); a > 2 || b > 2 {
								w.Errorf("PathReady %d and %d times, want one restart", a, b)
							}
							talk(w.T, alice, bob)
							if err := alice.Hangup(w.Context()); err != nil {
								w.Errorf("hang up: %v", err)
							}
							wantEnd(w.T, "bob", bob, session.RemoteHungUp)
						})
					})
				}
			}
		}
	}
}

// The same while one side holds: nothing is heard, and the checks alone tell.
func TestNATForgetsOnHold(t *testing.T) {
	for _, kind := range []netsim.NATKind{netsim.FullCone, netsim.PortRestricted, netsim.Symmetric} {
		for _, who := range []string{"alice", "bob"} {
			t.Run(fmt.Sprintf("%v, %s", kind, who), func(t *testing.T) {
				inWorldOver(t, "udp", kind, func(w *world) {
					alice, bob := w.established()
					talk(w.T, alice, bob)
					before := map[string]session.Security{"alice": alice.Security(), "bob": bob.Security()}
					if err := alice.Hold(w.Context()); err != nil {
						w.Fatal(err)
					}
					time.Sleep(7 * time.Second)
					w.forget(true, who)
					time.Sleep(2 * silenceAfter)
					ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
					defer cancel()
					if err := alice.Resume(ctx); err != nil {
						w.Fatalf("resume: %v", err)
					}
					w.goesOn(alice, bob, before)
				})
			})
		}
	}
}

// Both NATs forget at once, a power cut in the neighbourhood.
func TestBothNATsForget(t *testing.T) {
	for _, kind := range []netsim.NATKind{netsim.FullCone, netsim.RestrictedCone, netsim.PortRestricted, netsim.Symmetric} {
		for _, other := range []bool{false, true} {
			for _, transport := range transportsWith(kind) {
				t.Run(fmt.Sprintf("%v, new address %v, %s", kind, other, transport), func(t *testing.T) {
					inWorldOver(t, transport, kind, func(w *world) {
						alice, bob := w.established()
						talk(w.T, alice, bob)
						before := map[string]session.Security{"alice": alice.Security(), "bob": bob.Security()}
						time.Sleep(7 * time.Second)
						w.forget(other, "alice", "bob")
						w.goesOn(alice, bob, before)
					})
				})
			}
		}
	}
}

// Nothing moved: a long call and a long hold see no restart.
func TestNoRestartWithoutNeed(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		toldA, toldB := paths(w.T, alice), paths(w.T, bob)
		time.Sleep(3 * time.Minute)
		if err := bob.Hold(w.Context()); err != nil {
			w.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if a, b := toldA.Load(), toldB.Load(); a != 1 || b != 1 {
			w.Errorf("PathReady %d and %d times, want once", a, b)
		}
	})
}

// Nobody moved, but nothing passes between the two homes any more: the call goes
// on through the relay.
func TestPathBreaks(t *testing.T) {
	inWorld(t, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		before := map[string]session.Security{"alice": alice.Security(), "bob": bob.Security()}
		told := paths(w.T, alice)
		a, b := w.homes["alice"].Public(), w.homes["bob"].Public()
		w.sim.Filter(func(from, to netip.AddrPort, _ []byte) bool {
			return from.Addr() == a && to.Addr() == b || from.Addr() == b && to.Addr() == a
		})
		w.goesOn(alice, bob, before)
		if n := told.Load(); n != 2 {
			w.Errorf("PathReady %d times, want 2", n)
		}
	})
}

// The STUN servers are gone as well. A peer behind a full cone still says where it
// sees us, and its checks find us.
func TestNATForgetsWithoutServers(t *testing.T) {
	inWorldOver(t, "udp", netsim.FullCone, func(w *world) {
		alice, bob := w.established()
		talk(w.T, alice, bob)
		before := map[string]session.Security{"alice": alice.Security(), "bob": bob.Security()}
		w.hosts["relay"].Crash(true)
		w.forget(false, "bob")
		w.goesOn(alice, bob, before)
	})
}

// Either side hangs up at any moment of a restart whose servers do not answer: both
// calls end, and nothing stays behind.
func TestHangUpWhileTheNATIsForgotten(t *testing.T) {
	for at := 4 * time.Second; at < 20*time.Second; at += 1500 * time.Millisecond {
		for _, who := range []string{"alice", "bob"} {
			inWorldOver(t, "udp", netsim.FullCone, func(w *world) {
				alice, bob := w.established()
				talk(w.T, alice, bob)
				w.hosts["relay"].Crash(true)
				w.forget(false, "bob")
				time.Sleep(at)
				one, other := alice, bob
				if who == "bob" {
					one, other = bob, alice
				}
				_ = one.Close()
				_ = one.Wait(w.Context())
				_ = other.Wait(w.Context())
			})
		}
	}
}
