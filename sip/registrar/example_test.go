package registrar_test

import (
	"context"
	"fmt"
	"time"

	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/registrar"
)

// A registrar for a test or a LAN, and a user agent that registers with it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	server, err := registrar.Listen(ctx, &registrar.Config{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"},
		Users:  map[string]string{"alice": "secret"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	agent, err := sip.Listen(ctx, &sip.Config{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer agent.Close()
	aor, err := sip.ParseURI("sip:alice@" + server.Addr("udp").String())
	if err != nil {
		fmt.Println(err)
		return
	}
	registration, err := agent.Register(&sip.Account{AOR: aor, Password: "secret"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("registered:", registration.Registered(ctx))
	fmt.Println("unregistered:", registration.Unregister(ctx))
	// Output:
	// registered: <nil>
	// unregistered: <nil>
}
