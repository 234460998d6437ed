package session

import (
	"strings"
	"testing"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/sip"
)

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want string // in the error
	}{
		{"password without identity", Config{Password: "x"}, "need Config.Identity"},
		{"identity without user", Config{Identity: "sip:example.org"}, "sip:alice@example.org"},
		{"identity that is no URI", Config{Identity: "alice"}, "sip:alice@example.org"},
		{"registrar that is no URI", Config{Identity: "sip:a@b.example", Registrar: "b.example"}, "sip:192.0.2.1:5060"},
		{"listen without scheme", Config{Listen: []string{"127.0.0.1:5060"}}, "udp://192.0.2.1:5060"},
		{"codec we do not have", Config{Codecs: []string{"opus"}}, "G722"},
		{"security out of range", Config{Security: 9}, "AllowPlain"},
		{"rate we do not have", Config{Format: media.Format{Rate: 44100}}, "16000"},
		{"three channels", Config{Format: media.Format{Channels: 3}}, "1 or 2 channels"},
		{"server that is none", Config{Servers: []ice.Server{{URL: "foo"}}}, "Config.Servers"},
		{"account without user", Config{Accounts: []sip.Account{{}}}, "Config.Accounts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := complete(&c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error that says %q", err, c.want)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := complete(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Format != (media.Format{Rate: 16000, Channels: 1}) || c.MediaTimeout != 30*time.Second || c.Security != AllowSDES || c.MaxCalls != 1000 {
		t.Errorf("the zero Config became %+v", c.Config)
	}
	for _, l := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"a caller binds any port", Config{}, "udp://:0 tcp://:0"},
		{"a handler without a registrar waits at 5060", Config{Handler: HandlerFunc(nil)}, "udp://:5060 tcp://:5060"},
		{"a handler that registers binds any port", Config{Handler: HandlerFunc(nil), Identity: "sip:a@b.example", Password: "x"}, "udp://:0 tcp://:0"},
	} {
		c, err := complete(&l.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Listen, " "); got != l.want {
			t.Errorf("%s: got %s, want %s", l.name, got, l.want)
		}
	}
	c, err = complete(&Config{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0", "udp://[::1]:0"}})
	if err != nil || len(c.addrs) != 2 {
		t.Errorf("media binds %v (%v), want the two loopback addresses", c.addrs, err)
	}
	c, err = complete(&Config{Listen: []string{"udp://127.0.0.1:0", "tcp://:0"}})
	if err != nil || c.addrs != nil {
		t.Errorf("media binds %v (%v), want ice's choice beside a wildcard", c.addrs, err)
	}
}
