package sip

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestStatusError(t *testing.T) {
	res := reply(t, "488 Not Acceptable Here", `Warning: 305 host "Incompatible \"media\" format", 399 h "x"`+"\nRetry-After: 120 (soon);duration=5")
	err := statusError(res, "sip:bob@b.example")
	if err.Code != 488 || err.Warning != `Incompatible "media" format` || err.RetryAfter != 2*time.Minute {
		t.Errorf("%+v", err)
	}
	if got, want := err.Error(), `sip: sip:bob@b.example answered 488 Not Acceptable Here: Incompatible "media" format (retry after 2m0s)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !errors.Is(ErrTimeout, os.ErrDeadlineExceeded) || !errors.Is(ErrClosed, net.ErrClosed) {
		t.Error("ErrTimeout and ErrClosed do not unwrap")
	}
}

func TestHostileRetryAfter(t *testing.T) {
	for in, want := range map[string]time.Duration{"": 0, "x": 0, "-1": 0, "5": 5 * time.Second, "99999999999999999999": maxRetryAfter, "4000000": maxRetryAfter} {
		if got := retryAfter(in); got != want {
			t.Errorf("Retry-After: %s is %v, want %v", in, got, want)
		}
	}
}

func TestHostileHeader(t *testing.T) {
	if s := NewHeader("X\r\nEvil: 1\r\nY", "a\r\nEvil: 2").String(); strings.ContainsAny(s, "\r\n") {
		t.Errorf("a header field breaks out of its line: %q", s)
	}
}

func TestAccountRedacts(t *testing.T) {
	acct := Account{AOR: URI{Scheme: "sip", User: "alice", Host: "a.example"}, Password: "s3cret"}
	if s := acct.LogValue().String() + acct.String(); strings.Contains(s, "s3cret") {
		t.Errorf("the password shows: %s", s)
	}
}

func TestRecent(t *testing.T) {
	var r recent
	now := time.Unix(1000, 0)
	r.add(now, 1)
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {31 * time.Second, true}, {63 * time.Second, true}, {64 * time.Second, false}} {
		if got := r.has(now.Add(tt.at), 1); got != tt.want {
			t.Errorf("after %v: %v, want %v", tt.at, got, tt.want)
		}
	}
	r.add(now.Add(40*time.Second), 2)
	if !r.has(now.Add(50*time.Second), 1) || !r.has(now.Add(50*time.Second), 2) {
		t.Error("a key was forgotten too early")
	}
	r.add(now.Add(400*time.Second), 3)
	if r.has(now.Add(400*time.Second), 1) || r.has(now.Add(400*time.Second), 2) {
		t.Error("a key was kept too long")
	}
}
