package netsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What sip and ice declare.
var _ interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	InterfaceAddrs() ([]netip.Prefix, error)
} = (*Host)(nil)

// The kernel's rule without SO_REUSEADDR, for datagram sockets and listeners.
func TestBind(t *testing.T) {
	for _, tc := range []struct {
		first, second string // network and address
		want          error
	}{
		{"4 10.0.0.1:5060", "4 10.0.0.1:5060", syscall.EADDRINUSE},
		{"4 10.0.0.1:5060", "4 10.0.0.1:5061", nil},
		{"4 10.0.0.1:5060", "4 10.0.0.2:5060", nil},
		{"4 10.0.0.1:5060", "4 127.0.0.1:5060", nil},
		{"4 0.0.0.0:5060", "4 10.0.0.1:5060", syscall.EADDRINUSE},
		{"4 10.0.0.1:5060", "4 :5060", syscall.EADDRINUSE},
		{" 0.0.0.0:5060", "6 [::]:5060", nil},
		{"6 :5060", "4 :5060", nil},
		{" :5060", "4 :5060", syscall.EADDRINUSE},
		{" :5060", "6 :5060", syscall.EADDRINUSE},
		{" [::]:5060", "4 10.0.0.1:5060", syscall.EADDRINUSE},
		{"6 [2001:db8::1]:5060", "4 10.0.0.1:5060", nil},
		{" :5060", " 10.0.0.9:5070", syscall.EADDRNOTAVAIL},
	} {
		t.Run(tc.first+" then "+tc.second, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				h := s.NewHost("10.0.0.1", nil)
				h.AddAddress("10.0.0.2", nil)
				h.AddAddress("2001:db8::1", nil)
				open := func(spec string) (func() error, func() error, error) {
					family, address, _ := strings.Cut(spec, " ")
					c, err := h.ListenPacket(t.Context(), "udp"+family, address)
					l, lerr := h.Listen(t.Context(), "tcp"+family, address)
					if err != nil || lerr != nil {
						if e, le := syscallOf(err), syscallOf(lerr); e != le {
							t.Errorf("udp and tcp differ: %v, %v", e, le)
						}
						return nil, nil, err
					}
					return c.Close, l.Close, nil
				}
				close1, close2, err := open(tc.first)
				if err != nil {
					t.Fatal(err)
				}
				again1, again2, err := open(tc.second)
				if !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				close1()
				close2()
				if err == nil {
					again1()
					again2()
				}
				if errors.Is(tc.want, syscall.EADDRINUSE) { // free again
					again1, again2, err = open(tc.second)
					if err != nil {
						t.Fatal(err)
					}
					again1()
					again2()
				}
			})
		})
	}
}

func syscallOf(err error) syscall.Errno {
	e, _ := errors.AsType[syscall.Errno](err)
	return e
}

func TestMostSpecificSocketReceives(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h, x := s.NewHost("10.0.0.1", nil), s.NewHost("10.0.0.9", nil)
		h.AddAddress("10.0.0.2", nil)
		c1, c2, cx := udp(t, h, "10.0.0.1:9"), udp(t, h, "10.0.0.2:9"), udp(t, x, ":9")
		defer c1.Close()
		defer c2.Close()
		defer cx.Close()
		cx.put(t, "one", "10.0.0.1:9")
		cx.put(t, "two", "10.0.0.2:9")
		c1.wantOne(t, "one", "10.0.0.9:9")
		c2.wantOne(t, "two", "10.0.0.9:9")
		c2.put(t, "back", "10.0.0.9:9")
		cx.wantOne(t, "back", "10.0.0.2:9")
	})
}

func TestAddressesComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h, x := s.NewHost("10.0.0.1", nil), s.NewHost("10.0.0.9", nil)
		h.AddAddress("10.1.0.1", nil)
		c, cx := udp(t, h, ":9"), udp(t, x, ":9")
		defer c.Close()
		defer cx.Close()
		c.put(t, "from the first", "10.0.0.9:9")
		cx.wantOne(t, "from the first", "10.0.0.1:9")
		h.RemoveAddress("10.0.0.1")
		c.put(t, "from the second", "10.0.0.9:9")
		cx.wantOne(t, "from the second", "10.1.0.1:9")
		cx.put(t, "lost", "10.0.0.1:9")
		c.wantNone(t, "the address is gone")
		got, err := h.InterfaceAddrs()
		if want := []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}; err != nil || !slices.Equal(got, want) {
			t.Errorf("InterfaceAddrs: %v, %v", got, err)
		}
		h.RemoveAddress("10.1.0.1")
		if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("10.0.0.9:9")); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("without an address: %v", err)
		}
	})
}

func TestCrashedHost(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h, x := s.NewHost("10.0.0.1", nil), s.NewHost("10.0.0.9", nil)
		cx := udp(t, x, ":9")
		defer cx.Close()
		c := udp(t, h, ":9")
		cx.put(t, "on the way", "10.0.0.1:9")
		h.Crash(true)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if _, err := h.ListenPacket(t.Context(), "udp", ":9"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("bind: %v", err)
		}
		h.Crash(false)
		c = udp(t, h, ":9")
		defer c.Close()
		cx.put(t, "back", "10.0.0.1:9")
		whats, _ := c.got(t)
		if whats[len(whats)-1] != "back" {
			t.Errorf("got %q", whats)
		}
	})
}

func TestLookup(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h := s.NewHost("10.0.0.1", nil)
		s.AddName("both.example", "2001:db8::1")
		s.AddName("Both.Example.", "192.0.2.1")
		for _, tc := range []struct{ network, name, want string }{
			{"ip", "both.example", "[2001:db8::1 192.0.2.1]"},
			{"ip4", "BOTH.example.", "[192.0.2.1]"},
			{"ip6", "both.example", "[2001:db8::1]"},
			{"ip", "192.0.2.7", "[192.0.2.7]"},
			{"ip4", "localhost", "[127.0.0.1]"},
		} {
			got, err := h.LookupNetIP(t.Context(), tc.network, tc.name)
			if err != nil || fmt.Sprint(got) != tc.want {
				t.Errorf("%s %s: got %v, %v, want %s", tc.network, tc.name, got, err, tc.want)
			}
		}
		s.RemoveName("both.example")
		for _, name := range []string{"both.example", "none.example"} {
			_, err := h.Dial(t.Context(), "tcp", name+":80")
			if de, ok := errors.AsType[*net.DNSError](err); !ok || !de.IsNotFound || de.Name != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.SetLookup(5*time.Second, errors.New("server misbehaving"))
		start := time.Now()
		_, err := h.LookupNetIP(t.Context(), "ip", "none.example")
		if de, ok := errors.AsType[*net.DNSError](err); !ok || !de.IsTemporary || time.Since(start) != 5*time.Second {
			t.Errorf("failing: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = h.LookupNetIP(ctx, "ip", "none.example")
		if de, ok := errors.AsType[*net.DNSError](err); !ok || !de.IsTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("bounded: %v", err)
		}
	})
}

func TestBadAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, s *Sim) {
		h := s.NewHost("10.0.0.1", nil)
		for _, tc := range [][2]string{{"udp", "10.0.0.1"}, {"udp", "10.0.0.1:99999"}, {"udp", "10.0.0.1:http"}, {"unix", "x:1"}, {"udp6", "10.0.0.1:1"}, {"", ":1"}} {
			if c, err := h.ListenPacket(t.Context(), tc[0], tc[1]); err == nil {
				t.Errorf("%q %q: bound %v", tc[0], tc[1], c.LocalAddr())
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.ListenPacket(ctx, "udp", ":1"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}
