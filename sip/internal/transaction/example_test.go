package transaction_test

import (
	"fmt"
	"net/netip"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// loop is a flow into a layer.
type loop struct{ into func(transport.Inbound) }

func (l *loop) Write(p []byte) error {
	msg, err := sipmsg.NewParser().ParseSIP(p)
	if err != nil {
		return err
	}
	l.into(transport.Inbound{Msg: msg, Flow: l})
	return nil
}

func (*loop) Transport() string      { return "TCP" }
func (*loop) Reliable() bool         { return true }
func (*loop) Local() netip.AddrPort  { return netip.AddrPort{} }
func (*loop) Remote() netip.AddrPort { return netip.AddrPort{} }
func (*loop) Close() error           { return nil }

func Example() {
	flow := &loop{}
	layer := transaction.New(transaction.Config{
		Request: func(in transport.Inbound, tx *transaction.Server) {
			req := in.Msg.(*sipmsg.Request)
			fmt.Println("request:", req.Method)
			_ = tx.Respond(sipmsg.NewResponseFromRequest(req, 200, "OK", nil))
		},
	})
	defer layer.Close()
	flow.into = layer.Receive

	msg, err := sipmsg.ParseMessage([]byte("OPTIONS sip:bob@example.org SIP/2.0\r\n" +
		"Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n" +
		"From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\n" +
		"Call-ID: 1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = layer.Client(msg.(*sipmsg.Request), flow, func(ev transaction.Event) {
		fmt.Println("response:", ev.Response.StatusCode, ev.Err)
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// request: OPTIONS
	// response: 200 <nil>
}
