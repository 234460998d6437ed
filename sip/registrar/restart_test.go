package registrar_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

// The registrar goes away and comes back with nothing in memory. Who registered
// by TCP notices with the next keep-alive and registers again.
func TestRegistrarRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg registrar.Config
		w := newWorld(t, func(c *registrar.Config) { cfg = *c })
		alice, bob := w.phone("alice", "udp"), w.phone("bob", "tcp")
		bob.registered()
		pass(time.Minute)
		if err := w.srv.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := registrar.Listen(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		alice.dials("sip:bob@example.org").fails(480)
		pass(3 * time.Minute)
		talk(t, alice, bob)
		var lost, up int
		for len(bob.events) > 0 {
			switch ev := <-bob.events; {
			case ev.Registered:
				up++
			case ev.Err != nil && ev.Retry > 0:
				lost++
			default:
				t.Errorf("unexpected %+v", ev)
			}
		}
		if lost != 1 || up != 2 {
			t.Errorf("lost %d and registered %d times, want 1 and 2", lost, up)
		}
	})
}

// A connection that breaks takes its bindings with it: callers hear 480 at once
// instead of waiting.
func TestConnectionBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob := w.phone("alice", "udp"), w.phone("bob", "tcp")
		bob.registered()
		if err := bob.agent.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		pass(time.Second)
		began := time.Now()
		alice.dials("sip:bob@example.org").fails(480)
		if d := time.Since(began); d > time.Second {
			t.Errorf("480 after %v, want it at once", d)
		}
	})
}

// The caller's and the callee's registrations may change during a call.
func TestDialogOutlivesRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob := w.phone("alice", "tcp"), w.phone("bob", "udp")
		reg := bob.registered()
		call := alice.dials("sip:bob@example.org")
		in, _ := bob.incoming()
		bob.respond(in, 200, answerSDP)
		d := call.answered()
		if err := d.Ack("", nil); err != nil {
			t.Fatal(err)
		}
		if err := reg.Unregister(t.Context()); err != nil {
			t.Fatal(err)
		}
		ended := make(chan sip.DialogEvent, 1)
		in.Dialog.Handle(func(ev sip.DialogEvent) { ended <- ev })
		if err := d.Bye(t.Context()); err != nil {
			t.Errorf("BYE after the callee unregistered: %v", err)
		}
		<-ended
	})
}

func TestRegistrationEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, w *world, bob *phone)
	}{
		{"RFC 3261 10.2.8: 423 is obeyed", func(t *testing.T, w *world, bob *phone) {
			bob.acct.Expires = 10 * time.Second
			bob.registered()
			if ev := <-bob.events; ev.Expires != time.Minute {
				t.Errorf("bound for %v, want the registrar's minute", ev.Expires)
			}
		}},
		{"the agent closes", func(t *testing.T, w *world, bob *phone) {
			reg := bob.registered()
			if err := bob.agent.Close(); err != nil {
				t.Fatal(err)
			}
			if err := reg.Registered(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Registered: %v, want closed", err)
			}
			if _, err := bob.agent.Register(bob.acct, nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Register: %v, want closed", err)
			}
		}},
		{"closed while nobody answers", func(t *testing.T, w *world, bob *phone) {
			bob.acct.Registrar = uri(t, "sip:10.0.0.99")
			reg := bob.register()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := reg.Registered(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Registered: %v, want the context's error", err)
			}
			began := time.Now()
			reg.Close()
			if d := time.Since(began); d > 0 {
				t.Errorf("Close took %v", d)
			}
			if err := reg.Registered(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Registered: %v, want closed", err)
			}
		}},
		{"unknown host", func(t *testing.T, w *world, bob *phone) {
			bob.acct.Registrar = uri(t, "sip:nowhere.invalid")
			reg := bob.register()
			ev := <-bob.events
			te, ok := errors.AsType[*sip.TransportError](ev.Err)
			if !ok || ev.Retry == 0 || te.Target != "sip:nowhere.invalid" {
				t.Errorf("got %+v, want a *TransportError and another try", ev)
			}
			if err := reg.Unregister(t.Context()); err != nil {
				t.Errorf("Unregister: %v", err)
			}
		}},
		{"no address of record", func(t *testing.T, w *world, bob *phone) {
			for _, acct := range []*sip.Account{nil, {}, {AOR: uri(t, "sip:example.org")}, {AOR: uri(t, "tel:+1")}, {AOR: bob.acct.AOR, Expires: -1}} {
				if _, err := bob.agent.Register(acct, nil); err == nil {
					t.Errorf("%+v is taken for an account", acct)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				tt.do(t, w, w.phone("bob", "udp"))
			})
		})
	}
}

// The registrar closes a connection: the phone hears of it at once and registers again
// within the back-off (RFC 5626 section 4.5), not only at the next keep-alive.
func TestRegistersAgainWhenTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg registrar.Config
		w := newWorld(t, func(c *registrar.Config) { cfg = *c })
		bob := w.phone("bob", "tcp")
		bob.registered()
		pass(time.Second)
		<-bob.events
		if err := w.srv.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := registrar.Listen(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		began := time.Now()
		if ev := <-bob.events; ev.Registered || ev.Retry < 15*time.Second || ev.Retry > 30*time.Second || time.Since(began) > time.Second {
			t.Errorf("after %v: %+v, want to hear at once and to try within 15 s to 30 s", time.Since(began), ev)
		}
		if ev := <-bob.events; !ev.Registered || time.Since(began) > 32*time.Second {
			t.Errorf("after %v: %+v, want registered within the back-off", time.Since(began), ev)
		}
	})
}
