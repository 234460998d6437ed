package registrar_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

func TestRFC3261Section16Calls(t *testing.T) {
	for _, tt := range []struct{ name, caller, callee string }{
		{"UDP", "udp", "udp"}, {"TCP", "tcp", "tcp"}, {"UDP to TCP", "udp", "tcp"}, {"TCP to UDP", "tcp", "udp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				alice, bob := w.phone("alice", tt.caller), w.phone("bob", tt.callee)
				alice.registered()
				bob.registered()
				talk(t, alice, bob)
				talk(t, bob, alice)
			})
		})
	}
	t.Run("the caller is not registered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			alice, bob := w.phone("alice", "udp"), w.phone("bob", "udp")
			bob.registered()
			talk(t, alice, bob)
		})
	})
	t.Run("both behind NATs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.nat = w.sim.NewNAT(netsim.PortRestricted, "192.0.2.1")
			alice := w.phone("alice", "udp")
			w.nat = w.sim.NewNAT(netsim.Symmetric, "192.0.2.2")
			bob := w.phone("bob", "tcp")
			alice.registered()
			bob.registered()
			talk(t, alice, bob)
			pass(10 * time.Minute) // the keep-alive holds the mappings open
			talk(t, bob, alice)
		})
	})
	t.Run("without users, on loopback", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *registrar.Config) {
				c.Listen, c.Users, c.Domain = []string{"udp://127.0.0.1:5060"}, nil, ""
			})
			if a := w.srv.Addr("udp"); !a.Addr().IsLoopback() || a.Port() != 5060 {
				t.Errorf("listens on %v, want loopback", a)
			}
		})
	})
}

func TestRFC3261Section16_7FailuresReachTheCaller(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, w *world, alice, bob *phone)
	}{
		{"busy", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered()
			call := alice.dials("sip:bob@example.org")
			in, _ := bob.incoming()
			bob.respond(in, 486, "")
			call.fails(486)
		}},
		{"declined", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered()
			call := alice.dials("sip:bob@example.org")
			in, _ := bob.incoming()
			bob.respond(in, 603, "")
			call.fails(603)
		}},
		{"unknown user", func(t *testing.T, _ *world, alice, _ *phone) { alice.dials("sip:nobody@example.org").fails(404) }},
		{"nobody there", func(t *testing.T, _ *world, alice, _ *phone) { alice.dials("sip:bob@example.org").fails(480) }},
		{"foreign domain", func(t *testing.T, _ *world, alice, _ *phone) { alice.dials("sip:bob@example.com").fails(403) }},
		{"contact gone: time-out", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered()
			bob.host.Crash(true)
			alice.dials("sip:bob@example.org").fails(408)
		}},
		{"wrong password", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered()
			alice.acct.Password = "guessed"
			alice.dials("sip:bob@example.org").fails(407)
		}},
		{"expired contact", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered().Close() // without unregistering
			pass(time.Hour)
			alice.dials("sip:bob@example.org").fails(480)
		}},
		{"unregistered", func(t *testing.T, w *world, alice, bob *phone) {
			if err := bob.registered().Unregister(t.Context()); err != nil {
				t.Fatal(err)
			}
			alice.dials("sip:bob@example.org").fails(480)
		}},
		{"16.10 cancelled", func(t *testing.T, w *world, alice, bob *phone) {
			bob.registered()
			call := alice.dials("sip:bob@example.org")
			in, events := bob.incoming()
			bob.respond(in, 180, "")
			call.rings()
			call.Cancel(`SIP;cause=487;text="changed my mind"`)
			call.fails(487)
			ev, ok := (<-events).(sip.Cancelled)
			if !ok || ev.Reason == "" {
				t.Errorf("the callee got %#v, want Cancelled with the caller's Reason", ev)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				tt.do(t, w, w.phone("alice", "udp"), w.phone("bob", "udp"))
			})
		})
	}
}

func TestRFC3261Section16_6Forking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, desk, mobile := w.phone("alice", "udp"), w.phone("bob", "udp"), w.phone("bob", "tcp")
		desk.registered()
		mobile.registered()
		call := alice.dials("sip:bob@example.org")
		deskIn, deskEvents := desk.incoming()
		mobileIn, mobileEvents := mobile.incoming()
		desk.respond(deskIn, 180, "")
		mobile.respond(mobileIn, 180, "")
		call.rings()
		call.rings()
		mobile.respond(mobileIn, 200, answerSDP)
		d := call.answered()
		if err := d.Ack("", nil); err != nil {
			t.Fatal(err)
		}
		if ev, ok := (<-mobileEvents).(sip.Acked); !ok {
			t.Errorf("the one that answered got %#v, want the ACK", ev)
		}
		ev, ok := (<-deskEvents).(sip.Cancelled)
		if !ok || ev.Reason != `SIP;cause=200;text="Call completed elsewhere"` {
			t.Errorf("the other got %#v, want Cancelled: completed elsewhere", ev)
		}
		if err := d.Bye(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCallSurvivesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob := w.phone("alice", "udp"), w.phone("bob", "udp")
		lossy := netsim.Link{Delay: 10 * time.Millisecond, Loss: 0.2}
		alice.host.SetLink(lossy, lossy)
		bob.host.SetLink(lossy, lossy)
		alice.registered()
		bob.registered()
		for range 5 {
			talk(t, alice, bob)
		}
	})
}

func TestRegistrationLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		bob := w.phone("bob", "udp")
		bob.acct.Expires = 10 * time.Minute
		reg := bob.registered()
		if ev := <-bob.events; !ev.Registered || ev.Expires != 10*time.Minute || ev.Contact.Host != "10.0.0.2" {
			t.Errorf("got %+v, want ten minutes at 10.0.0.2", ev)
		}
		pass(3 * time.Hour)
		if n := w.count("<- REGISTER"); n < 36 || n > 50 {
			t.Errorf("%d REGISTERs in three hours, want two in eight to nine minutes, for the nonce has run out by then", n)
		}
		if err := reg.Unregister(t.Context()); err != nil {
			t.Fatal(err)
		}
		var last sip.RegistrationEvent
		for len(bob.events) > 0 {
			last = <-bob.events
		}
		if last.Registered || last.Err != nil {
			t.Errorf("the last event is %+v, want unregistered without an error", last)
		}
		if err := reg.Registered(t.Context()); err == nil {
			t.Error("Registered after Unregister, want an error")
		}
	})
}

func TestRFC3581ContactIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.nat = w.sim.NewNAT(netsim.PortRestricted, "192.0.2.1")
		bob := w.phone("bob", "udp")
		bob.registered()
		ev := <-bob.events
		if ev.Contact.Host != "192.0.2.1" {
			t.Errorf("bound %v, want the NAT's address", ev.Contact)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		res, err := bob.agent.Do(ctx, &sip.OutRequest{Method: "REGISTER", URI: uri(t, "sip:example.org"), To: sip.Address{URI: bob.acct.AOR}, Account: bob.acct})
		if err != nil {
			t.Fatal(err)
		}
		if list := res.GetHeaders("contact"); len(list) != 1 {
			t.Errorf("%d bindings, want only the one that was learned: %v", len(list), list)
		}
	})
}

func TestRegistrationRefusedAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		bob, mallory := w.phone("bob", "udp"), w.phone("mallory", "udp")
		bob.acct.Password = "guessed"
		for _, p := range []*phone{bob, mallory} {
			if err := p.register().Registered(t.Context()); err == nil {
				t.Errorf("%v is registered", p.acct.AOR)
			}
			if ev := <-p.events; ev.Registered || ev.Retry != 0 {
				t.Errorf("got %+v, want a refusal for good", ev)
			}
		}
		carol := w.phone("carol", "tcp")
		carol.host.Crash(true)
		carol.host.Crash(false)
		other := w.phone("carol", "udp")
		other.acct.Registrar = uri(t, "sip:10.0.0.99")
		other.register()
		if ev := <-other.events; ev.Registered || ev.Retry < 30*time.Second || ev.Retry > time.Minute {
			t.Errorf("got %+v, want a retry in 30 s to a minute", ev)
		}
	})
}

// RFC 4320 section 4.2: nobody hears 408 to a request other than INVITE.
func TestRFC4320NoTimeoutToNonInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob := w.phone("alice", "udp"), w.phone("bob", "udp")
		bob.registered()
		bob.host.Crash(true)
		_, err := alice.agent.Do(t.Context(), &sip.OutRequest{Method: "MESSAGE", URI: uri(t, "sip:bob@example.org"), Account: alice.acct})
		if !errors.Is(err, sip.ErrTimeout) {
			t.Errorf("got %v, want a time-out of our own", err)
		}
		pass(time.Minute)
		if n := w.count("-> 408"); n != 0 {
			t.Errorf("the proxy sent 408 %d times", n)
		}
	})
}
