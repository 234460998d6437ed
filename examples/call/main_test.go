package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peercall/peercall/examples/call/internal/report"
	"github.com/peercall/peercall/sip/registrar"
)

// buffer is a bytes.Buffer that two goroutines may use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string // in the one line
	}{
		{"unknown flag", []string{"-nonsense"}, "nonsense"},
		{"two addresses", []string{"sip:a@192.0.2.1", "sip:b@192.0.2.1"}, "too many arguments"},
		{"flag after the address", []string{"sip:a@192.0.2.1", "-json"}, "flags go before the address"},
		{"no sip address", []string{"bob"}, "sip:bob@192.0.2.7"},
		{"listen and an address", []string{"-listen", "sip:b@192.0.2.1"}, "-listen"},
		{"relay without a server", []string{"-relay", "sip:b@192.0.2.1"}, "-servers"},
		{"a file that is not there", []string{"-play", "/does/not/exist.wav", "-listen"}, "exist.wav"},
		{"a file that is no WAV", []string{"-play", "main.go", "-listen"}, "main.go"},
		{"too short", []string{"-duration", "1ms"}, "-duration"},
		{"too short to compare", []string{"-duration", "2s"}, "3s"},
		{"an address that is none", []string{"sip:"}, "sip:bob@192.0.2.7"},
		{"an identity that is none", []string{"-identity", "alice", "-listen"}, "-identity"},
		{"a registrar without an identity", []string{"-registrar", "sip:192.0.2.1", "-listen"}, "-identity"},
		{"a bind that is none", []string{"-bind", "here", "-listen"}, "-bind"},
		{"an authority that is not there", []string{"-tls-ca", "/does/not/exist.pem", "-listen"}, "exist.pem"},
		{"an authority that is none", []string{"-tls-ca", "main.go", "-listen"}, "PEM"},
		{"a server that is none", []string{"-servers", "turn.example.org", "-listen"}, "-servers"},
		{"real call's flag without a call", []string{"-record", "x.wav"}, "-listen"},
		{"out with a real call", []string{"-out", "x", "sip:b@192.0.2.1"}, "-record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
			line := stderr.String()
			if strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "call: ") || !strings.Contains(line, c.want) {
				t.Errorf("printed %q, want one line with %q", line, c.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output has %q", stdout.String())
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, io.Discard, &stderr); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	if !strings.Contains(stderr.String(), "-identity") {
		t.Errorf("the help does not name the flags: %s", stderr.String())
	}
}

// TestFailureSaysWhy: a call that cannot be made exits with 1, and its JSON says why.
func TestFailureSaysWhy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var stdout, stderr buffer
	// A port of our own machine where nobody answers SIP.
	if code := run(ctx, []string{"-json", "-bind", "127.0.0.1", "sip:bob@127.0.0.1:9"}, &stdout, &stderr); code != 1 {
		t.Errorf("exit %d, want 1: %s", code, stderr.String())
	}
	var r report.Result
	if err := json.Unmarshal([]byte(stdout.String()), &r); err != nil {
		t.Fatalf("standard output is %q, want one JSON object: %v", stdout.String(), err)
	}
	if r.OK || r.Error == "" {
		t.Errorf("the result is %+v, want an error in words", r)
	}
}

// TestRealCall: one run waits, another registers and calls it through a registrar
// with a password, and is interrupted as by Ctrl-C: both end properly, the
// recording is there, and no output shows a secret.
func TestRealCall(t *testing.T) {
	const password = "correct-horse-battery"
	reg, err := registrar.Listen(t.Context(), &registrar.Config{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Domain: "example.org", Users: map[string]string{"alice": password, "bob": password},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	t.Setenv("CALL_PASSWORD", password)
	common := []string{"-v", "-bind", "127.0.0.1", "-registrar", "sip:" + reg.Addr("udp").String()}

	var bobOut, bobErr, aliceOut, aliceErr buffer
	bobDone := make(chan int, 1)
	record := filepath.Join(t.TempDir(), "heard.wav")
	go func() {
		args := append([]string{"-listen", "-duration", "20s", "-record", record, "-identity", "sip:bob@example.org"}, common...)
		bobDone <- run(t.Context(), args, &bobOut, &bobErr)
	}()
	waitFor(t, &bobOut, "waiting for a call")

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	aliceDone := make(chan int, 1)
	go func() {
		args := append(append([]string{"-json", "-identity", "sip:alice@example.org"}, common...), "sip:bob@example.org")
		aliceDone <- run(ctx, args, &aliceOut, &aliceErr)
	}()
	waitFor(t, &aliceErr, "sound: ")
	interrupt()
	if code := <-aliceDone; code != 1 {
		t.Errorf("the interrupted caller's exit is %d, want 1", code)
	}
	if code := <-bobDone; code != 0 {
		t.Errorf("the callee's exit is %d, want 0: %s", code, bobErr.String())
	}
	if !strings.Contains(aliceErr.String(), "BYE sip:") {
		t.Error("Ctrl-C did not hang up with BYE")
	}
	if info, err := os.Stat(record); err != nil || info.Size() < 16000 {
		t.Errorf("the recording: %v, %v", info, err)
	}
	all := bobOut.String() + bobErr.String() + aliceOut.String() + aliceErr.String()
	for _, secret := range []string{password, `response="`, "ice-pwd:", "a=crypto", "Authorization: Digest"} {
		if strings.Contains(all, secret) {
			t.Errorf("the output shows %q", secret)
		}
	}
}

// TestDemoShowsNoSecrets runs the call without arguments, briefly, with the log on.
func TestDemoShowsNoSecrets(t *testing.T) {
	var out buffer
	p, err := serve(t.Context(), &options{verbose: true}, report.New(&out))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	who := &party{name: "alice"}
	if err := p.join(t.Context(), who, nil); err != nil {
		t.Fatal(err)
	}
	defer who.ep.Close()
	if err := who.ep.Registered(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "REGISTER") {
		t.Errorf("the ladder is missing: %s", out.String())
	}
	for user, password := range p.passwords {
		if strings.Contains(out.String(), password) {
			t.Errorf("the output shows %s's password", user)
		}
	}
	if m := regexp.MustCompile(`(?i)response="|nonce=`).FindString(out.String()); m != "" {
		t.Errorf("the output shows credentials: %s", m)
	}
	if a := p.registrar.Addr("udp"); a == (netip.AddrPort{}) || !a.Addr().IsLoopback() {
		t.Errorf("the registrar is at %v, want loopback", a)
	}
}

func waitFor(t *testing.T, b *buffer, text string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(b.String(), text) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in %s", text, b.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
