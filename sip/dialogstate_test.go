package sip

import (
	"fmt"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// message parses a message written with line breaks only.
func message(t testing.TB, text string) sipmsg.Message {
	t.Helper()
	m, err := sipmsg.NewParser().ParseSIP([]byte(strings.ReplaceAll(strings.TrimSpace(text), "\n", "\r\n") + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func invite(t testing.TB, extra string) *Request {
	return message(t, strings.TrimSpace(`INVITE sip:bob@b.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
From: Alice <sip:alice@a.example>;tag=alice
To: <sip:bob@b.example>
Call-ID: c1
CSeq: 7 INVITE
Contact: <sip:alice@192.0.2.1:5070;ob>
`+extra)).(*Request)
}

func reply(t testing.TB, status, extra string) *Response {
	return message(t, "SIP/2.0 "+status+`
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
From: Alice <sip:alice@a.example>;tag=alice
To: <sip:bob@b.example>;tag=bob
Call-ID: c1
CSeq: 7 INVITE
`+strings.TrimSpace(extra)).(*Response)
}

func (o outgoing) String() string {
	var routes []string
	for _, r := range o.routes {
		routes = append(routes, r.String())
	}
	return fmt.Sprintf("%d %s [%s] to %s", o.seq, o.uri, strings.Join(routes, " "), o.hop)
}

func TestRFC3261Dialog(t *testing.T) {
	const records = "Record-Route: <sip:p2.example;lr>\nRecord-Route: <sip:p1.example;lr;x=1>, <sip:p0.example;lr>"
	t.Run("12.1.1 UAS", func(t *testing.T) {
		d, ok := calledDialog(invite(t, records), "ours")
		if !ok || d.id != (dialogID{"c1", "ours", "alice"}) || d.remoteSeq != 7 || d.local.Tag() != "ours" || d.remote.Name != "Alice" {
			t.Fatalf("%+v", d)
		}
		want := "1 sip:alice@192.0.2.1:5070;ob [sip:p2.example;lr sip:p1.example;lr;x=1 sip:p0.example;lr] to sip:p2.example;lr"
		if got := d.next().String(); got != want {
			t.Errorf("got  %s\nwant %s: Record-Route in order", got, want)
		}
	})
	t.Run("12.1.1 no Contact", func(t *testing.T) {
		req := invite(t, "")
		req.RemoveHeader("Contact")
		if _, ok := calledDialog(req, "x"); ok {
			t.Error("a dialog without a remote target")
		}
	})
	t.Run("12.1.2 UAC", func(t *testing.T) {
		req := invite(t, "")
		d := callingDialog(req, reply(t, "180 Ringing", "Contact: <sip:bob@192.0.2.2>\n"+records))
		if d.id != (dialogID{"c1", "alice", "bob"}) || d.phase != dialogEarly || d.heard {
			t.Fatalf("%+v", d)
		}
		want := "8 sip:bob@192.0.2.2 [sip:p0.example;lr sip:p1.example;lr;x=1 sip:p2.example;lr] to sip:p0.example;lr"
		if got := d.next().String(); got != want {
			t.Errorf("got  %s\nwant %s: Record-Route reversed", got, want)
		}
		// 13.2.2.4: the route set is computed again from the 2xx
		d.confirm(reply(t, "200 OK", "Contact: <sip:bob@192.0.2.3>\nRecord-Route: <sip:p9.example;lr>"))
		if got, want := d.next().String(), "9 sip:bob@192.0.2.3 [sip:p9.example;lr] to sip:p9.example;lr"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		// 12.2: a target refresh changes the target, never the route set
		d.refresh(reply(t, "200 OK", "Contact: <sip:bob@192.0.2.4>\nRecord-Route: <sip:p8.example;lr>"))
		if got, want := d.next().String(), "10 sip:bob@192.0.2.4 [sip:p9.example;lr] to sip:p9.example;lr"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("12.2.1.1 strict router", func(t *testing.T) {
		d, _ := calledDialog(invite(t, "Record-Route: <sip:old.example;method=INVITE?x=y>\nRecord-Route: <sip:p1.example;lr>"), "x")
		want := "1 sip:old.example [sip:p1.example;lr sip:alice@192.0.2.1:5070;ob] to sip:old.example;method=INVITE?x=y"
		if got := d.next().String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("12.2.2 CSeq, 14.2 glare", func(t *testing.T) {
		d, _ := calledDialog(invite(t, ""), "x") // CSeq 7, and the INVITE is unanswered
		for _, step := range []struct {
			method string
			seq    uint32
			set    func()
			want   verdict
			why    string
		}{
			{"OPTIONS", 6, nil, verdict{code: 500}, "lower"},
			{"OPTIONS", 7, nil, verdict{code: 500}, "the same number again"},
			{"INFO", 9, nil, verdict{}, "a gap is well"},
			{"INVITE", 8, nil, verdict{code: 500}, "lower than the INFO"},
			{"INVITE", 10, nil, verdict{code: 500, retry: true}, "our final response is not there yet"},
			{"INVITE", 11, func() { d.invited, d.inviting = false, true }, verdict{code: 491}, "ours is in progress"},
			{"INVITE", 12, func() { d.inviting = false }, verdict{}, ""},
			{"BYE", 13, nil, verdict{}, ""},
			{"BYE", 14, func() { d.end() }, verdict{code: 481}, "over"},
		} {
			if step.set != nil {
				step.set()
			}
			if got := d.incoming(step.method, step.seq); got != step.want {
				t.Errorf("%s with CSeq %d: got %+v, want %+v: %s", step.method, step.seq, got, step.want, step.why)
			}
		}
	})
}

// TestHostileRoutes refuses a dialog with more routes than we keep.
func TestHostileRoutes(t *testing.T) {
	req := invite(t, strings.TrimSuffix(strings.Repeat("Record-Route: <sip:p.example;lr>\n", maxRoutes+1), "\n"))
	if _, ok := calledDialog(req, "x"); ok {
		t.Errorf("%d routes were taken", maxRoutes+1)
	}
	d := callingDialog(invite(t, ""), reply(t, "180 Ringing", strings.Repeat("Record-Route: <sip:p.example;lr>\n", maxRoutes+1)))
	if len(d.routes) != 0 {
		t.Errorf("%d routes were kept", len(d.routes))
	}
}

func TestFlowUse(t *testing.T) {
	for _, tt := range []struct {
		hop              string
		routed, reliable bool // over TCP
		remote           string
		use, must        bool
	}{
		{"sip:192.0.2.1:5060", false, false, "192.0.2.1:5060", true, false},
		{"sip:192.0.2.1", true, false, "192.0.2.1:5060", true, false},
		{"sip:192.0.2.1;transport=tcp", false, false, "192.0.2.1:5060", false, false},
		{"sip:192.0.2.1;transport=tcp", true, true, "192.0.2.1:5060", true, false},
		{"sip:192.0.2.1:5099;transport=tcp", false, true, "192.0.2.1:43210", true, false}, // the peer's own connection
		{"sip:192.0.2.1:5099;transport=tcp", true, true, "192.0.2.1:43210", false, false},
		{"sip:192.0.2.9", false, false, "192.0.2.1:5060", false, false},
		{"sip:10.0.0.5", false, false, "192.0.2.1:5060", true, true},     // behind a NAT
		{"sip:10.0.0.5", false, false, "10.0.0.6:5060", false, false},    // one network
		{"sip:10.0.0.5", true, false, "192.0.2.1:5060", false, false},    // the route knows
		{"sip:x.invalid", false, false, "192.0.2.1:5060", true, true},    // a browser
		{"sip:192.0.2.9;ob", false, false, "192.0.2.1:5060", true, true}, // RFC 5626
		{"sip:pc.example.org", false, false, "192.0.2.1:5060", false, false},
	} {
		hop, err := ParseURI(tt.hop)
		if err != nil {
			t.Fatal(err)
		}
		use, must := flowUse(hop, tt.routed, map[bool]string{false: "UDP", true: "TCP"}[tt.reliable], mustAddr(tt.remote))
		if use != tt.use || must != tt.must {
			t.Errorf("%s, routed %v, reliable %v, flow to %s: use %v, must %v; want %v, %v", tt.hop, tt.routed, tt.reliable, tt.remote, use, must, tt.use, tt.must)
		}
	}
	// A dialog under TLS stays there.
	for _, tt := range []struct {
		hop       string
		routed    bool
		use, must bool
	}{
		{"sip:192.0.2.1;transport=tls", true, true, false},
		{"sip:192.0.2.1:5061;transport=TLS", false, true, false},
		{"sip:192.0.2.9;transport=tls", true, false, false}, // by TLS, too
		{"sip:192.0.2.1:5061", true, true, true},
		{"sip:192.0.2.1;transport=tcp", true, true, true},
		{"sip:192.0.2.9;transport=udp", false, true, true},
		{"sip:pc.example.org", false, true, true},
	} {
		hop, err := ParseURI(tt.hop)
		if err != nil {
			t.Fatal(err)
		}
		use, must := flowUse(hop, tt.routed, "TLS", mustAddr("192.0.2.1:5061"))
		if use != tt.use || must != tt.must {
			t.Errorf("%s, routed %v, under TLS: use %v, must %v; want %v, %v", tt.hop, tt.routed, use, must, tt.use, tt.must)
		}
	}
}
