package transport_test

import (
	"context"
	"fmt"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/internal/sysnet"
	"github.com/peercall/peercall/sip/internal/transport"
)

func Example() {
	ctx := context.Background()
	got := make(chan string)
	server, err := transport.Listen(ctx, transport.Config{
		Network: sysnet.Network{},
		Listen:  []string{"udp://127.0.0.1:0"},
		Handle:  func(in transport.Inbound) { got <- string(in.Msg.(*sipmsg.Request).Method) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	addr, _ := server.Addr("UDP")
	flow, err := server.Flow(ctx, transport.Target{Transport: "UDP", Addr: addr}) // to itself
	if err != nil {
		fmt.Println(err)
		return
	}
	err = flow.Write([]byte("OPTIONS sip:bob@example.org SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1\r\n" +
		"From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\n" +
		"Call-ID: 1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"))
	fmt.Println(<-got, err)
	// Output: OPTIONS <nil>
}
