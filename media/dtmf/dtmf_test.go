package dtmf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRFC4733Payload(t *testing.T) {
	for _, c := range []struct {
		wire []byte
		want Payload
	}{
		{[]byte{5, 10, 0, 160}, Payload{Event: 5, Volume: 10, Duration: 160}},
		{[]byte{11, 0x80 | 63, 0xFF, 0xFF}, Payload{Event: 11, End: true, Volume: 63, Duration: 65535}},
		{[]byte{255, 0x40, 0, 0}, Payload{Event: 255}}, // the R bit "MUST be ... ignored"
	} {
		got, err := Parse(c.wire)
		if err != nil || got != c.want {
			t.Errorf("Parse(% x) = %+v, %v; want %+v", c.wire, got, err, c.want)
		}
		if again, _ := Parse(got.Append(nil)); again != got {
			t.Errorf("%+v comes back as %+v", got, again)
		}
	}
	for n := range 4 {
		if _, err := Parse(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are a payload", n)
		}
	}
	if p := (Payload{Volume: 200}).Append(nil); p[1] != 63 {
		t.Errorf("volume 200 is sent as %#x", p[1])
	}
}

func TestKeys(t *testing.T) {
	for i, k := range []byte(keys) {
		code, ok := Code(k)
		back, ok2 := Key(code)
		if !ok || !ok2 || int(code) != i || back != k {
			t.Errorf("%c has code %d and comes back as %c", k, code, back)
		}
	}
	if code, ok := Code('d'); !ok || code != 15 {
		t.Errorf("d has code %d, %v", code, ok)
	}
	if _, ok := Key(16); ok {
		t.Error("16 is a key")
	}
	for text, want := range map[string]string{
		"0123456789*#ABCDabcd": "",
		"":                     "",
		"12 3":                 "dtmf: ' ' at 2 is not a key",
		"1é":                   "dtmf: 'é' at 1 is not a key",
		"E":                    "dtmf: 'E' at 0 is not a key",
		"ı":                    "dtmf: 'ı' at 0 is not a key",
	} {
		err := Check(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("Check(%q) = %v, want %q", text, err, want)
		}
	}
}

// ladder is what a Sender sends in so many ticks, one word each.
func ladder(s *Sender, ticks int, clock *uint32) string {
	var b strings.Builder
	for range ticks {
		p, ok := s.Next(*clock)
		*clock += s.step
		if !ok {
			b.WriteString("audio\n")
			continue
		}
		k, _ := Key(p.Payload.Event)
		fmt.Fprintf(&b, "%c@%d+%d", k, p.Timestamp, p.Payload.Duration)
		if p.Marker {
			b.WriteString(" marker")
		}
		if p.Payload.End {
			b.WriteString(" end")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func lines(s string) string {
	f := strings.Split(strings.TrimSpace(s), "\n")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return strings.Join(f, "\n") + "\n"
}

func TestRFC4733Sender(t *testing.T) {
	s := NewSender(SenderConfig{Tone: 60 * time.Millisecond})
	clock := uint32(1000)
	if err := s.Queue("1#"); err != nil {
		t.Fatal(err)
	}
	want := lines(`
		1@1000+160 marker
		1@1000+320
		1@1000+480 end
		1@1000+480 end
		1@1000+480 end
		#@1800+160 marker
		#@1800+320
		#@1800+480 end
		#@1800+480 end
		#@1800+480 end
		audio
		audio`)
	if got := ladder(s, 12, &clock); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !s.Idle() {
		t.Error("not idle at the end")
	}
}

func TestSenderGap(t *testing.T) {
	s := NewSender(SenderConfig{Tone: time.Nanosecond, Gap: 100 * time.Millisecond})
	clock := uint32(0)
	_ = s.Queue("12")
	want := lines(`
		1@0+160 marker
		1@0+320 end
		1@0+320 end
		1@0+320 end
		audio
		audio
		2@960+160 marker
		2@960+320 end`)
	if got := ladder(s, 8, &clock); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A key held longer than the duration field can say goes on in a new segment.
func TestRFC4733LongEvent(t *testing.T) {
	s := NewSender(SenderConfig{Tone: 9 * time.Second}) // 72000 ticks
	clock := uint32(4294967000)
	_ = s.Queue("7")
	got := strings.Split(ladder(s, 460, &clock), "\n")
	second := clock - 460*160 + 65535
	first := clock - 460*160
	for at, want := range map[int]string{
		0:   fmt.Sprintf("7@%d+160 marker", first),
		408: fmt.Sprintf("7@%d+65440", first),
		409: fmt.Sprintf("7@%d+65535", first),
		410: fmt.Sprintf("7@%d+225", second),
		448: fmt.Sprintf("7@%d+6305", second),
		449: fmt.Sprintf("7@%d+6465 end", second),
		451: fmt.Sprintf("7@%d+6465 end", second),
		452: "audio",
	} {
		if got[at] != want {
			t.Errorf("packet %d: got %q, want %q", at, got[at], want)
		}
	}
}

func TestSenderStopAndLimits(t *testing.T) {
	s := NewSender(SenderConfig{PTime: 60 * time.Millisecond, Tone: time.Hour})
	clock := uint32(0)
	_ = s.Queue("AB")
	ladder(s, 2, &clock)
	s.Stop()
	want := lines("A@0+1440 end\nA@0+1440 end\nA@0+1440 end\naudio\naudio")
	if got := ladder(s, 5, &clock); got != want || !s.Idle() {
		t.Errorf("after Stop: got\n%swant\n%s", got, want)
	}
	if err := s.Queue(strings.Repeat("1", 257)); err == nil || !s.Idle() {
		t.Error("257 keys were queued")
	}
	if err := s.Queue("12x"); err == nil || !s.Idle() {
		t.Error("12x was queued")
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// hear feeds packets "key@timestamp+duration [marker] [end]", one per 20 ms, "-" for none, and
// returns the events as text.
func hear(t *testing.T, script string) string {
	t.Helper()
	r := NewReceiver(0)
	var events []Event
	for i, line := range strings.Split(lines(script), "\n") {
		now := start.Add(time.Duration(i) * 20 * time.Millisecond)
		events = r.Expire(events, now)
		var key byte
		var ts, d int
		if n, _ := fmt.Sscanf(line, "%c@%d+%d", &key, &ts, &d); n < 3 {
			continue
		}
		code, _ := Code(key)
		p := Payload{Event: code, Duration: uint16(d), End: strings.Contains(line, "end")}
		var err error
		if events, err = r.Receive(events, now, uint16(i), uint32(ts), strings.Contains(line, "marker"), p.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	var words []string
	for _, e := range events {
		switch {
		case e.Begin:
			words = append(words, fmt.Sprintf("%c", e.Key()))
		case e.TimedOut:
			words = append(words, fmt.Sprintf("timeout:%v", e.Duration))
		default:
			words = append(words, fmt.Sprint(e.Duration))
		}
	}
	return strings.Join(words, " ")
}

func TestRFC4733Receiver(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"one key", "1@0+160 marker\n1@0+320\n1@0+480 end\n1@0+480 end\n1@0+480 end", "1 60ms"},
		{"two keys", "1@0+160 marker\n1@0+320 end\n1@0+320 end\n2@800+160 marker\n2@800+320 end", "1 40ms 2 40ms"},
		{"the same key twice", "5@0+160 marker\n5@0+320 end\n5@960+160 marker\n5@960+320 end", "5 40ms 5 40ms"},
		{"the start is lost", "*@0+480\n*@0+640 end", "* 80ms"},
		{"only an end arrives", "#@0+800 end\n#@0+800 end", "# 100ms"},
		{"the ends are lost, the next key tells", "1@0+160 marker\n1@0+320\n2@1600+160 marker\n2@1600+320 end", "1 40ms 2 40ms"},
		{"the ends are lost, nothing follows", "1@0+160 marker\n1@0+320" + strings.Repeat("\n-", 10), "1 timeout:40ms"},
		{"an end after the timeout", "1@0+160 marker" + strings.Repeat("\n-", 10) + "\n1@0+1760 end", "1 timeout:20ms"},
		{"packets out of order", "1@0+320\n1@0+160 marker\n1@0+640 end\n1@0+480", "1 80ms"},
		{"a late end of the key before", "1@0+160 marker\n1@0+320 end\n2@800+160 marker\n1@0+320 end\n2@800+320 end", "1 40ms 2 40ms"},
		{"timestamps wrap", "1@4294967200+160 marker\n1@4294967200+320 end\n2@704+160 marker\n2@704+320 end", "1 40ms 2 40ms"},
		{"a long key", "1@0+160 marker\n1@0+65535\n1@65535+100\n1@65535+14465 end\n1@65535+14465 end", "1 10s"},
		{"a long key, the end of its segment lost", "1@0+65440\n1@65535+225\n1@65535+14465 end", "1 10s"},
		{"a long key through a time-out", "1@0+65535" + strings.Repeat("\n-", 11) + "\n1@65535+1760\n1@65535+1920 end", "1 timeout:8.191875s"},
		{"a stream begins anew", "1@900000+160 marker\n1@900000+320 end\n2@5+160 marker\n2@5+320 end", "1 40ms 2 40ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hear(t, c.script); got != c.want {
				t.Errorf("heard %q, want %q", got, c.want)
			}
		})
	}
}

// What a Sender sends a Receiver hears, whatever is lost, as long as one packet of each key comes.
func TestSenderToReceiver(t *testing.T) {
	const digits = "0123456789*#ABCD11"
	for lost := range 7 {
		s, r := NewSender(SenderConfig{}), NewReceiver(8000)
		_ = s.Queue(digits)
		var events []Event
		now, clock := start, uint32(0)
		for i := 0; !s.Idle() || i < 100; i++ {
			if p, ok := s.Next(clock); ok && (lost == 0 || i%7 != lost) && (lost == 0 || i%3 != 0) {
				events, _ = r.Receive(events, now, 0, p.Timestamp, p.Marker, p.Payload.Append(nil))
			}
			events = r.Expire(events, now)
			now, clock = now.Add(20*time.Millisecond), clock+160
		}
		var heard []byte
		for _, e := range events {
			if e.Begin {
				heard = append(heard, e.Key())
			}
		}
		if string(heard) != digits || len(events) != 2*len(digits) {
			t.Errorf("case %d: heard %s in %d events, want %s", lost, heard, len(events), digits)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	s, r := NewSender(SenderConfig{}), NewReceiver(8000)
	events, wire := make([]Event, 0, 4), make([]byte, 0, 4)
	_ = s.Queue(strings.Repeat("1", 256))
	now, clock := start, uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		if p, ok := s.Next(clock); ok {
			wire = p.Payload.Append(wire[:0])
			events, _ = r.Receive(events[:0], now, 0, p.Timestamp, p.Marker, wire)
		}
		events = r.Expire(events[:0], now)
		now, clock = now.Add(20*time.Millisecond), clock+160
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{1, 0, 0, 160, 1, 0x80, 1, 64, 2, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReceiver(0)
		var events []Event
		now, ts := start, uint32(1<<32-500)
		if p, err := Parse(in); err == nil {
			in[1] &^= 0x40
			if got := p.Append(nil); !bytes.Equal(got, in[:4]) {
				t.Fatalf("% x comes back as % x", in[:4], got)
			}
		}
		for p := range slices.Chunk(in, 5) {
			ts += uint32(p[len(p)-1]) << (p[0] % 16)
			events, _ = r.Receive(events, now, 0, ts, p[0]&1 == 0, p)
			now = now.Add(time.Duration(p[0]) * time.Millisecond)
			events = r.Expire(events, now)
		}
		held := false
		for _, e := range events {
			if e.Begin == held {
				t.Fatalf("begins and ends do not alternate: %+v", events)
			}
			held = e.Begin
		}
	})
}

func BenchmarkNextReceive(b *testing.B) {
	s, r := NewSender(SenderConfig{Tone: time.Hour}), NewReceiver(8000)
	_ = s.Queue("1")
	events, wire := make([]Event, 0, 4), make([]byte, 0, 4)
	clock := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		p, _ := s.Next(clock)
		wire = p.Payload.Append(wire[:0])
		events, _ = r.Receive(events[:0], start, 0, p.Timestamp, p.Marker, wire)
		clock += 160
	}
}

func Example() {
	sender, receiver := NewSender(SenderConfig{}), NewReceiver(8000)
	if err := sender.Queue("4#"); err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var events []Event
	for timestamp := uint32(0); !sender.Idle(); timestamp += 160 { // every 20 ms
		if p, ok := sender.Next(timestamp); ok {
			payload := p.Payload.Append(nil)
			events, _ = receiver.Receive(events, now, 0, p.Timestamp, p.Marker, payload)
		}
	}
	for _, e := range events {
		if !e.Begin {
			fmt.Printf("%c for %v\n", e.Key(), e.Duration)
		}
	}
	// Output:
	// 4 for 100ms
	// # for 100ms
}
