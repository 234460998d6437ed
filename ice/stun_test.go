package ice

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

func TestRFC8489_5_Framing(t *testing.T) {
	good := checkFor(t, "a:b", "pwd")
	if !isSTUN(good) || !isRequest(good) || isResponse(good) || !isBinding(good) {
		t.Error("a Binding request was not taken for one")
	}
	if u, ok := attribute(good, attrUsername); !ok || string(u) != "a:b" {
		t.Errorf("USERNAME %q", u)
	}
	if !authentic(good, "pwd") || authentic(good, "pw") {
		t.Error("MESSAGE-INTEGRITY")
	}
	e := stun.MustBuild(stun.TransactionID, stun.BindingError, stun.ErrorCodeAttribute{Code: 487, Reason: []byte("Role Conflict")}).Raw
	if c, r := errorCode(e); !isErrorResponse(e) || c != 487 || r != "Role Conflict" {
		t.Errorf("error %d %q", c, r)
	}
	i := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication)).Raw
	if isRequest(i) || isResponse(i) || !isBinding(i) {
		t.Error("a Binding indication was not taken for one")
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"no cookie":      func(p []byte) []byte { p[4]++; return p },
		"wrong length":   func(p []byte) []byte { p[3] += 4; return p },
		"cut":            func(p []byte) []byte { return p[:len(p)-4] },
		"too short":      func(p []byte) []byte { return p[:19] },
		"first byte RTP": func(p []byte) []byte { p[0] |= 0x80; return p },
	} {
		if isSTUN(spoil(bytes.Clone(good))) {
			t.Errorf("%s: taken for STUN", name)
		}
	}
}

func FuzzDemux(f *testing.F) {
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername("a:b"), stun.NewShortTermIntegrity("p"), stun.Fingerprint).Raw)
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingError, stun.CodeRoleConflict).Raw)
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 9}).Raw)
	f.Add([]byte{0x80, 0})
	f.Add([]byte{64, 0, 0, 0})
	g := &Gatherer{closing: make(chan struct{}), offers: map[string]*offer{}, users: map[string]*agent{}}
	o := newOffer()
	o.ufrag, o.pwd = "a", "p"
	g.offers["a"] = o
	from := netip.MustParseAddrPort("192.0.2.9:9")
	f.Fuzz(func(t *testing.T, p []byte) {
		orig := bytes.Clone(p)
		b := newBase(g, from, discard{}, nil)
		b.hook(turnHook{server: from, input: func([]byte) {}})
		b.input(p, from)
		b.input(p, netip.MustParseAddrPort("192.0.2.8:8"))
		attribute(p, attrUsername)
		errorCode(p)
		authentic(p, "p")
		if isSTUN(p) {
			_, _ = mappedAddress(p)
			_, _ = bindingSuccess(p, from, "p")
			isErrorResponse(p)
		}
		if !bytes.Equal(orig, p) {
			t.Fatal("the packet was changed")
		}
	})
}

type discard struct{}

func (discard) WriteToUDPAddrPort(p []byte, _ netip.AddrPort) (int, error) { return len(p), nil }
