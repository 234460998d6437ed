package netsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// streams is a dialer behind a NAT, a listener and a stream between them.
type streams struct {
	s            *Sim
	nat          *NAT
	a, b         *Host
	ln           net.Listener
	dialed, open *Conn // the dialer's side, the listener's side
}

func connect(t *testing.T, s *Sim, l Link) *streams {
	t.Helper()
	x := &streams{s: s, nat: s.NewNAT(PortRestricted, "198.51.100.1")}
	x.a, x.b = s.NewHost("10.0.0.2", x.nat), s.NewHost("192.0.2.1", nil)
	x.a.SetLink(l, l)
	x.b.SetLink(l, l)
	var err error
	if x.ln, err = x.b.Listen(t.Context(), "tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	x.dialed, x.open = x.another(t)
	return x
}

func (x *streams) another(t *testing.T) (dialed, open *Conn) {
	t.Helper()
	c, err := x.a.Dial(t.Context(), "tcp", "192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*Conn), p.(*Conn)
}

func (x *streams) close() {
	x.dialed.Close()
	x.open.Close()
	x.ln.Close()
}

func want(t *testing.T, what string, err, is error) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("%s: got %v, want %v", what, err, is)
	}
}

func readErr(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

func writeErr(c net.Conn) error {
	_, err := c.Write([]byte("x"))
	return err
}

func TestStreamConnects(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		start := time.Now()
		x := connect(t, s, Link{Delay: 10 * time.Millisecond})
		defer x.close()
		if d := time.Since(start); d != 60*time.Millisecond {
			t.Errorf("accepted after %v, want three ways of 20ms", d)
		}
		for _, tc := range [][2]string{
			{x.dialed.LocalAddr().String(), "10.0.0.2:50000"},
			{x.dialed.RemoteAddr().String(), "192.0.2.1:80"},
			{x.open.LocalAddr().String(), "192.0.2.1:80"},
			{x.open.RemoteAddr().String(), "198.51.100.1:20000"},
		} {
			if tc[0] != tc[1] {
				t.Errorf("address %s, want %s", tc[0], tc[1])
			}
		}
	})
}

func TestStreamCarriesBytes(t *testing.T) {
	for _, l := range []Link{{}, {Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.2, Reorder: 0.2, Dup: 0.2}, {Rate: 8 << 20}} {
		bubble(t, func(t *testing.T, s *Sim) {
			x := connect(t, s, l)
			defer x.close()
			sent := make([]byte, 2<<20)
			rand.NewChaCha8([32]byte{}).Read(sent)
			var wg sync.WaitGroup
			defer wg.Wait()
			time.AfterFunc(200*time.Millisecond, func() { x.a.SetLink(Link{Down: true}, Link{Down: true}) })
			time.AfterFunc(5*time.Second, func() { x.a.SetLink(l, l) })
			start := time.Now()
			for _, c := range []*Conn{x.dialed, x.open} { // both ways at once
				wg.Go(func() {
					if _, err := c.Write(sent); err != nil {
						t.Error(err)
					}
					if err := c.CloseWrite(); err != nil {
						t.Error(err)
					}
					want(t, "write after CloseWrite", writeErr(c), syscall.EPIPE)
				})
				wg.Go(func() {
					got, err := io.ReadAll(c)
					if err != nil || !bytes.Equal(got, sent) {
						t.Errorf("read %d bytes, %v", len(got), err)
					}
				})
			}
			wg.Wait()
			if l.Rate > 0 && time.Since(start) < 4*time.Second {
				t.Errorf("2 MiB at 8 Mbit/s twice over the same link took %v", time.Since(start))
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("10.0.0.2", nil), s.NewHost("192.0.2.1", nil)
		l := Link{Delay: 10 * time.Millisecond}
		a.SetLink(l, l)
		dial := func(ctx context.Context, address string) (time.Duration, error) {
			start := time.Now()
			c, err := a.Dial(ctx, "tcp", address)
			if err == nil {
				c.Close()
			}
			return time.Since(start), err
		}
		d, err := dial(t.Context(), "192.0.2.1:80")
		want(t, "nobody listens", err, syscall.ECONNREFUSED)
		if d != 20*time.Millisecond {
			t.Errorf("refused after %v", d)
		}
		_, err = dial(t.Context(), "127.0.0.1:80")
		want(t, "nobody listens inside", err, syscall.ECONNREFUSED)
		_, err = dial(t.Context(), "[2001:db8::1]:80")
		want(t, "no IPv6", err, syscall.ENETUNREACH)

		b.Crash(true)
		d, err = dial(t.Context(), "192.0.2.1:80")
		want(t, "host is down", err, syscall.ETIMEDOUT)
		if d != 127*time.Second {
			t.Errorf("gave up after %v, want 127s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d, err = dial(ctx, "192.0.2.1:80")
		want(t, "bounded", err, context.DeadlineExceeded)
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || d != time.Second {
			t.Errorf("%v after %v", err, d)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = dial(ctx, "192.0.2.9:80")
		want(t, "cancelled", err, context.Canceled)
		time.AfterFunc(time.Second, s.Close)
		_, err = dial(t.Context(), "192.0.2.9:80")
		want(t, "end of the network", err, net.ErrClosed)
	})
}

// A dial given up while the SYN-ACK is under way leaves nothing at the
// listener.
func TestDialGivenUpLate(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		a, b := s.NewHost("10.0.0.2", nil), s.NewHost("192.0.2.1", nil)
		a.SetLink(Link{Delay: 10 * time.Millisecond}, Link{Delay: 10 * time.Millisecond})
		ln, err := b.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		_, err = a.Dial(ctx, "tcp", "192.0.2.1:80")
		want(t, "dial", err, context.DeadlineExceeded)
		ln.(*Listener).SetDeadline(time.Now().Add(time.Minute))
		_, err = ln.Accept()
		want(t, "accept", err, os.ErrDeadlineExceeded)
	})
}

func TestDialOverLoss(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: 10 * time.Millisecond, Loss: 0.1})
		defer x.close()
		for range 50 {
			c, p := x.another(t)
			c.Close()
			p.Close()
		}
	})
}

func TestDialTriesAllAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{})
		defer x.close()
		s.NewHost("192.0.2.5", nil)
		s.AddName("two.example", "192.0.2.5")
		s.AddName("two.example", "192.0.2.1")
		c, err := x.a.Dial(t.Context(), "tcp", "two.example:80")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		p, err := x.ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
	})
}

func TestStreamDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: time.Millisecond})
		defer x.close()
		c, start := x.dialed, time.Now()
		c.SetReadDeadline(start.Add(time.Second))
		want(t, "read", readErr(c), os.ErrDeadlineExceeded)
		if d := time.Since(start); d != time.Second {
			t.Errorf("read ended after %v", d)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(make([]byte, 1<<20)) // nobody reads
		want(t, "write", err, os.ErrDeadlineExceeded)
		if n != window {
			t.Errorf("wrote %d, want the window", n)
		}
		c.SetDeadline(time.Time{})
		go io.Copy(io.Discard, x.open)
		if err := writeErr(c); err != nil {
			t.Errorf("after the deadline was taken back: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestStreamEnds(t *testing.T) {
	for _, tc := range []struct {
		name        string
		end         func(x *streams)
		read, write error // at the other side
		local       error
	}{
		{"close", func(x *streams) { x.open.Close() }, io.EOF, nil, net.ErrClosed},
		{"close with unread data", func(x *streams) {
			writeErr(x.dialed)
			time.Sleep(time.Second)
			x.open.Close()
		}, syscall.ECONNRESET, syscall.ECONNRESET, net.ErrClosed},
		{"linger 0", func(x *streams) { x.open.SetLinger(0); x.open.Close() }, syscall.ECONNRESET, syscall.ECONNRESET, net.ErrClosed},
		{"crash", func(x *streams) { x.b.Crash(true) }, syscall.ECONNRESET, syscall.ECONNRESET, net.ErrClosed},
		{"end of the network", func(x *streams) { x.s.Close() }, net.ErrClosed, net.ErrClosed, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				x := connect(t, s, Link{Delay: 10 * time.Millisecond})
				defer x.close()
				x.open.Write([]byte("last words"))
				local := make(chan error)
				go func() {
					if tc.name == "close with unread data" {
						synctest.Wait()
						local <- net.ErrClosed
						return
					}
					local <- readErr(x.open)
				}()
				time.Sleep(time.Second)
				tc.end(x)
				want(t, "read at the side that ended", <-local, tc.local)
				time.Sleep(time.Second)
				got, err := io.ReadAll(x.dialed)
				if errors.Is(tc.read, io.EOF) && err == nil {
					err = io.EOF
				}
				want(t, "read at the other", err, tc.read)
				if words := string(got); !errors.Is(tc.read, net.ErrClosed) && words != "last words" {
					t.Errorf("read %q before the end", words)
				}
				want(t, "write at the other", writeErr(x.dialed), tc.write)
				time.Sleep(time.Second)
				if tc.write == nil { // the first write after a close meets a reset
					want(t, "second write", writeErr(x.dialed), syscall.ECONNRESET)
				}
			})
		})
	}
}

func TestHalfClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: 10 * time.Millisecond})
		defer x.close()
		x.dialed.CloseWrite()
		want(t, "read", readErr(x.open), io.EOF)
		if err := writeErr(x.open); err != nil {
			t.Error(err)
		}
		if err := readErr(x.dialed); err != nil {
			t.Error(err)
		}
		x.dialed.CloseRead()
		want(t, "read after CloseRead", readErr(x.dialed), io.EOF)
		if _, err := x.open.Write(make([]byte, 2*window)); err != nil { // thrown away, takes no room
			t.Error(err)
		}
	})
}

func TestListenerCloses(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: 10 * time.Millisecond})
		defer x.close()
		waiting, err := x.a.Dial(t.Context(), "tcp", "192.0.2.1:80") // never accepted
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		time.Sleep(time.Second)
		x.ln.Close()
		_, err = x.ln.Accept()
		want(t, "accept", err, net.ErrClosed)
		want(t, "close", x.ln.Close(), net.ErrClosed)
		want(t, "read", readErr(waiting), syscall.ECONNRESET)
		_, err = x.a.Dial(t.Context(), "tcp", "192.0.2.1:80")
		want(t, "dial", err, syscall.ECONNREFUSED)
		if err := writeErr(x.dialed); err != nil {
			t.Errorf("an accepted stream ended with its listener: %v", err)
		}
		ln, err := x.b.Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() {
			_, err := ln.Accept()
			got <- err
		}()
		synctest.Wait()
		ln.Close()
		want(t, "waiting accept", <-got, net.ErrClosed)
	})
}

func TestStreamThroughRebind(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: 10 * time.Millisecond})
		defer x.close()
		s.Rebind(x.nat, "")
		if err := writeErr(x.open); err != nil {
			t.Fatal(err)
		}
		x.dialed.SetReadDeadline(time.Now().Add(time.Minute))
		want(t, "from outside nothing comes", readErr(x.dialed), os.ErrDeadlineExceeded)
		x.dialed.SetReadDeadline(time.Time{})
		writeErr(x.dialed)
		want(t, "from inside", readErr(x.dialed), syscall.ECONNRESET)
		start := time.Now()
		want(t, "outside in the end", readErr(x.open), syscall.ETIMEDOUT)
		if d := time.Since(start); d > 15*time.Minute {
			t.Errorf("after %v", d)
		}
	})
}

func TestConcurrentWritesDoNotMix(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		x := connect(t, s, Link{Delay: time.Millisecond, Jitter: time.Millisecond})
		defer x.close()
		const size = 3 * maxSegment
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { x.dialed.Write(bytes.Repeat([]byte{byte(i)}, size)) })
		}
		buf := make([]byte, size)
		for range 10 {
			if _, err := io.ReadFull(x.open, buf); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf, bytes.Repeat(buf[:1], size)) {
				t.Error("two writes are mixed")
			}
		}
		wg.Wait()
	})
}
