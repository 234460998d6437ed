package sip_test

import (
	"context"
	"fmt"
	"log"

	"github.com/peercall/peercall/sip"
)

// Two agents on one machine: bob rings and answers, alice hangs up.
func Example() {
	ctx := context.Background()
	bob, err := sip.Listen(ctx, &sip.Config{
		Listen: []string{"udp://127.0.0.1:0"},
		OnInvite: func(in *sip.IncomingInvite) {
			fmt.Println("bob is called by", in.From.URI)
			_ = in.Respond(180, "", "", nil)
			_ = in.Respond(200, "", "text/plain", []byte("hello"))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bob.Close()
	alice, err := sip.Listen(ctx, &sip.Config{Listen: []string{"udp://127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Close()

	at, _ := bob.Addr("udp")
	target, err := sip.ParseURI("sip:bob@" + at.String())
	if err != nil {
		log.Fatal(err)
	}
	from, err := sip.ParseAddress(`"Alice" <sip:alice@example.org>`)
	if err != nil {
		log.Fatal(err)
	}
	events := make(chan sip.InviteEvent, 10)
	if _, err := alice.Invite(&sip.OutRequest{URI: target, From: from}, func(ev sip.InviteEvent) { events <- ev }); err != nil {
		log.Fatal(err)
	}
	for ev := range events {
		switch ev := ev.(type) {
		case sip.Progress:
			fmt.Println("alice hears", ev.Response.StatusCode, ev.Response.Reason)
			continue
		case sip.Answered:
			fmt.Printf("bob says %s\n", ev.Response.Body())
			_ = ev.Dialog.Ack("", nil)
			fmt.Println("hung up:", ev.Dialog.Bye(ctx))
		case sip.Failed:
			fmt.Println(ev.Err)
		}
		break
	}
	// Output:
	// bob is called by sip:alice@example.org
	// alice hears 180 Ringing
	// bob says hello
	// hung up: <nil>
}

func ExampleURI_Equal() {
	a, _ := sip.ParseURI("sip:%61lice@atlanta.com;transport=TCP")
	b, _ := sip.ParseURI("sip:alice@AtlanTa.CoM;Transport=tcp")
	c, _ := sip.ParseURI("sip:alice@atlanta.com:5060;transport=tcp")
	fmt.Println(a.Equal(b), a.Equal(c))
	// Output: true false
}
