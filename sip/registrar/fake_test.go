package registrar

import (
	"net/netip"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// fakeFlow is a transport.Flow that goes nowhere.
type fakeFlow struct {
	tcp    bool
	remote string
}

func (f *fakeFlow) Write([]byte) error    { return nil }
func (f *fakeFlow) Reliable() bool        { return f.tcp }
func (f *fakeFlow) Local() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.5:5060") }
func (f *fakeFlow) Close() error          { return nil }
func (f *fakeFlow) Remote() netip.AddrPort {
	return netip.MustParseAddrPort(f.remote)
}

func (f *fakeFlow) Transport() string {
	if f.tcp {
		return "TCP"
	}
	return "UDP"
}

// parsed reads a request written with \n for brevity.
func parsed(t testing.TB, text string) *sipmsg.Request {
	t.Helper()
	var b []byte
	for i := range len(text) {
		if text[i] == '\n' {
			b = append(b, '\r')
		}
		b = append(b, text[i])
	}
	msg, err := sipmsg.ParseMessage(append(b, '\r', '\n'))
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	req, ok := msg.(*sipmsg.Request)
	if !ok {
		t.Fatalf("%q is not a request", text)
	}
	return req
}

const headers = `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1
From: <sip:alice@example.org>;tag=a
To: <sip:bob@example.org>;tag=b
Call-ID: call
CSeq: 1 INVITE
`
