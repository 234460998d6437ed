package transaction

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

func TestRFC3261TimersAOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.out.peer = nil
		_, e := p.send("INVITE", branch)
		time.Sleep(time.Minute)
		synctest.Wait()
		check(t, "INVITE sent", p.out.times("INVITE"), "0 500 1500 3500 7500 15500 31500")
		check(t, "events", e.String(), "32000 "+ErrTimeout.Error())
		if !errors.Is(ErrTimeout, os.ErrDeadlineExceeded) || !errors.Is(ErrClosed, net.ErrClosed) {
			t.Error("the errors do not unwrap as documented")
		}
		idleNow(t, p.client)
	})
}

func TestRFC3261TimersEFOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.out.peer = nil
		time.Sleep(123456 * time.Microsecond) // off the wheel's ticks
		p.out.start = time.Now()
		_, e := p.send("OPTIONS", branch)
		time.Sleep(time.Minute)
		synctest.Wait()
		check(t, "OPTIONS sent", p.out.times("OPTIONS"), "0 500 1500 3500 7500 11500 15500 19500 23500 27500 31500")
		check(t, "events", e.String(), "32000 "+ErrTimeout.Error())
	})
}

func TestRFC3261NonInviteOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, true)
		held := 0
		p.client.cfg.Hold = func(transport.Flow) func() { held++; return func() { held-- } }
		_, e := p.send("OPTIONS", branch)
		if err := respond(t, p.tx(0), newRequest("OPTIONS", branch), 200); err != nil {
			t.Fatal(err)
		}
		check(t, "events", e.String(), "0 200")
		idleNow(t, p.client) // timers J and K are zero
		idleNow(t, p.server)
		if held != 0 {
			t.Errorf("the flow is still held %d times", held)
		}
		if err := respond(t, p.tx(0), newRequest("OPTIONS", branch), 200); !errors.Is(err, ErrTerminated) {
			t.Errorf("a second response: %v, want ErrTerminated", err)
		}
	})
}

// "The server transaction MUST generate a 100 (Trying) response unless it knows that the
// TU will generate a provisional or final response within 200 ms" (section 17.2.1).
func TestRFC3261TryingAfter200ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		_, e := p.send("INVITE", branch)
		time.Sleep(time.Second)
		synctest.Wait()
		check(t, "100 sent", p.back.times("SIP/2.0 100"), "200")
		check(t, "INVITE sent", p.out.times("INVITE"), "0")
		check(t, "events", e.String(), "200 100")
		for _, want := range []string{"\r\nTimestamp: 54\r\n", "\r\nTo: <sip:bob@192.0.2.2>\r\n", "\r\nCSeq: 4711 INVITE\r\n"} {
			if !strings.Contains(p.back.last(), want) {
				t.Errorf("the 100 lacks %q:\n%s", want, p.back.last())
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.send("INVITE", branch)
		time.Sleep(199 * time.Millisecond)
		_ = respond(t, p.tx(0), newRequest("INVITE", branch), 180)
		time.Sleep(time.Minute)
		check(t, "100 sent after a 180", p.back.times("SIP/2.0 100"), "")
	})
}

func TestRFC3261RejectedInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		_, e := p.send("INVITE", branch)
		if err := respond(t, p.tx(0), newRequest("INVITE", branch), 486); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		check(t, "486 sent", p.back.times("SIP/2.0 486"), "0")
		check(t, "events", e.String(), "0 486")
		check(t, "requests", p.got(), "INVITE")
		want := "ACK sip:bob@192.0.2.2 SIP/2.0\r\n" +
			"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=" + branch + ";rport\r\n" +
			"Route: <sip:192.0.2.2;lr>\r\nRoute: <sip:192.0.2.3;lr>\r\nMax-Forwards: 70\r\n" +
			"From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>;tag=b\r\n" +
			"Call-ID: c@192.0.2.1\r\nCSeq: 4711 ACK\r\nContent-Length: 0\r\n\r\n"
		check(t, "the ACK (section 17.1.1.3)", p.out.last(), want)
		if s := p.server.Stats(); s.Servers != 0 {
			t.Error("timer I did not end the server transaction after 5 s")
		}
		// The client answers a late retransmission with its ACK until timer D.
		p.client.Receive(inbound([]byte(strings.Replace(p.back.last(), "486", "486", 1)), p.out))
		check(t, "ACKs", p.out.times("ACK"), "0 10000")
		time.Sleep(time.Minute)
		idleNow(t, p.client)
	})
}

func TestRFC3261TimersGHOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.back.peer = nil
		p.send("INVITE", branch)
		tx := p.tx(0)
		timedOut := time.Duration(0)
		tx.OnTimeout(func() { timedOut = time.Since(p.back.start) })
		_ = respond(t, tx, newRequest("INVITE", branch), 404)
		p.client.Invite(newRequest("CANCEL", branch)) // nothing there
		time.Sleep(time.Minute)
		synctest.Wait()
		// The INVITE's retransmissions are answered, too: at 0.5, 1.5, 3.5, 7.5, 15.5, 31.5.
		check(t, "404 sent", p.back.times("SIP/2.0 404"), "0 500 500 1500 1500 3500 3500 7500 7500 11500 15500 15500 19500 23500 27500 31500 31500")
		if timedOut != 32*time.Second {
			t.Errorf("timer H after %v", timedOut)
		}
		idleNow(t, p.server)
	})
}

// 2xx are passed up for 64*T1, from whatever leg; what comes later is stray.
func TestRFC6026AcceptedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		_, e := p.send("INVITE", branch)
		tx := p.tx(0)
		invite := newRequest("INVITE", branch)
		_ = respond(t, tx, invite, 200)
		time.Sleep(10 * time.Second)
		if err := tx.Retransmit(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = respond(t, tx, invite, 200)
		if err := respond(t, tx, invite, 486); !errors.Is(err, ErrTerminated) {
			t.Errorf("486 after 200: %v", err)
		}
		tx.Forget()
		if err := tx.Retransmit(); err != nil {
			t.Error(err)
		}
		again := inbound([]byte(p.back.last()), p.out)
		time.Sleep(21999 * time.Millisecond)
		p.client.Receive(again)
		check(t, "events", e.String(), "0 200, 10000 200, 10000 200, 31999 200")
		time.Sleep(time.Second)
		synctest.Wait()
		p.client.Receive(again)
		if p.strays != 1 {
			t.Errorf("%d strays, want 1 after timer M", p.strays)
		}
		if err := tx.Retransmit(); !errors.Is(err, ErrTerminated) {
			t.Errorf("retransmission after timer L: %v", err)
		}
		idleNow(t, p.server)
	})
}

// "any retransmissions of the INVITE ... are absorbed", and ACKs are passed to the user.
func TestRFC6026AcceptedServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.send("INVITE", branch)
		invite := newRequest("INVITE", branch)
		_ = respond(t, p.tx(0), invite, 200)
		p.server.Receive(inbound(transport.Bytes(invite), p.back))
		check(t, "200 sent", p.back.times("SIP/2.0 200"), "0")
		p.server.Receive(inbound(transport.Bytes(newRequest("ACK", branch)), p.back))
		p.server.Receive(inbound(transport.Bytes(newRequest("ACK", branch+"new")), p.back))
		check(t, "requests", p.got(), "INVITE ACK ACK")
	})
}

func TestRFC3261CancelFindsItsInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		_, invited := p.send("INVITE", branch)
		p.tx(0)
		p.send("INVITE", branch+"other")
		p.tx(1)
		_, cancelled := p.send("CANCEL", branch)
		cancel := newRequest("CANCEL", branch)
		p.tx(2)
		tx := p.server.Invite(cancel)
		if tx != p.tx(0) {
			t.Fatal("the CANCEL found another transaction")
		}
		_ = respond(t, p.tx(2), cancel, 200)
		_ = respond(t, tx, newRequest("INVITE", branch), 487)
		check(t, "the CANCEL", cancelled.String(), "0 200")
		check(t, "the INVITE", invited.String(), "0 487")
		if p.server.Invite(newRequest("CANCEL", branch+"third")) != nil {
			t.Error("a CANCEL for nothing found something")
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{MaxServer: 1, MaxClient: 1, Request: func(transport.Inbound, *Server) {}})
		defer l.Close()
		w := &wire{start: time.Now()}
		for i := range 2 {
			l.Receive(inbound(transport.Bytes(newRequest("OPTIONS", fmt.Sprint(branch, i))), w))
		}
		first := w.last()
		if !strings.HasPrefix(first, "SIP/2.0 503 ") || !strings.Contains(first, "\r\nRetry-After: ") || !strings.Contains(first, ";tag=") {
			t.Errorf("over the limit:\n%s", first)
		}
		l.Receive(inbound(transport.Bytes(newRequest("OPTIONS", branch+"1")), w))
		check(t, "the 503 to a retransmission (section 8.2.7)", w.last(), first)
		if _, err := l.Client(newRequest("OPTIONS", branch), w, func(Event) {}); err != nil {
			t.Error(err)
		}
		if _, err := l.Client(newRequest("OPTIONS", branch+"1"), w, func(Event) {}); !errors.Is(err, ErrTooMany) {
			t.Errorf("a client too many: %v", err)
		}
		if s := l.Stats(); s.Servers != 1 || s.Clients != 1 || s.Refused != 2 {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(33 * time.Second) // the unanswered OPTIONS is abandoned
		synctest.Wait()
		idleNow(t, l)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		_, e := p.send("INVITE", branch)
		_, done := p.send("OPTIONS", branch+"2")
		_ = respond(t, p.tx(1), newRequest("OPTIONS", branch+"2"), 200)
		p.client.After(time.Second, func() { t.Error("a timer fired after Close") })
		if err := p.client.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, "events", e.String(), "0 "+ErrClosed.Error())
		check(t, "the answered one", done.String(), "0 200")
		if _, err := p.client.Client(newRequest("INVITE", branch+"3"), p.out, func(Event) {}); !errors.Is(err, ErrClosed) {
			t.Errorf("Client after Close: %v", err)
		}
		p.client.After(time.Second, func() { t.Error("a timer was set after Close") }).Stop()
		p.client.Receive(inbound(transport.Bytes(newRequest("INVITE", branch)), p.out))
		idleNow(t, p.client)
		time.Sleep(time.Minute)
	})
}

func TestAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		defer l.Close()
		begin := time.Now()
		var fired []time.Duration
		note := func() { fired = append(fired, time.Since(begin)) }
		l.After(3*time.Hour, note)
		l.After(7*time.Millisecond, note)
		l.After(1500*time.Microsecond, note)
		stopped := l.After(time.Second, note)
		l.After(-time.Second, note)
		if !stopped.Stop() || stopped.Stop() {
			t.Error("Stop must tell whether it stopped the call")
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		check(t, "fired", fmt.Sprint(fired), "[0s 2ms 7ms 3h0m0s]")
	})
}

func TestClientRefusesWhatIsNoTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		p.send("INVITE", branch)
		for _, req := range []*sipmsg.Request{newRequest("ACK", branch+"1"), newRequest("OPTIONS", ""), newRequest("INVITE", branch), sipmsg.NewRequest("OPTIONS", sipmsg.Uri{})} {
			if _, err := p.client.Client(req, p.out, func(Event) {}); err == nil {
				t.Errorf("%s was taken", req.Method)
			}
		}
		if n := p.client.Stats().Clients; n != 1 {
			t.Errorf("%d clients counted, want 1", n)
		}
	})
}

// The callbacks may use the layer: nothing is called under a lock.
func TestCallbacksMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		var c *Client
		ended := false
		var err error
		c, err = p.client.Client(newRequest("INVITE", branch), p.out, func(ev Event) {
			p.client.Stats()
			p.client.After(time.Millisecond, func() { c.Terminate(); ended = true })
			_, _ = p.client.Client(newRequest("OPTIONS", branch), p.out, func(Event) {})
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.Flow() != p.out {
			t.Error("Flow is not the request's")
		}
		_ = respond(t, p.tx(0), newRequest("INVITE", branch), 180)
		time.Sleep(time.Second)
		_ = respond(t, p.tx(0), newRequest("INVITE", branch), 200)
		if !ended || p.strays != 1 {
			t.Errorf("ended %v, %d strays: a terminated client must not match", ended, p.strays)
		}
	})
}

// Calls get through a network that loses a fifth of what it carries.
func TestCallsThroughLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, false)
		rnd := rand.New(rand.NewPCG(3, 4))
		lose := func() bool { return rnd.IntN(5) == 0 }
		var mu sync.Mutex
		p.out.lose = func() bool { mu.Lock(); defer mu.Unlock(); return lose() }
		p.back.lose = p.out.lose
		p.out.delay, p.back.delay = 20*time.Millisecond, 30*time.Millisecond
		p.server.cfg.Request = func(in transport.Inbound, tx *Server) {
			req := in.Msg.(*sipmsg.Request)
			code := 486
			if req.Method != "INVITE" {
				code = 200
			}
			if tx != nil {
				_ = tx.Respond(sipmsg.NewResponseFromRequest(req, code, "Reason", nil))
			}
		}
		final := 0
		for i := range 300 {
			method := sipmsg.RequestMethod("INVITE")
			if i%2 == 0 {
				method = "MESSAGE"
			}
			_, err := p.client.Client(newRequest(method, fmt.Sprint(branch, i)), p.out, func(ev Event) {
				if ev.Err != nil {
					t.Error(ev.Err)
				} else if ev.Response.StatusCode >= 200 {
					mu.Lock()
					final++
					mu.Unlock()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(7 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if final != 300 {
			t.Errorf("%d final responses for 300 requests", final)
		}
		idleNow(t, p.client)
		idleNow(t, p.server)
	})
}

// Many goroutines at once; for the race detector.
func TestConcurrentUse(t *testing.T) {
	var server *Layer
	w := &wire{start: time.Now()}
	server = New(Config{MaxServer: -1, Request: func(in transport.Inbound, tx *Server) {
		if tx != nil {
			_ = tx.Respond(sipmsg.NewResponseFromRequest(in.Msg.(*sipmsg.Request), 200, "OK", nil))
		}
	}})
	client := New(Config{MaxClient: -1, Request: func(transport.Inbound, *Server) {}})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 {
				b := fmt.Sprint(branch, g, ".", i)
				c, err := client.Client(newRequest("INVITE", b), w, func(Event) {})
				if err != nil {
					t.Error(err)
					return
				}
				raw := transport.Bytes(newRequest("INVITE", b))
				server.Receive(inbound(raw, w))
				server.Receive(inbound(raw, w))
				client.Receive(inbound(transport.Bytes(sipmsg.NewResponseFromRequest(newRequest("INVITE", b), 200, "OK", nil)), w))
				client.After(time.Millisecond, func() {}).Stop()
				client.Broken(w, io.EOF)
				c.Terminate()
			}
		})
	}
	all.Wait()
	_ = client.Close()
	_ = server.Close()
	if s := client.Stats(); s.Clients != 0 {
		t.Errorf("%d clients left", s.Clients)
	}
}
