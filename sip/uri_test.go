package sip

import (
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want URI
	}{
		{"sip:bob@example.org", URI{Scheme: "sip", User: "bob", Host: "example.org"}},
		{"SIPS:bob:pw@example.org:5071;transport=tcp;lr?Subject=x&a=b", URI{"sips", "bob", "pw", "example.org", 5071, ";transport=tcp;lr", "?Subject=x&a=b"}},
		{"sip:[2001:db8::1]:5060;lr", URI{Scheme: "sip", Host: "2001:db8::1", Port: 5060, Params: ";lr"}},
		{"sip:+1234;phone-context=x@gw;user=phone", URI{Scheme: "sip", User: "+1234;phone-context=x", Host: "gw", Params: ";user=phone"}},
		{"sip:a%40b@h", URI{Scheme: "sip", User: "a%40b", Host: "h"}},
		{"tel:+358-555-1234567;postd=pp22", URI{Scheme: "tel", Host: "+358-555-1234567;postd=pp22"}},
		{"sip:192.0.2.7", URI{Scheme: "sip", Host: "192.0.2.7"}},
	} {
		got, err := ParseURI(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseURI(%q) = %+v, %v\nwant %+v", tt.in, got, err, tt.want)
		}
		if again, err := ParseURI(got.String()); err != nil || again != got {
			t.Errorf("%q written as %q reads as %+v, %v", tt.in, got, again, err)
		}
	}
}

func TestHostileURI(t *testing.T) {
	for _, in := range []string{
		"", "sip", "sip:", "bob@example.org", ":x", "sip:@h", "sip:a@", "sip:a@b@c", "sip:a b@c", "sip:a@b\r\nX: y", "sip:a:@h", "sip:a:b:c@h",
		"sip:h:0", "sip:h:99999", "sip:h:+5", "sip:h:5060x", "sip:[::1", "sip:[::1]x", "sip:[1.2.3.4]", "sip:[fe80::1%25eth0]", "sip:a<b>@h", `sip:"a"@h`,
		"sip:h\x00", "sip://h", "sip:%h", "1sip:h", "sip:h:", "sip:" + strings.Repeat("a", maxURI),
	} {
		if u, err := ParseURI(in); err == nil {
			t.Errorf("ParseURI(%q) = %+v, want an error", clip(in, 60), u)
		}
	}
	u := URI{Scheme: "sip", User: "a@b\r\nEvil: x", Host: "h>\r\n", Params: ";x=\r\n?", Headers: "?\n"}
	if s := u.String(); strings.ContainsAny(s, "\r\n<> ") {
		t.Errorf("a hand-made URI breaks out of its header field: %q", s)
	}
}

// TestRFC3261EqualURI has the examples of section 19.1.4.
func TestRFC3261EqualURI(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sip:a@h", "sips:a@h", false},
		{"sip:a@h", "sip:a@h;maddr=1.2.3.4", false},
		{"sip:[2001:db8::1]", "sip:[2001:DB8:0::1]", true},
	} {
		a, errA := ParseURI(tt.a)
		b, errB := ParseURI(tt.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Equal(b) != tt.want || b.Equal(a) != tt.want {
			t.Errorf("%s and %s: equal %v, want %v (RFC 3261 section 19.1.4)", tt.a, tt.b, a.Equal(b), tt.want)
		}
	}
}

func TestParseAddress(t *testing.T) {
	bob := URI{Scheme: "sip", User: "bob", Host: "h"}
	for _, tt := range []struct {
		in   string
		want Address
		out  string
	}{
		{"sip:bob@h;tag=1", Address{URI: bob, Params: ";tag=1"}, "<sip:bob@h>;tag=1"},
		{"<sip:bob@h;lr> ; tag = 1 ;x", Address{URI: URI{Scheme: "sip", User: "bob", Host: "h", Params: ";lr"}, Params: ";tag=1;x"}, "<sip:bob@h;lr>;tag=1;x"},
		{`"Bob \"B\" \\" <sip:bob@h>`, Address{Name: `Bob "B" \`, URI: bob}, `"Bob \"B\" \\" <sip:bob@h>`},
		{"Bob the Builder <sip:bob@h>", Address{Name: "Bob the Builder", URI: bob}, `"Bob the Builder" <sip:bob@h>`},
		{`<sip:bob@h>;x="a;b";tag=2`, Address{URI: bob, Params: `;x="a;b";tag=2`}, `<sip:bob@h>;x="a;b";tag=2`},
	} {
		got, err := ParseAddress(tt.in)
		if err != nil || got != tt.want || got.String() != tt.out {
			t.Errorf("ParseAddress(%q) = %+v, %v\nwant %+v", tt.in, got, err, tt.want)
		}
	}
	a, _ := ParseAddress(`<sip:bob@h>;x="a;b";Tag=2`)
	if x, ok := a.Param("x"); !ok || x != "a;b" || a.Tag() != "2" {
		t.Errorf("parameters of %v: x=%q tag=%q", a, x, a.Tag())
	}
}

func TestHostileAddress(t *testing.T) {
	for _, in := range []string{"", "<>", "<sip:a@h", `"a <sip:a@h>`, `"a" sip:a@h`, "<sip:a@h> x", "<sip:a@h>;=x", "a;b <sip:a@h>", "<sip:a@h>\r\nX: y", "sip:a@h?x=y", `<sip:a@h>;x="a`, `<sip:a@h>;x="a"b`} {
		if a, err := ParseAddress(in); err == nil {
			t.Errorf("ParseAddress(%q) = %+v, want an error", in, a)
		}
	}
	a := Address{Name: "x\r\nEvil: y", URI: URI{Scheme: "sip", Host: "h"}, Params: ";a\r\nb"}
	if s := a.String(); strings.ContainsAny(s, "\r\n") {
		t.Errorf("a hand-made address breaks out of its header field: %q", s)
	}
}

func FuzzURI(f *testing.F) {
	for _, s := range []string{"sip:bob@example.org", "sips:a:b@[::1]:1;x=y?h=v", "tel:+1;a=b", "sip:%61@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		if again, err := ParseURI(u.String()); err != nil || again != u {
			t.Fatalf("%q: %+v written as %q reads as %+v, %v", s, u, u, again, err)
		}
		if !u.Equal(u) {
			t.Fatalf("%q does not equal itself", s)
		}
		u.Param("transport")
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{`"Bob" <sip:bob@h;lr>;tag=1`, "sip:a@h;x", `A B <tel:1>;q="\"";z`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Fatalf("%q: %+v written as %q reads as %+v, %v", s, a, a, again, err)
		}
		a.Tag()
	})
}
