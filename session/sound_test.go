package session_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
)

// direct is a call from alice to bob, both with public addresses.
func direct(t *testing.T, alice, bob session.Config) (a, b *session.Call) {
	t.Helper()
	n := sessiontest.New(t, 1)
	calls := make(chan *session.Call, 1)
	bob.Handler = answering(calls)
	n.Listen("bob", &bob)
	a, err := n.Listen("alice", &alice).Dial(t.Context(), toBob, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, <-calls
}

// TestFormats: each side has the rate and the channels that it asked for, whatever
// the codec and the other side's.
func TestFormats(t *testing.T) {
	for _, c := range []struct{ alice, bob media.Format }{
		{media.Format{Rate: 8000, Channels: 1}, media.Format{Rate: 48000, Channels: 1}},
		{media.Format{Rate: 48000, Channels: 2}, media.Format{Rate: 16000, Channels: 2}},
		{media.Format{}, media.Format{Rate: 8000}},
	} {
		for _, codec := range []string{"G722", "PCMA"} {
			t.Run(fmt.Sprintf("%v %v %s", c.alice, c.bob, codec), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					alice, bob := direct(t, session.Config{Format: c.alice, Codecs: []string{codec}}, session.Config{Format: c.bob})
					for call, want := range map[*session.Call]media.Format{alice: c.alice, bob: c.bob} {
						want.Rate, want.Channels = max(want.Rate, 8000), max(want.Channels, 1)
						if c.alice.Rate == 0 && call == alice {
							want.Rate = 16000
						}
						if got := call.Audio().Format(); got != want {
							t.Errorf("the sound of the call is %+v, want %+v", got, want)
						}
					}
					go alice.Audio().WritePCM(toneIn(alice.Audio().Format(), 400, 2*time.Second))
					go bob.Audio().WritePCM(toneIn(bob.Audio().Format(), 1000, 2*time.Second))
					heard := make(chan float64, 1)
					go func() { heard <- hears(t, alice, 1000, 3*time.Second) }()
					if share := hears(t, bob, 400, 3*time.Second); share < 0.9 {
						t.Errorf("bob hears alice with %.2f of the energy, want 0.9", share)
					}
					if share := <-heard; share < 0.9 {
						t.Errorf("alice hears bob with %.2f of the energy, want 0.9", share)
					}
					if got := alice.Stats().Stream.Codec.Name; got != codec {
						t.Errorf("alice sends %s, want %s", got, codec)
					}
				})
			})
		}
	}
}

// TestCodecOrder: the offerer's order decides among the codecs in common (RFC 3264
// section 6.1), and none in common is a refusal.
func TestCodecOrder(t *testing.T) {
	for _, c := range []struct{ alice, bob, want string }{
		{"", "", "G722"},
		{"PCMA PCMU", "", "PCMA"},
		{"PCMA PCMU G722", "G722 PCMU", "PCMU"},
		{"", "PCMA", "PCMA"},
		{"PCMU", "PCMA G722", ""},
	} {
		t.Run(c.alice+" to "+c.bob, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.want == "" {
					n := sessiontest.New(t, 1)
					n.Listen("bob", &session.Config{Handler: answering(nil), Codecs: strings.Fields(c.bob)})
					_, err := n.Listen("alice", &session.Config{Codecs: strings.Fields(c.alice)}).Dial(t.Context(), toBob, nil)
					wantStatus(t, err, 488)
					return
				}
				alice, bob := direct(t, session.Config{Codecs: strings.Fields(c.alice)}, session.Config{Codecs: strings.Fields(c.bob)})
				talk(t, alice, bob)
				for who, call := range map[string]*session.Call{"alice": alice, "bob": bob} {
					if got := call.Stats().Stream.Codec.Name; got != c.want {
						t.Errorf("%s sends %s, want %s", who, got, c.want)
					}
				}
			})
		})
	}
}
