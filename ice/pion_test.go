package ice

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/ice/v4"

	"github.com/peercall/peercall/ice/internal/quiet"
)

// The peer is stock pion on real sockets: it carries its own media and restarts
// in place, break before make. Our side restarts by a second agent.
func TestInteropStockPion(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	y, err := ice.NewAgentWithOptions(
		ice.WithIncludeLoopback(), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithDisableActiveTCP(),
		ice.WithIPFilter(net.IP.IsLoopback), ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithLoggerFactory(quiet.Factory{}), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}))
	if err != nil {
		t.Fatal(err)
	}
	defer y.GracefulClose()
	found := make(chan string, 8)
	if err := y.OnCandidate(func(c ice.Candidate) {
		if c != nil {
			found <- c.Marshal()
		}
	}); err != nil {
		t.Fatal(err)
	}
	describe := func() Description {
		t.Helper()
		if err := y.GatherCandidates(); err != nil {
			t.Fatal(err)
		}
		ufrag, pwd, err := y.GetLocalUserCredentials()
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCandidate(<-found)
		if err != nil {
			t.Fatal(err)
		}
		return Description{Ufrag: ufrag, Pwd: pwd, Candidates: []Candidate{c}}
	}
	tell := func(d Description) {
		t.Helper()
		for _, c := range d.Candidates {
			r, err := ice.UnmarshalCandidate("candidate:" + c.String())
			if err != nil {
				t.Fatal(err)
			}
			if err := y.AddRemoteCandidate(r); err != nil {
				t.Fatal(err)
			}
		}
	}

	x := gather(t, &Config{Addrs: loopback})
	dx, dy := local(t, x), describe()
	tell(dx)
	conn, err := y.StartAccept(dx.Ufrag, dx.Pwd)
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.Connect(ctx, Controlling, dy)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.AwaitConnect(ctx); err != nil {
		t.Fatal(err)
	}
	in := make(chan string, 64)
	p.Handle(func(b []byte, _ netip.AddrPort) { in <- string(b) })
	exchange := func(s string) {
		t.Helper()
		buf := make([]byte, 1500)
		if _, err := p.Write([]byte("\x80 to pion, " + s)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "\x80 to pion, "+s {
			t.Fatalf("pion read %q, %v", buf[:n], err)
		}
		if _, err := conn.Write([]byte("\x80 from pion, " + s)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-in:
			if got != "\x80 from pion, "+s {
				t.Fatalf("read %q", got)
			}
		case <-ctx.Done():
			t.Fatalf("nothing from pion, %s", s)
		}
	}
	exchange("first")

	if err := y.Restart("", ""); err != nil {
		t.Fatal(err)
	}
	selected := make(chan struct{}, 8)
	if err := y.OnSelectedCandidatePairChange(func(ice.Candidate, ice.Candidate) { selected <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	dy = describe()
	dx2, err := x.Renew(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tell(dx2)
	if err := y.SetRemoteCredentials(dx2.Ufrag, dx2.Pwd); err != nil {
		t.Fatal(err)
	}
	if err := x.Restart(ctx, p, 0, dx2, dy); err != nil {
		t.Fatal(err)
	}
	select {
	case <-selected:
	case <-ctx.Done():
		t.Fatal("pion selected nothing after the restart")
	}
	exchange("restarted")
}
