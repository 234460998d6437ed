//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/peercall/peercall/internal/speech"
	"github.com/peercall/peercall/media/resample"
	"github.com/peercall/peercall/media/wav"
	"github.com/peercall/peercall/session"
)

const (
	rate    = 16000
	talking = 5 * time.Second
)

// codecs are baresip's names of what we test, and ours.
var codecs = []struct {
	baresip, ours string
	rate          int
}{
	{"G722/16000/1", "G722", 16000},
	{"PCMU/8000/1", "PCMU", 8000},
}

func account(codec, answer string) string {
	return fmt.Sprintf("<sip:b@%s>;regint=0;mediaenc=dtls_srtp;medianat=ice;answermode=%s;audio_codecs=%s", peerAddr, answer, codec)
}

// TestBaresipAnswersUs: we call baresip with ICE and DTLS-SRTP, both hear the
// speech, and one side or the other hangs up.
func TestBaresipAnswersUs(t *testing.T) {
	for i, codec := range codecs {
		t.Run(codec.ours, func(t *testing.T) {
			said, played := speechFiles(t, codec.rate)
			b := startBaresip(t, account(codec.baresip, "auto"), played, codec.rate)
			ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
			defer cancel()
			ep := listen(t, ctx, nil)
			call, err := ep.Dial(ctx, "sip:b@"+peerAddr, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer call.Close()
			b.wait("CALL_ESTABLISHED")
			heard := converse(t, ctx, call, said)
			check(t, call, codec.ours)
			if i == 0 {
				if err := call.Hangup(ctx); err != nil {
					t.Errorf("hang up: %v", err)
				}
			} else {
				b.do("hangup", "")
				if err := call.Wait(ctx); err != nil {
					t.Errorf("baresip's hang-up: %v, want none", err)
				}
				if e := call.Err(); !endedBy(e, session.RemoteHungUp) {
					t.Errorf("the call ended with %v, want that the peer hung up", e)
				}
			}
			b.wait("CALL_CLOSED")
			compare(t, "we", heard, load(t, played))
			compare(t, "baresip", load(t, b.heard()), said)
		})
	}
}

// TestBaresipCallsUs: the same the other way round.
func TestBaresipCallsUs(t *testing.T) {
	for i, codec := range codecs {
		t.Run(codec.ours, func(t *testing.T) {
			said, played := speechFiles(t, codec.rate)
			b := startBaresip(t, account(codec.baresip, "manual"), played, codec.rate)
			ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
			defer cancel()
			calls := make(chan *session.Call, 1)
			listen(t, ctx, func(ctx context.Context, in *session.Incoming) {
				if err := in.Ring(ctx); err != nil {
					t.Errorf("ring: %v", err)
				}
				call, err := in.Answer(ctx)
				if err != nil {
					t.Errorf("answer: %v", err)
					return
				}
				calls <- call
				_ = call.Wait(ctx)
			})
			b.do("dial", "sip:peercall@"+ourAddr)
			var call *session.Call
			select {
			case call = <-calls:
			case <-ctx.Done():
				t.Fatal("baresip's call did not come")
			}
			b.wait("CALL_ESTABLISHED")
			heard := converse(t, ctx, call, said)
			check(t, call, codec.ours)
			if i == 0 {
				b.do("hangup", "")
				if err := call.Wait(ctx); err != nil {
					t.Errorf("baresip's hang-up: %v, want none", err)
				}
			} else if err := call.Hangup(ctx); err != nil {
				t.Errorf("hang up: %v", err)
			}
			b.wait("CALL_CLOSED")
			compare(t, "we", heard, load(t, played))
			compare(t, "baresip", load(t, b.heard()), said)
		})
	}
}

func endedBy(err error, cause session.Cause) bool {
	e, ok := errors.AsType[*session.EndError](err)
	return ok && e.Cause == cause
}

func listen(t *testing.T, ctx context.Context, h session.HandlerFunc) *session.Endpoint {
	t.Helper()
	cfg := &session.Config{Listen: []string{"udp://" + ourAddr + ":0", "tcp://" + ourAddr + ":0"}}
	if h != nil {
		cfg.Handler, cfg.Listen = h, []string{"udp://" + ourAddr + ":5060", "tcp://" + ourAddr + ":5060"}
	}
	ep, err := session.Listen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ep.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return ep
}

// check looks at how the call was protected and coded.
func check(t *testing.T, call *session.Call, codec string) {
	t.Helper()
	sec, stats := call.Security(), call.Stats()
	if sec.Profile != "DTLS-SRTP" || !sec.Encrypted() {
		t.Errorf("protected by %q with %q, want DTLS-SRTP", sec.Profile, sec.Suite)
	}
	if stats.Stream.Codec.Name != codec {
		t.Errorf("codec %s, want %s", stats.Stream.Codec.Name, codec)
	}
	if stats.Path.Consent.IsZero() {
		t.Error("no consent: the path was not found by ICE")
	}
	t.Logf("%s, %s, %d packets sent, %d received, %d lost, jitter %v, round trip %v",
		sec.Suite, codec, stats.Stream.PacketsSent, stats.Stream.PacketsReceived, stats.Stream.Lost, stats.Stream.Jitter, stats.Stream.RTT)
}

// converse says said for a while and returns what is heard meanwhile.
func converse(t *testing.T, ctx context.Context, call *session.Call, said []int16) []int16 {
	t.Helper()
	audio := call.Audio()
	heard := make(chan []int16, 1)
	go func() {
		var all []int16
		buf := make([]int16, rate/50)
		for {
			n, err := audio.ReadPCM(buf)
			if all = append(all, buf[:n]...); err != nil {
				heard <- all
				return
			}
		}
	}()
	_ = audio.SetWriteDeadline(time.Now().Add(talking + 10*time.Second))
	if _, err := audio.WritePCM(said[:int(talking.Seconds())*rate]); err != nil {
		t.Errorf("say: %v", err)
	}
	if err := audio.Drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
	_ = audio.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	return <-heard
}

func compare(t *testing.T, who string, heard, said []int16) {
	t.Helper()
	said = said[:min(len(said), int(talking.Seconds())*rate)]
	rep := speech.Compare(said, heard, rate, speech.Options{})
	t.Logf("%s heard %.1f s: median correlation %.3f, %.0f%% of %d windows at least 0.8", who, float64(len(heard))/rate, rep.Median, 100*rep.Share80, rep.Windows)
	if !rep.OK() {
		t.Errorf("%s did not hear what was said: %+v", who, rep)
	}
}

// speechFiles are what we say, and the file that baresip plays: long, because
// its source ends with its file.
func speechFiles(t *testing.T, playedRate int) (said []int16, played string) {
	t.Helper()
	said = load(t, filepath.Join("..", "examples", "call", "alice.wav"))
	bob := load(t, filepath.Join("..", "examples", "call", "bob.wav"))
	if playedRate != rate {
		rs, err := resample.New(rate, playedRate)
		if err != nil {
			t.Fatal(err)
		}
		bob = rs.Append(nil, bob)
	}
	played = filepath.Join(t.TempDir(), "played.wav")
	f, err := os.Create(played)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := wav.NewWriter(f, playedRate, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := w.WritePCM(bob); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return said, played
}

// load reads a WAV file as 16 kHz mono.
func load(t *testing.T, name string) []int16 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := wav.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var pcm []int16
	buf := make([]int16, 4096)
	for {
		n, err := r.ReadPCM(buf)
		if pcm = append(pcm, buf[:n]...); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if r.Rate() == rate {
		return pcm
	}
	rs, err := resample.New(r.Rate(), rate)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rs.Append(nil, pcm)
}
