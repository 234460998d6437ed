package registrar

import (
	"net/netip"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

var (
	caller4 = edge{overUDP, netip.MustParseAddrPort("192.0.2.1:5060")}
	callee6 = edge{overTCP, netip.MustParseAddrPort("[2001:db8::7]:40000")}
)

func TestTokenOpensOnlyForItsCall(t *testing.T) {
	var s, other sealer
	other.key[0] = 1
	token := s.seal("call", caller4, callee6)
	if a, b, ok := s.open("call", token); !ok || a != caller4 || b != callee6 {
		t.Errorf("open = %v %v %v, want the two edges", a, b, ok)
	}
	changed := []byte(token)
	changed[3] ^= 1
	for name, ok := range map[string]bool{
		"another call": opens(&s, "other", token), "another server": opens(&other, "call", token),
		"changed": opens(&s, "call", string(changed)), "empty": opens(&s, "call", ""), "a user": opens(&s, "call", "bob"),
		"long": opens(&s, "call", strings.Repeat("A", 4000)),
	} {
		if ok {
			t.Errorf("%s: the token opens", name)
		}
	}
}

func opens(s *sealer, callID, token string) bool {
	_, _, ok := s.open(callID, token)
	return ok
}

func FuzzToken(f *testing.F) {
	var s sealer
	f.Add("call", s.seal("call", caller4, callee6))
	f.Add("", "AAAA")
	f.Fuzz(func(t *testing.T, callID, token string) {
		if a, b, ok := s.open(callID, token); ok && s.seal(callID, a, b) != token && !strings.ContainsAny(token, "\r\n") {
			t.Errorf("%q opens but is not what seal makes", token)
		}
	})
}

func TestRFC3261Section16_4RoutePreprocessing(t *testing.T) {
	var s sealer
	token := s.seal("call", caller4, callee6)
	own := func(u *sipmsg.Uri) bool { return u.Host == "proxy" }
	for _, tt := range []struct {
		name, uri string
		routes    []string
		wantURI   string
		want      string // routes left
		dialog    bool
	}{
		{"none", "sip:bob@proxy", nil, "sip:bob@proxy", "", false},
		{"a preloaded one", "sip:bob@proxy", []string{"sip:proxy;lr"}, "sip:bob@proxy", "", false},
		{"of a dialog", "sip:bob@192.0.2.7", []string{"sip:" + token + "@proxy;lr"}, "sip:bob@192.0.2.7", "", true},
		{"double", "sip:bob@192.0.2.7", []string{"sip:" + token + "@proxy;lr", "sip:" + token + "@[2001:db8::1];transport=tcp;lr", "sip:next;lr"}, "sip:bob@192.0.2.7", "sip:next;lr", true},
		{"strict router before us", "sip:" + token + "@proxy;lr", []string{"sip:next;lr", "sip:bob@192.0.2.7"}, "sip:bob@192.0.2.7", "sip:next;lr", true},
		{"another's", "sip:bob@192.0.2.7", []string{"sip:next;lr"}, "sip:bob@192.0.2.7", "sip:next;lr", false},
		{"a token of another call", "sip:bob@192.0.2.7", []string{"sip:" + s.seal("x", caller4, callee6) + "@proxy;lr"}, "sip:bob@192.0.2.7", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "BYE " + tt.uri + " SIP/2.0\n" + headers
			for _, r := range tt.routes {
				text += "Route: <" + r + ">\n"
			}
			req := parsed(t, text)
			p := s.preprocess(req, own)
			var left []string
			for _, u := range routesOf(req) {
				left = append(left, u.String())
			}
			if got := strings.Join(left, " "); req.Recipient.String() != tt.wantURI || got != tt.want || p.more != (tt.want != "") {
				t.Errorf("for %s, routes %q (more %v); want %s, %q", req.Recipient.String(), got, p.more, tt.wantURI, tt.want)
			}
			if p.dialog != tt.dialog || (tt.dialog && (p.caller != caller4 || p.callee != callee6)) {
				t.Errorf("path %+v, want a dialog: %v", p, tt.dialog)
			}
		})
	}
}

func TestRFC3261Section16_3LoopDetection(t *testing.T) {
	var s sealer
	first := parsed(t, "INVITE sip:bob@proxy SIP/2.0\n"+headers)
	if s.looped(first) {
		t.Fatal("a request that was never here is a loop")
	}
	via := "Via: SIP/2.0/UDP proxy;branch=z9hG4bKabc." + s.mark(first) + "\n"
	if !s.looped(parsed(t, "INVITE sip:bob@proxy SIP/2.0\n"+via+headers)) {
		t.Error("the same request again is no loop")
	}
	if s.looped(parsed(t, "INVITE sip:carol@proxy SIP/2.0\n"+via+headers)) {
		t.Error("a request that comes back for somebody else is a spiral, not a loop")
	}
}

func TestHopCountsDown(t *testing.T) {
	for in, want := range map[string]string{"": "70", "Max-Forwards: 1\n": "0", "Max-Forwards: 70\n": "69", "Max-Forwards: 99999\n": "254", "Max-Forwards: 0\n": "0"} {
		req := parsed(t, "INVITE sip:bob@proxy SIP/2.0\n"+headers+in)
		hop(req)
		if got := req.MaxForwards().Value(); got != want {
			t.Errorf("%q: Max-Forwards %s, want %s", in, got, want)
		}
	}
}

func FuzzRoute(f *testing.F) {
	var s sealer
	token := s.seal("call", caller4, callee6)
	f.Add("sip:bob@proxy", "Route: <sip:"+token+"@proxy;lr>, <sip:next>\r\n")
	f.Add("sip:"+token+"@proxy;lr", "Route: <sip:bob@192.0.2.7>\r\nVia: SIP/2.0/TCP x;branch=z9hG4bKa.AAAAAAAAAAAAAAAA\r\n")
	f.Fuzz(func(t *testing.T, uri, fields string) {
		text := "BYE " + uri + " SIP/2.0\r\n" + strings.ReplaceAll(headers, "\n", "\r\n") + fields + "\r\n"
		msg, err := sipmsg.ParseMessage([]byte(text))
		if err != nil {
			return
		}
		req, ok := msg.(*sipmsg.Request)
		if !ok || req.CallID() == nil || req.CSeq() == nil || req.From() == nil || req.To() == nil {
			return
		}
		s.looped(req)
		s.mark(req)
		before := len(req.GetHeaders("route"))
		p := s.preprocess(req, func(u *sipmsg.Uri) bool { return u.Host == "proxy" })
		if after := len(routesOf(req)); after > before || p.more != (after > 0) {
			t.Errorf("%d routes became %d, more %v", before, after, p.more)
		}
		hop(req)
		maxBreadth(req)
	})
}
