package registrar_test

import (
	"testing"
	"testing/synctest"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/sip"
)

// Both NATs forget, and have other addresses, in the middle of a dialog. After a
// REGISTER each side reaches the other, whose new address it does not know.
func TestDialogOutlivesNewAddresses(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.nat = w.sim.NewNAT(netsim.PortRestricted, "192.0.2.1")
				home := w.nat
				alice := w.phone("alice", transport)
				w.nat = w.sim.NewNAT(netsim.PortRestricted, "192.0.2.2")
				office := w.nat
				bob := w.phone("bob", transport)
				regs := []*sip.Registration{alice.registered(), bob.registered()}
				call := alice.dials("sip:bob@example.org")
				in, _ := bob.incoming()
				ended := make(chan sip.DialogEvent, 10)
				in.Dialog.Handle(func(ev sip.DialogEvent) { answerInside(t, ev, ended) })
				bob.respond(in, 200, answerSDP)
				d := call.answered()
				d.Handle(func(ev sip.DialogEvent) { answerInside(t, ev, ended) })
				if err := d.Ack("", nil); err != nil {
					t.Fatal(err)
				}
				for _, at := range [][2]string{{"192.0.2.3", "192.0.2.4"}, {"", ""}} {
					w.sim.Rebind(home, at[0])
					w.sim.Rebind(office, at[1])
					for _, r := range regs {
						if err := r.Refresh(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					for name, d := range map[string]*sip.Dialog{"alice": d, "bob": in.Dialog} {
						if _, err := d.Do(t.Context(), "INFO", "", nil); err != nil {
							t.Errorf("%s: INFO from a new address to a new address: %v", name, err)
						}
					}
				}
				if err := d.Bye(t.Context()); err != nil {
					t.Errorf("BYE: %v", err)
				}
				for range 2 {
					<-ended
				}
			})
		})
	}
}
