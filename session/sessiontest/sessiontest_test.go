package sessiontest_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
)

func TestMain(m *testing.M) { sessiontest.Main(m) }

func TestPairInBubble(t *testing.T) { synctest.Test(t, pair) }

func TestPairInRealTime(t *testing.T) { pair(t) }

// pair: a tone that alice plays is heard by bob, over an encrypted path.
func pair(t *testing.T) {
	p := sessiontest.Pair(t)
	if s := p.AliceCall.Security(); !s.Encrypted() || s.RemoteFingerprint != p.BobCall.Security().LocalFingerprint {
		t.Errorf("alice sees %+v, want DTLS-SRTP with bob's fingerprint %s", s, p.BobCall.Security().LocalFingerprint)
	}
	tone := make([]int16, 16000/2)
	for i := range tone {
		tone[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/16000))
	}
	go p.AliceCall.Audio().WritePCM(tone)
	if loud := loudest(t, p.BobCall, time.Second); loud < 6000 || loud > 9000 {
		t.Errorf("bob heard at most %d, want about 8000", loud)
	}
	if err := p.AliceCall.Hangup(t.Context()); err != nil {
		t.Errorf("hang up: %v", err)
	}
	if err := p.BobCall.Wait(t.Context()); err != nil {
		t.Errorf("bob's call ended with %v, want none", err)
	}
	e, ok := errors.AsType[*session.EndError](p.BobCall.Err())
	if !ok || e.Cause != session.RemoteHungUp {
		t.Errorf("bob's call ended with %v, want that the peer hung up", p.BobCall.Err())
	}
}

// loudest listens for d.
func loudest(t *testing.T, call *session.Call, d time.Duration) (loud int16) {
	t.Helper()
	if err := call.Audio().SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	buf := make([]int16, 320)
	for {
		n, err := call.Audio().ReadPCM(buf)
		for _, s := range buf[:n] {
			loud = max(loud, s)
		}
		if err != nil {
			return loud
		}
	}
}

func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sessiontest.Pair(t)
		p.Net.Crash("bob")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := p.AliceCall.Wait(ctx); err == nil {
			t.Error("the call survived the peer's crash")
		}
	})
}
