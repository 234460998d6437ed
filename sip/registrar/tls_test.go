package registrar_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/internal/testca"
	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

// newTLSWorld is a world whose registrar has a certificate for names.
func newTLSWorld(t *testing.T, names ...string) *world {
	t.Helper()
	ca := testca.New(t, "the CA")
	w := newWorld(t, func(c *registrar.Config) {
		c.Listen = append(c.Listen, "tls://"+serverIP+":5061")
		c.TLS = ca.Server(names...)
	})
	w.ca = ca
	return w
}

// Whole calls, of which one hop or both are under TLS. The certificate names the domain
// only; Record-Route names an address.
func TestCallsOverTLS(t *testing.T) {
	for _, tt := range []struct{ caller, callee string }{{"tls", "tls"}, {"tls", "udp"}, {"udp", "tls"}, {"tcp", "tls"}} {
		t.Run(tt.caller+" to "+tt.callee, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTLSWorld(t, domain)
				var clear atomic.Bool
				w.sim.Trace(func(p netsim.Packet) {
					if strings.Contains(string(p.Payload), "SIP/2.0") {
						clear.Store(true)
					}
				})
				alice, bob := w.phone("alice", tt.caller), w.phone("bob", tt.callee)
				alice.registered()
				bob.registered()
				talk(t, alice, bob)
				talk(t, bob, alice)
				if tt.caller == "tls" && tt.callee == "tls" && clear.Load() {
					t.Error("something was sent in clear")
				}
			})
		})
	}
}

// The connection breaks in the middle of a call: the BYE makes another one, for the domain
// that the first one was verified for, and goes by nothing else.
func TestTLSConnectionIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTLSWorld(t, domain)
		alice, bob := w.phone("alice", "tls"), w.phone("bob", "tls")
		bob.registered()
		call := alice.dials("sip:bob@example.org")
		in, _ := bob.incoming()
		if !in.Dialog.Secure() || in.Transport != "TLS" {
			t.Errorf("the callee's hop is %s", in.Transport)
		}
		bob.respond(in, 200, answerSDP)
		d := call.answered()
		if err := d.Ack("", nil); err != nil || !d.Secure() || d.Transport() != "TLS" {
			t.Fatalf("ACK: %v; the caller's hop is %s", err, d.Transport())
		}
		synctest.Wait()
		alice.host.Crash(true)
		time.Sleep(time.Second)
		alice.host.Crash(false)
		w.sim.Trace(func(p netsim.Packet) {
			if strings.Contains(string(p.Payload), "SIP/2.0") {
				t.Errorf("sent in clear: %q", p.Payload)
			}
		})
		if err := d.Bye(t.Context()); err != nil {
			t.Errorf("BYE: %v", err)
		}
	})
}

func TestRegisterWithUnacceptableCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTLSWorld(t, "other.example", serverIP) // the address is not whom alice wants to reach
		alice := w.phone("alice", "tls")
		r := alice.register()
		defer r.Close()
		ev := <-alice.events
		ce, ok := errors.AsType[*sip.CertificateError](ev.Err)
		if !ok || ce.Domain != domain || !strings.Contains(ev.Err.Error(), "the certificate is for other.example, 10.0.0.1, not for example.org: use the name") {
			t.Errorf("got %v", ev.Err)
		}
		if ev.Registered || w.count("<- REGISTER") != 0 {
			t.Error("the registrar got to see something")
		}
	})
}
