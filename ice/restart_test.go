package ice

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// stream sends numbered packets both ways at 50 per second and counts what
// arrives.
type stream struct {
	a, b     *Path
	got      [2]map[uint32]bool
	mu       sync.Mutex
	stop     chan struct{}
	finished chan uint32
}

func startStream(a, b *Path) *stream {
	s := &stream{a: a, b: b, got: [2]map[uint32]bool{{}, {}}, stop: make(chan struct{}), finished: make(chan uint32)}
	for i, p := range []*Path{a, b} {
		p.Handle(func(q []byte, _ netip.AddrPort) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got[i][binary.BigEndian.Uint32(q[4:])] = true
		})
	}
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		q := make([]byte, 172)
		q[0] = 0x80
		for n := uint32(0); ; n++ {
			select {
			case <-tick.C:
				binary.BigEndian.PutUint32(q[4:], n)
				_, _ = a.Write(q) // a lost packet is what the test counts
				_, _ = b.Write(q)
			case <-s.stop:
				s.finished <- n
				return
			}
		}
	}()
	return s
}

// end stops the stream and returns how many packets were sent and lost.
func (s *stream) end() (sent, lost int) {
	close(s.stop)
	n := <-s.finished
	time.Sleep(time.Second) // in the bubble: what is under way arrives
	s.mu.Lock()
	defer s.mu.Unlock()
	return 2 * int(n), 2*int(n) - len(s.got[0]) - len(s.got[1])
}

// The pair in use is used until the new one is selected (RFC 8445 section 9).
// One side moves to a new socket meanwhile; the roles were in conflict at first.
func TestRFC8445_9_RestartMakesBeforeItBreaks(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		hx, hy := w.host("192.0.2.1", nil), w.host("192.0.2.2", nil)
		x, y := w.gather(hx), w.gather(hy)
		px, py := pair(t, x, y, Controlling, Controlling)
		roles := [2]Role{px.Role(), py.Role()}
		s := startStream(px, py)
		time.Sleep(time.Second)

		y2 := w.gather(hy)
		dx, err := x.Renew(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dy := local(t, y2)
		var wg sync.WaitGroup
		var ex, ey error
		wg.Go(func() { ey = y2.Restart(t.Context(), py, 0, dy, overText(t, dx)) })
		time.Sleep(3 * time.Second) // the answer travels
		wg.Go(func() { ex = x.Restart(t.Context(), px, 0, dx, overText(t, dy)) })
		wg.Wait()
		if ex != nil || ey != nil {
			t.Fatalf("restart: %v, %v", ex, ey)
		}
		if px.Selected().Remote.Addr != dy.Default || py.Selected().Local.Addr != dy.Default {
			t.Errorf("selected %v and %v, want the new socket %v", px.Selected().Remote, py.Selected().Local, dy.Default)
		}
		if got := [2]Role{px.Role(), py.Role()}; got != roles {
			t.Errorf("roles %v, want %v kept", got, roles)
		}
		time.Sleep(2 * graceTime)
		_ = y.Close() // the old socket goes; the path has moved
		time.Sleep(time.Minute)
		if sent, lost := s.end(); lost != 0 {
			t.Errorf("lost %d of %d packets", lost, sent)
		}
		if px.Err() != nil || py.Err() != nil {
			t.Errorf("paths ended: %v, %v", px.Err(), py.Err())
		}
	})
}

// A restart that fails leaves the path as it was.
func TestRestartFails(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		s := startStream(px, py)
		dx, err := x.Renew(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nobody := Description{Ufrag: "nobody", Pwd: "nobody-nobody-nobody-nobody", Candidates: []Candidate{
			{Foundation: "1", Component: 1, Transport: "UDP", Priority: 1, Addr: netip.MustParseAddrPort("192.0.2.99:9"), Type: Host},
		}}
		err = x.Restart(t.Context(), px, 0, dx, nobody)
		if _, ok := errors.AsType[*ChecksError](err); !ok {
			t.Fatalf("restart: %v, want a ChecksError", err)
		}
		time.Sleep(time.Minute)
		if sent, lost := s.end(); lost != 0 {
			t.Errorf("lost %d of %d packets", lost, sent)
		}
		if px.Err() != nil || px.Role() != Controlling {
			t.Errorf("path ended with %v, role %v", px.Err(), px.Role())
		}
	})
}

// The peer crashed on its old address and comes back on another: consent on the
// old pair is lost while the restart is under way, and the path lives on.
func TestRestartOutlivesConsent(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x := w.gather(w.host("192.0.2.1", nil))
		hy := w.host("192.0.2.2", nil)
		y := w.gather(hy)
		px, _ := pair(t, x, y, Controlling, Controlled)
		hy.Crash(true)
		time.Sleep(25 * time.Second)
		y2 := w.gather(w.host("192.0.2.3", nil))
		dx, err := x.Renew(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dy := local(t, y2)
		var p2 *Path
		var wg sync.WaitGroup
		wg.Go(func() { err = x.Restart(t.Context(), px, 0, dx, dy) })
		time.Sleep(12 * time.Second)
		if _, werr := px.Write([]byte{0x80}); werr == nil {
			t.Error("sending without consent")
		}
		wg.Go(func() { p2, _ = y2.Connect(t.Context(), Controlled, dx) })
		wg.Wait()
		if err != nil || p2 == nil {
			t.Fatalf("restart: %v", err)
		}
		bothWays(t, px, p2)
		time.Sleep(time.Minute)
		if px.Err() != nil {
			t.Errorf("path ended: %v", px.Err())
		}
	})
}

// "The endpoint MUST cease transmission on that 5-tuple": 30 seconds after the
// last authenticated response, although media and the peer's own checks go on
// arriving (RFC 7675 section 5.1).
func TestRFC7675_5_1_ConsentExpires(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		time.Sleep(10 * time.Second)
		// y goes on checking and sending, and does not answer any more.
		from := local(t, y).Default
		w.Filter(func(src, _ netip.AddrPort, p []byte) bool { return src == from && isSTUN(p) && isResponse(p) })
		last := px.Stats().Consent
		ended := false
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			select {
			case <-px.Done():
				ended = true
			default:
				_, _ = py.Write([]byte("\x80 media"))
			}
			if ended {
				break
			}
		}
		ce, ok := errors.AsType[*ConsentError](px.Err())
		if !ok || ce.Remote != from {
			t.Fatalf("path ended with %v, want a ConsentError that names the peer", px.Err())
		}
		if d := ce.Last.Sub(last); d < 0 || d > 6*time.Second {
			t.Errorf("last response %v after muting", d)
		}
		if d := time.Since(ce.Last); d < consentTimeout || d > consentTimeout+200*time.Millisecond {
			t.Errorf("consent lost %v after the last response, want 30 s", d)
		}
		if _, err := px.Write([]byte{0x80}); !errors.Is(err, ce) {
			t.Errorf("write after consent was lost: %v, want the ConsentError", err)
		}
	})
}

// "Implementations MUST NOT set the period between checks to less than 4
// seconds", and consent lives as long as the peer answers (RFC 7675 section 5.1).
func TestRFC7675_5_1_ChecksAreSpread(t *testing.T) {
	simulate(t, func(t *testing.T, w world) {
		x, y := w.gather(w.host("192.0.2.1", nil)), w.gather(w.host("192.0.2.2", nil))
		px, py := pair(t, x, y, Controlling, Controlled)
		time.Sleep(10 * time.Second)
		before := w.Packets()
		time.Sleep(time.Hour)
		// Two sides, a check and a response each, every 4 to 6 s.
		if n := w.Packets() - before; n < 4*3600/6 || n > 4*3600/4 {
			t.Errorf("%d packets in an hour, want 4 in 4 to 6 s", n)
		}
		if px.Err() != nil || py.Err() != nil {
			t.Errorf("paths ended: %v, %v", px.Err(), py.Err())
		}
		if rtt := px.Stats().RTT; rtt != 80*time.Millisecond {
			t.Errorf("RTT %v, want 80 ms", rtt)
		}
	})
}
