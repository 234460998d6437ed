package transport

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// torture tells for each message of RFC 4475 what this layer must do with it: 0 accept
// (what is left to judge is the user's: methods, extensions, bodies, registrations), a
// status to answer, or drop.
const drop = -1

var torture = map[string]int{
	// 3.1.1 valid messages
	"wsinv": 0, "intmeth": 0, "esc01": 0, "escnull": 0, "esc02": 0, "lwsdisp": 0, "longreq": 0,
	"dblreq": 0, "semiuri": 0, "transports": 0, "mpart01": 0, "unreason": 0, "noreason": 0,
	// 3.1.2 invalid messages
	"badinv01":   drop, // its Via is of no use for an answer
	"clerr":      400,
	"ncl":        400,
	"scalar02":   400,
	"scalarlg":   drop, // a response
	"quotbal":    400,
	"ltgtruri":   400,
	"lwsruri":    400,
	"lwsstart":   400,
	"trws":       400,
	"escruri":    400,
	"baddate":    0, // "An element ... could ... ignore" a Date it does not need
	"regbadct":   0, // the registrar's
	"badaspec":   400,
	"baddn":      400,
	"badvers":    505,
	"mismatch01": 400,
	"mismatch02": 400,
	"bigcode":    drop,
	// 3.2 and 3.3: transaction and application layer
	"badbranch": 0, "insuf": 400, "unkscm": 0, "novelsc": 416, "unksm2": 0, "bext01": 0, "invut": 0, "regaut01": 0,
	"multi01": 400, "mcl01": 400, "bcast": 0, "zeromf": 0, "cparam01": 0, "cparam02": 0, "regescrt": 0, "sdp01": 0,
	// 3.4
	"inv2543": 0,
}

var testSource = netip.MustParseAddrPort("203.0.113.9:5099")

func TestRFC4475(t *testing.T) {
	seed := maphash.MakeSeed()
	for name, want := range torture {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "rfc4475", name+".dat"))
			if err != nil {
				t.Fatal(err)
			}
			p := newParser(256)
			msg, d := p.parse(raw, false)
			got, res := 0, []byte(nil)
			if d != nil {
				got = drop
				if res, _ = p.head.reply(raw, d, testSource, seed); res != nil {
					got = d.code
				}
			}
			if got != want {
				t.Fatalf("got %d (%v), want %d", got, d, want)
			}
			if msg == nil && res == nil {
				return
			}
			if res != nil {
				// It repeats what it answers, so it need not be valid itself.
				if !bytes.HasPrefix(res, []byte("SIP/2.0 ")) || !bytes.HasSuffix(res, []byte("\r\nContent-Length: 0\r\n\r\n")) {
					t.Errorf("answered with\n%s", res)
				}
				for _, h := range []string{"\r\nTo:", "\r\nFrom:", "\r\nCall-ID:", "\r\nCSeq:"} {
					if bytes.Count(res, []byte(h)) > 1 {
						t.Errorf("%q is repeated in\n%s", h, res)
					}
				}
				return
			}
			if req, ok := msg.(*sipmsg.Request); ok {
				again, d := newParser(256).parse(Bytes(req), true)
				if d != nil || again.CSeq().Value() != req.CSeq().Value() {
					t.Errorf("does not survive a round trip: %v\n%s", d, Bytes(req))
				}
			}
		})
	}
}

// A short way round of what sipgo gets wrong and the layers above rely on.
func TestRFC4475ShortTortuousInvite(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc4475/wsinv.dat")
	if err != nil {
		t.Fatal(err)
	}
	msg, d := newParser(256).parse(raw, false)
	if d != nil {
		t.Fatal(d)
	}
	var vias []string
	for _, h := range msg.GetHeaders("Via") {
		vias = append(vias, h.Value())
	}
	want := "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw | SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8 | SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239"
	if got := strings.Join(vias, " | "); got != want {
		t.Errorf("Via\n got %s\nwant %s", got, want)
	}
	for _, check := range [][2]string{
		{msg.CSeq().Value(), "9 INVITE"},
		{msg.To().Value(), "<sip:vivekg@chair-dnrc.example.com>;tag=1918181833n"},
		{msg.From().Value(), `"J Rosenberg \\\"" <sip:jdrosen@example.com>;tag=98asjd8`},
		{msg.(*sipmsg.Request).Contact().Value(), `"Quoted string \"\"" <sip:jdrosen@example.com>;newparam=newvalue;secondparam;q=0.33`},
		{msg.(*sipmsg.Request).MaxForwards().Value(), "68"},
	} {
		if check[0] != check[1] {
			t.Errorf("got %s, want %s", check[0], check[1])
		}
	}
	if len(msg.Body()) != 150 {
		t.Errorf("body of %d bytes, want 150", len(msg.Body()))
	}
}

const options = "OPTIONS sip:bob@example.org SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKx\r\n" +
	"From: <sip:alice@example.org>;tag=1\r\n" +
	"To: <sip:bob@example.org>\r\n" +
	"Call-ID: a@192.0.2.1\r\n" +
	"CSeq: 7 OPTIONS\r\n" +
	"Max-Forwards: 70\r\n" +
	"Content-Length: 0\r\n\r\n"

func edit(t *testing.T, old, new string) []byte {
	t.Helper()
	if !strings.Contains(options, old) {
		t.Fatalf("%q is not in the message", old)
	}
	return []byte(strings.Replace(options, old, new, 1))
}

func TestRFC3261InboundValidation(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"as it is", "", "", ""},
		{"no Via", "Via: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKx\r\n", "", "Missing Via"},
		{"no From", "From: <sip:alice@example.org>;tag=1\r\n", "", "Missing From"},
		{"no To", "To: <sip:bob@example.org>\r\n", "", "Missing To"},
		{"no Call-ID", "Call-ID: a@192.0.2.1\r\n", "", "Missing Call-ID"},
		{"no CSeq", "CSeq: 7 OPTIONS\r\n", "", "Missing CSeq"},
		{"no Max-Forwards", "Max-Forwards: 70\r\n", "", ""},
		{"Max-Forwards of 256", "Forwards: 70", "Forwards: 256", "Malformed Max-Forwards"},
		{"Max-Forwards twice", "Max-Forwards: 70\r\n", "Max-Forwards: 70\r\nMax-Forwards: 70\r\n", "Repeated Max-Forwards"},
		{"other CSeq method", "7 OPTIONS", "7 INVITE", "CSeq Does Not Match Method"},
		{"CSeq of 2^31", "7 OPTIONS", "2147483648 OPTIONS", "Malformed CSeq"},
		{"CSeq of 2^31-1", "7 OPTIONS", "2147483647 OPTIONS", ""},
		{"CSeq method in lower case", "7 OPTIONS", "7 options", "CSeq Does Not Match Method"},
		{"short body", "Content-Length: 0", "Content-Length: 1", "Content-Length Larger Than Message"},
		{"Content-Length twice", "Content-Length: 0", "Content-Length: 0\r\nl: 0", "Repeated Content-Length"},
		{"no Content-Length", "Content-Length: 0\r\n", "", ""},
		{"bare LF", "Max-Forwards: 70\r\n", "Max-Forwards: 70\n", "headers without an end"},
		{"bare CR", "Max-Forwards: 70", "X: a\rb", "Control Character"},
		{"NUL", "a@192.0.2.1", "a\x00b", "Control Character"},
		{"no colon", "Max-Forwards: 70", "Max-Forwards", "Header Without Colon"},
		{"Via without host", "192.0.2.1:5070;", ";", "Malformed Via"},
		{"Via port 70000", "5070", "70000", "Malformed Via"},
		{"Via port 0", "5070", "0", "Malformed Via"},
		{"Via over IPv6", "192.0.2.1:5070", "[2001:db8::9:1]:5070", ""},
		{"two Via in a line, no parameters", "192.0.2.1:5070;rport;branch=z9hG4bKx", "192.0.2.1, SIP/2.0/UDP 192.0.2.2", ""},
		{"From without scheme", "<sip:alice@example.org>", "<>", "Malformed URI"},
		{"From with an open bracket", "<sip:alice@example.org>", "<sip:alice@example.org", "Unbalanced Bracket"},
		{"Call-ID with a space", "a@192.0.2.1", "a b", "Malformed Call-ID"},
		{"parameters without end", ";rport;", strings.Repeat(";p", 300) + ";", "Too Many Parameters"},
		{"values without end", "Max-Forwards: 70", "Route: <sip:a>" + strings.Repeat(",<sip:a>", 200), "Too Many Parameters"},
		{"headers without end", "Max-Forwards: 70", strings.Repeat("X: y\r\n", 300) + "X: y", "Too Many Headers"},
		{"a line without end", "Max-Forwards: 70", "X: " + strings.Repeat("y", 20000), "Header Too Long"},
		{"HTTP", "OPTIONS sip:bob@example.org SIP/2.0", "GET / HTTP/1.1", "not a SIP message"},
		{"no URI", " sip:bob@example.org ", "  ", "Malformed Request-URI"},
		{"another scheme", "sip:bob@example.org SIP", "tel:+12025550123 SIP", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := edit(t, test.old, test.new)
			_, d := newParser(256).parse(raw, false)
			got := ""
			if d != nil {
				got = d.reason
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("no Content-Length on a stream", func(t *testing.T) {
		if _, d := newParser(0).parse(edit(t, "Content-Length: 0\r\n", ""), true); d == nil || d.reason != "Missing Content-Length" {
			t.Errorf("got %v", d)
		}
	})
	t.Run("methods are case-sensitive", func(t *testing.T) {
		raw := bytes.ReplaceAll([]byte(options), []byte("OPTIONS"), []byte("Options"))
		msg, d := newParser(0).parse(raw, false)
		if d != nil || msg.(*sipmsg.Request).Method != "Options" {
			t.Errorf("got %v, %v", msg, d)
		}
	})
	t.Run("bytes after the body are discarded", func(t *testing.T) {
		msg, d := newParser(0).parse([]byte(options+"junk"), false)
		if d != nil || len(msg.Body()) != 0 {
			t.Errorf("got %v, %v", msg, d)
		}
	})
}

func TestRFC3581ReplyToBadRequest(t *testing.T) {
	seed := maphash.MakeSeed()
	for _, test := range []struct{ name, old, new, via, to string }{
		{"rport", "", "", "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;received=203.0.113.9;rport=5099\r\n", "203.0.113.9:5099"},
		{"no rport", ";rport", "", "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;received=203.0.113.9\r\n", "203.0.113.9:5070"},
		{"no rport, no port", ":5070;rport", "", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;received=203.0.113.9\r\n", "203.0.113.9:5060"},
		{"false received", ";rport", ";received=192.0.2.66;rport", "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;received=203.0.113.9;rport=5099\r\n", "203.0.113.9:5099"},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := bytes.Replace(edit(t, test.old, test.new), []byte("Max-Forwards: 70"), []byte("Max-Forwards: x"), 1)
			p := newParser(0)
			_, d := p.parse(raw, false)
			res, to := p.head.reply(raw, d, testSource, seed)
			if !bytes.HasPrefix(res, []byte("SIP/2.0 400 Malformed Max-Forwards\r\n")) || !bytes.Contains(res, []byte(test.via)) {
				t.Errorf("got\n%s\nwant a 400 with %s", res, test.via)
			}
			if to.String() != test.to {
				t.Errorf("goes to %v, want %s", to, test.to)
			}
			again, _ := p.head.reply(raw, d, testSource, seed)
			if !bytes.Equal(res, again) {
				t.Error("the answer to a retransmission differs (RFC 3261 section 8.2.7)")
			}
		})
	}
	t.Run("an ACK is never answered", func(t *testing.T) {
		raw := bytes.ReplaceAll(edit(t, "Max-Forwards: 70", "Max-Forwards: x"), []byte("OPTIONS"), []byte("ACK"))
		p := newParser(0)
		_, d := p.parse(raw, false)
		if res, _ := p.head.reply(raw, d, testSource, seed); res != nil {
			t.Errorf("answered with %s", res)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	p := newParser(256)
	raw := []byte(options)
	for b.Loop() {
		if _, d := p.parse(raw, false); d != nil {
			b.Fatal(d)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	b.ReportAllocs()
	var h head
	raw := []byte(options)
	for b.Loop() {
		if d := h.scan(raw, 256); d != nil {
			b.Fatal(d)
		}
	}
}
