package transaction

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

func TestRFC3261TransportErrors(t *testing.T) {
	broken := errors.New("broken")
	t.Run("a client learns of a failed write", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, false)
			p.out.fail(broken)
			_, e := p.send("INVITE", branch)
			time.Sleep(time.Minute)
			check(t, "events", e.String(), "0 broken")
			idleNow(t, p.client)
		})
	})
	t.Run("a client learns of a failed retransmission", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, false)
			p.out.peer = nil
			_, e := p.send("OPTIONS", branch)
			time.Sleep(time.Second)
			p.out.fail(broken)
			time.Sleep(time.Minute)
			check(t, "events", e.String(), "1500 broken")
		})
	})
	t.Run("a connection ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, true)
			_, ringing := p.send("INVITE", branch)
			_ = respond(t, p.tx(0), newRequest("INVITE", branch), 180)
			_, answered := p.send("INVITE", branch+"2")
			_ = respond(t, p.tx(1), newRequest("INVITE", branch+"2"), 200)
			time.Sleep(time.Second)
			p.client.Broken(p.out, broken)
			p.client.Broken(p.back, broken) // another flow
			time.Sleep(time.Second)
			check(t, "ringing", ringing.String(), "0 180, 1000 broken")
			check(t, "answered", answered.String(), "0 200")
		})
	})
	t.Run("a server keeps its place and can be rerouted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, true)
			_, e := p.send("INVITE", branch)
			tx := p.tx(0)
			p.back.fail(broken)
			if err := respond(t, tx, newRequest("INVITE", branch), 200); !errors.Is(err, broken) {
				t.Errorf("respond: %v, want the flow's error", err)
			}
			other := &wire{reliable: true, start: time.Now(), peer: p.client, back: p.out}
			tx.Reroute(other)
			if err := tx.Retransmit(); err != nil || tx.Flow() != other {
				t.Errorf("after the new route: %v", err)
			}
			synctest.Wait()
			check(t, "events", e.String(), "0 200")
			time.Sleep(time.Minute)
			synctest.Wait()
			idleNow(t, p.server)
			if n := len(p.server.holds.m); n != 0 {
				t.Errorf("%d flows still held", n)
			}
		})
	})
}

// The response to a non-INVITE over a connection that is gone finds another way.
func TestRFC3261Section1822AnotherConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, true)
		_, e := p.send("OPTIONS", branch)
		tx := p.tx(0)
		p.back.fail(net.ErrClosed)
		if err := respond(t, tx, newRequest("OPTIONS", branch), 200); !errors.Is(err, net.ErrClosed) {
			t.Errorf("respond: %v, want the flow's error", err)
		}
		tx.Reroute(&wire{reliable: true, start: time.Now(), peer: p.client, back: p.out})
		if err := tx.Retransmit(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		check(t, "events", e.String(), "0 200")
		idleNow(t, p.server)
		if n := len(p.server.holds.m); n != 0 {
			t.Errorf("%d flows still held", n)
		}
	})
}

// A request that is refused without state is answered once and forgotten, and comes as a
// new one when it is sent again (section 8.2.7).
func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		came, held := 0, 0
		l := New(Config{
			Request: func(in transport.Inbound, tx *Server) {
				if tx == nil {
					return // the ACK
				}
				came++
				tx.Refuse(sipmsg.NewResponseFromRequest(in.Msg.(*sipmsg.Request), 407, "Proxy Authentication Required", nil))
				if err := tx.Respond(sipmsg.NewResponse(486, "Busy")); !errors.Is(err, ErrTerminated) {
					t.Errorf("after Refuse: %v", err)
				}
			},
			Hold: func(transport.Flow) func() { held++; return func() { held-- } },
		})
		defer l.Close()
		w := &wire{start: time.Now(), reliable: true}
		for n := 1; n <= 2; n++ {
			l.Receive(inbound(transport.Bytes(newRequest("INVITE", branch)), w))
			time.Sleep(time.Minute)
			if first := w.last(); came != n || !strings.HasPrefix(first, "SIP/2.0 407 ") || held != 0 || l.Stats().Servers != 0 {
				t.Errorf("request %d: came %d times, held %d times, %+v, answered\n%s", n, came, held, l.Stats(), first)
			}
		}
		check(t, "407", w.times("SIP/2.0 407"), "0 60000")
		check(t, "100", w.times("SIP/2.0 100"), "")
	})
}
