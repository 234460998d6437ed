package sip

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// hasIPv6 says whether this machine has an IPv6 loopback.
func hasIPv6() bool {
	c, err := net.ListenPacket("udp", "[::1]:0")
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// TestLoopback makes a call on real sockets.
func TestLoopback(t *testing.T) {
	for _, tt := range []struct{ name, listen, transport string }{
		{"UDP IPv4", "127.0.0.1:0", "udp"},
		{"TCP IPv4", "127.0.0.1:0", "tcp"},
		{"UDP IPv6", "[::1]:0", "udp"},
		{"TCP IPv6", "[::1]:0", "tcp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.listen[0] == '[' && !hasIPv6() {
				t.Skip("no IPv6 here")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			listen := []string{"udp://" + tt.listen, "tcp://" + tt.listen}
			calls := make(chan *IncomingInvite, 1)
			bob, err := Listen(ctx, &Config{Listen: listen, OnInvite: func(in *IncomingInvite) { calls <- in }})
			if err != nil {
				t.Fatal(err)
			}
			defer bob.Close()
			alice, err := Listen(ctx, &Config{Listen: listen})
			if err != nil {
				t.Fatal(err)
			}
			defer alice.Close()
			u, okU := bob.Addr("udp")
			at, ok := bob.Addr(tt.transport)
			if !ok || !okU || at.Port() != u.Port() {
				t.Fatalf("bob has %v: the two transports share a port", bob.Addrs())
			}
			target := URI{Scheme: "sip", User: "bob", Host: at.Addr().String(), Port: at.Port(), Params: ";transport=" + tt.transport}
			events := make(chan InviteEvent, 10)
			_, err = alice.Invite(&OutRequest{URI: target, ContentType: "application/sdp", Body: []byte(offer)}, func(ev InviteEvent) { events <- ev })
			if err != nil {
				t.Fatal(err)
			}
			in := receive(t, ctx, calls)
			if in.Remote.Addr() != netip.MustParseAddr(at.Addr().String()) {
				t.Errorf("from %v", in.Remote)
			}
			ends := watch(in.Dialog)
			if err := in.Respond(200, "", "application/sdp", []byte(agreed)); err != nil {
				t.Fatal(err)
			}
			var d *Dialog
			for d == nil {
				switch ev := receive(t, ctx, events).(type) {
				case Answered:
					d = ev.Dialog
				case Failed:
					t.Fatal(ev.Err)
				}
			}
			if err := d.Ack("", nil); err != nil {
				t.Fatal(err)
			}
			if err := d.Bye(ctx); err != nil {
				t.Fatal(err)
			}
			if ev, ok := receive(t, ctx, ends).(DialogEnded); !ok || !ev.ByRemote {
				t.Errorf("bob was told %+v", ev)
			}
			if res, err := alice.Do(ctx, &OutRequest{Method: "OPTIONS", URI: target}); err != nil || res.StatusCode != 200 {
				t.Errorf("OPTIONS: %v, %v", res, err)
			}
		})
	}
}

func receive[T any](t *testing.T, ctx context.Context, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-ctx.Done():
		t.Fatal("nothing came in time")
		panic("not reached")
	}
}

// TestWildcard binds all addresses and names the right one.
func TestWildcard(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	calls := make(chan *IncomingInvite, 1)
	bob, err := Listen(ctx, &Config{Listen: []string{"udp://127.0.0.1:0"}, OnInvite: func(in *IncomingInvite) { calls <- in }})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	alice, err := Listen(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	at, _ := bob.Addr("udp")
	out, err := alice.Invite(&OutRequest{URI: URI{Scheme: "sip", Host: at.Addr().String(), Port: at.Port()}}, func(InviteEvent) {})
	if err != nil {
		t.Fatal(err)
	}
	in := receive(t, ctx, calls)
	if got := in.Dialog.RemoteTarget(); got.Host != "127.0.0.1" || got.Port == 0 {
		t.Errorf("the Contact is %v, want the address towards the peer", got)
	}
	out.Cancel("")
}
