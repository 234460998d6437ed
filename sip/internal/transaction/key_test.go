package transaction

import (
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

func TestRFC3261Section17Matching(t *testing.T) {
	key := func(raw string) string {
		req := inbound([]byte(raw), nil).Msg.(*sipmsg.Request)
		method := req.Method
		if method == "ACK" {
			method = "INVITE"
		}
		return string(serverKey(nil, req, string(method)))
	}
	modern := string(transport.Bytes(newRequest("INVITE", branch)))
	old := strings.Replace(modern, branch, "1", 1)
	none := strings.Replace(modern, ";branch="+branch, "", 1)
	bare := strings.Replace(modern, branch, cookie, 1) // RFC 4475 section 3.3.? badbranch
	for _, test := range []struct {
		name, a, b string
		same       bool
	}{
		{"retransmission", modern, modern, true},
		{"ACK to a non-2xx", modern, strings.NewReplacer("INVITE sip", "ACK sip", "4711 INVITE", "4711 ACK", "To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=b").Replace(modern), true},
		{"CANCEL is a transaction of its own", modern, strings.ReplaceAll(modern, "INVITE", "CANCEL"), false},
		{"other branch", modern, strings.Replace(modern, branch, branch+"1", 1), false},
		{"other port", modern, strings.Replace(modern, "192.0.2.1:5060;", "192.0.2.1:5061;", 1), false},
		{"other host", modern, strings.Replace(modern, "UDP 192.0.2.1:", "UDP 192.0.2.9:", 1), false},
		{"host in other case", strings.Replace(modern, "UDP 192.0.2.1:", "UDP a.example:", 1), strings.Replace(modern, "UDP 192.0.2.1:", "UDP A.Example:", 1), true},
		{"RFC 2543", old, old, true},
		{"RFC 2543, ACK", old, strings.NewReplacer("INVITE sip", "ACK sip", "4711 INVITE", "4711 ACK", "To: <sip:bob@192.0.2.2>", "To: <sip:bob@192.0.2.2>;tag=b").Replace(old), true},
		{"RFC 2543, other CSeq", old, strings.ReplaceAll(old, "4711", "4712"), false},
		{"RFC 2543, other Call-ID", old, strings.Replace(old, "c@", "d@", 1), false},
		{"RFC 2543, other From tag", old, strings.Replace(old, "tag=a", "tag=x", 1), false},
		{"RFC 2543, other Request-URI", old, strings.Replace(old, "INVITE sip:bob@", "INVITE sip:rob@", 1), false},
		{"no branch", none, none, true},
		{"no branch, other CSeq", none, strings.ReplaceAll(none, "4711", "4712"), false},
		{"only the cookie, other Call-ID", bare, strings.Replace(bare, "c@", "d@", 1), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if same := key(test.a) == key(test.b); same != test.same {
				t.Errorf("same transaction: %v, want %v", same, test.same)
			}
		})
	}
}
