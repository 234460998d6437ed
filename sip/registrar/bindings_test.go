package registrar

import (
	"errors"
	"strings"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip"
	"github.com/peercall/peercall/sip/internal/transport"
)

func changeOf(t *testing.T, contact string, q int, expires time.Duration) change {
	t.Helper()
	var u sipmsg.Uri
	if err := sipmsg.ParseUri(contact, &u); err != nil {
		t.Fatal(err)
	}
	ours, err := sip.ParseURI(contact)
	if err != nil {
		t.Fatal(err)
	}
	return change{contact: ours, target: u, q: q, expires: expires}
}

func contacts(all []binding) string {
	var s []string
	for _, b := range all {
		s = append(s, b.contact.User+"@"+b.contact.Host)
	}
	return strings.Join(s, " ")
}

func TestRFC3261Section10_3Bindings(t *testing.T) {
	start := time.Unix(1000, 0)
	type step struct {
		at      time.Duration
		user    string
		callID  string
		cseq    uint32
		all     bool
		changes []change
		want    string // after it
		err     error
	}
	a := func(expires time.Duration) change { return changeOf(t, "sip:b@192.0.2.1", 1000, expires) }
	b := func(expires time.Duration) change { return changeOf(t, "sip:b@192.0.2.2", 1000, expires) }
	c := func(expires time.Duration) change { return changeOf(t, "sip:b@192.0.2.3", 1000, expires) }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"added, refreshed, removed", []step{
			{0, "bob", "1", 1, false, []change{a(time.Minute)}, "b@192.0.2.1", nil},
			{0, "bob", "1", 2, false, []change{a(time.Hour), b(time.Hour)}, "b@192.0.2.1 b@192.0.2.2", nil},
			{0, "bob", "1", 3, false, []change{a(0)}, "b@192.0.2.2", nil},
			{0, "bob", "1", 4, false, nil, "b@192.0.2.2", nil},
			{0, "bob", "1", 5, true, nil, "", nil},
		}},
		{"runs out", []step{
			{0, "bob", "1", 1, false, []change{a(time.Minute), b(time.Hour)}, "b@192.0.2.1 b@192.0.2.2", nil},
			{time.Minute, "bob", "2", 1, false, nil, "b@192.0.2.2", nil},
		}},
		{"step 7: an old CSeq of the same Call-ID fails, all or nothing", []step{
			{0, "bob", "1", 5, false, []change{a(time.Minute)}, "b@192.0.2.1", nil},
			{0, "bob", "1", 5, false, []change{b(time.Minute), a(0)}, "", errOutOfOrder},
			{0, "bob", "1", 4, true, nil, "", errOutOfOrder},
			{0, "bob", "x", 9, false, nil, "b@192.0.2.1", nil},
			{0, "bob", "2", 1, false, []change{a(0)}, "", nil},
		}},
		{"equal by 19.1.4 is the same binding", []step{
			{0, "bob", "1", 1, false, []change{changeOf(t, "sip:b@EXAMPLE.com", 1000, time.Minute)}, "b@EXAMPLE.com", nil},
			{0, "bob", "2", 1, false, []change{changeOf(t, "sip:%62@example.com;x=1", 1000, time.Minute)}, "%62@example.com", nil},
		}},
		{"the oldest makes room", []step{
			{0, "bob", "1", 1, false, []change{a(time.Hour)}, "b@192.0.2.1", nil},
			{1, "bob", "1", 2, false, []change{b(time.Hour)}, "b@192.0.2.1 b@192.0.2.2", nil},
			{2, "bob", "1", 3, false, []change{a(time.Hour)}, "b@192.0.2.2 b@192.0.2.1", nil},
			{3, "bob", "1", 4, false, []change{c(time.Hour)}, "b@192.0.2.1 b@192.0.2.3", nil},
		}},
		{"too many users", []step{
			{0, "bob", "1", 1, false, []change{a(time.Minute)}, "b@192.0.2.1", nil},
			{0, "eve", "2", 1, false, []change{b(time.Minute)}, "b@192.0.2.2", nil},
			{0, "mallory", "3", 1, false, []change{c(time.Minute)}, "", errFull},
			{0, "mallory", "3", 2, false, nil, "", nil},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			held := 0
			table := newTable(2, 2, func(transport.Flow) func() { held++; return func() { held-- } })
			for i, s := range tt.steps {
				all, err := table.Update(start.Add(s.at), registration{
					user: s.user, callID: s.callID, cseq: s.cseq, all: s.all, changes: s.changes, flow: &fakeFlow{remote: "192.0.2.9:1"},
				})
				if got := contacts(all); got != s.want || !errors.Is(err, s.err) {
					t.Fatalf("step %d: %q, %v; want %q, %v", i, got, err, s.want, s.err)
				}
			}
			table.Sweep(start.Add(2 * time.Hour))
			if held != 0 || len(table.users) != 0 || len(table.byContact) != 0 {
				t.Errorf("after everything ran out: %d holds, %d users, %d contacts", held, len(table.users), len(table.byContact))
			}
		})
	}
}

func TestBindingsLookup(t *testing.T) {
	now := time.Unix(1000, 0)
	table := newTable(10, 10, nil)
	one, two := &fakeFlow{remote: "192.0.2.9:1", tcp: true}, &fakeFlow{remote: "192.0.2.9:2", tcp: true}
	for i, c := range []change{
		changeOf(t, "sip:old@192.0.2.1", 500, time.Hour), changeOf(t, "sip:new@192.0.2.2:5060", 500, time.Hour),
		changeOf(t, "sip:best@192.0.2.3", 900, time.Hour), changeOf(t, "sip:short@192.0.2.4", 1000, time.Second),
	} {
		flow := transport.Flow(one)
		if i == 2 {
			flow = two
		}
		if _, err := table.Update(now, registration{user: "bob", callID: "1", cseq: uint32(i + 1), flow: flow, changes: []change{c}}); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Second)
	if got, want := contacts(table.Lookup(now, "bob")), "best@192.0.2.3 new@192.0.2.2 old@192.0.2.1"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	u := sipmsg.Uri{Scheme: "sip", User: "new", Host: "192.0.2.2"}
	if b, ok := table.Contact(now, &u); !ok || b.flow != one {
		t.Errorf("the binding of %v: %v %v, want its flow", u.String(), b, ok)
	}
	if n := table.Broken(one); n != 2 {
		t.Errorf("%d bindings went with their connection, want 2", n)
	}
	if got, want := contacts(table.Lookup(now, "bob")), "best@192.0.2.3"; got != want {
		t.Errorf("after the connection broke: %q, want %q", got, want)
	}
	if _, ok := table.Contact(now, &u); ok {
		t.Error("a contact is found though its connection broke")
	}
}

func TestRFC3261Section10_3ReadRegister(t *testing.T) {
	cfg := Config{}
	cfg.fill()
	long := strings.Repeat("x", maxContactURI)
	for _, tt := range []struct {
		name, fields string
		want         string // contact expires, ...
		err          error
	}{
		{"none", "", "", nil},
		{"default", "Contact: <sip:b@h>\n", "b 1h0m0s", nil},
		{"Expires field", "Expires: 120\nContact: <sip:b@h>, <sip:c@h>;expires=300\n", "b 2m0s, c 5m0s", nil},
		{"removal", "Contact: <sip:b@h>;expires=0\n", "b 0s", nil},
		{"too long is cut", "Contact: <sip:b@h>;expires=99999999999\n", "b 1h0m0s", nil},
		{"malformed parameter is 3600", "Contact: <sip:b@h>;expires=soon\n", "b 1h0m0s", nil},
		{"too brief", "Contact: <sip:b@h>;expires=59\n", "", errTooBrief},
		{"malformed field", "Expires: soon\nContact: <sip:b@h>\n", "", errContact},
		{"star", "Expires: 0\nContact: *\n", "all", nil},
		{"star without Expires", "Contact: *\n", "", errContact},
		{"star with Expires 60", "Expires: 60\nContact: *\n", "", errContact},
		{"star and another", "Expires: 0\nContact: *\nContact: <sip:b@h>\n", "", errContact},
		{"other scheme", "Contact: <tel:+1>\n", "", errContact},
		{"sips", "Contact: <sips:b@h>\n", "", errContact},
		{"q", "Contact: <sip:b@h>;q=0.5\n", "b 1h0m0s", nil},
		{"q over 1", "Contact: <sip:b@h>;q=2\n", "", errContact},
		{"q not a number", "Contact: <sip:b@h>;q=nan\n", "", errContact},
		{"URI too long", "Contact: <sip:" + long + "@h>\n", "", errContact},
		{"too many", strings.Repeat("Contact: <sip:b@h>\n", maxContactValues+1), "", errContact},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := cfg.readRegister(parsed(t, "REGISTER sip:h SIP/2.0\n"+headers+tt.fields))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error = %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, c := range r.changes {
				got = append(got, c.contact.User+" "+c.expires.String())
			}
			if r.all {
				got = append(got, "all")
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

func FuzzReadRegister(f *testing.F) {
	for _, seed := range []string{"Contact: *\nExpires: 0\n", "Contact: <sip:b@h>;expires=5;q=0.1, <sip:c@[::1]:5>\n", "Expires: 99999999999999\nm: sip:b@h\n"} {
		f.Add(seed)
	}
	cfg := Config{}
	cfg.fill()
	f.Fuzz(func(t *testing.T, fields string) {
		msg, err := sipmsg.ParseMessage([]byte(strings.ReplaceAll("REGISTER sip:h SIP/2.0\n"+headers+fields+"\n\n", "\n", "\r\n")))
		if err != nil {
			return
		}
		req, ok := msg.(*sipmsg.Request)
		if !ok || req.CallID() == nil || req.CSeq() == nil {
			return
		}
		r, err := cfg.readRegister(req)
		if err != nil {
			return
		}
		r.user, r.flow = "u", &fakeFlow{remote: "192.0.2.9:1"}
		table := newTable(3, 3, nil)
		if all, err := table.Update(time.Unix(0, 0), r); err == nil {
			if len(all) > 3 {
				t.Fatalf("%d bindings over the limit", len(all))
			}
			listContacts(time.Unix(0, 0), all)
		}
	})
}
