package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
	"github.com/peercall/peercall/sip"
)

// TestAccounts: an endpoint with two identities calls from either, and from any
// other address without credentials.
func TestAccounts(t *testing.T) {
	inWorld(t, func(w *world) {
		froms := make(chan string, 1)
		bob := w.person("bob", func(ctx context.Context, in *session.Incoming) {
			froms <- in.From()
			_ = in.Reject(ctx, 486)
		})
		carol, err := sip.ParseURI("sip:carol@example.org")
		if err != nil {
			w.Fatal(err)
		}
		alice := w.person("alice", nil, func(c *session.Config) {
			c.Accounts = []sip.Account{{AOR: carol, Password: passwords["carol"]}}
		})
		w.registered(alice, bob)
		for _, c := range []struct{ from, want string }{
			{"", "sip:alice@example.org"},
			{"sip:alice@example.org", "sip:alice@example.org"},
			{"sip:carol@example.org", "sip:carol@example.org"},
		} {
			_, err := alice.Dial(w.Context(), "sip:bob@example.org", &session.DialOptions{From: c.from})
			wantStatus(w.T, err, 486)
			if got := <-froms; got != c.want {
				w.Errorf("called from %q: bob sees %q, want %q", c.from, got, c.want)
			}
		}
		_, err = alice.Dial(w.Context(), "sip:bob@example.org", &session.DialOptions{From: "sip:mallory@example.org"})
		if _, ok := errors.AsType[*sip.StatusError](err); !ok {
			w.Errorf("an address without an account: %v, want the proxy's refusal", err)
		}
	})
}

// TestOtherUsersCalls: an endpoint with an identity takes calls for that user only.
func TestOtherUsersCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := sessiontest.New(t, 1)
		n.Listen("bob", &session.Config{
			Identity: "sip:bob@bob.example",
			Handler:  session.HandlerFunc(func(ctx context.Context, in *session.Incoming) { _ = in.Reject(ctx, 486) }),
		})
		alice := n.Listen("alice", nil)
		_, err := alice.Dial(t.Context(), toBob, nil)
		wantStatus(t, err, 486)
		_, err = alice.Dial(t.Context(), "sip:1000@bob.example", nil)
		wantStatus(t, err, 404)
	})
}
