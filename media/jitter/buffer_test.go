package jitter

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run plays a script: lines of "time put seq[@timestamp][/samples] [result]", "time skip seq",
// "time get status [seq | samples]". Without @ the timestamp is 160 per sequence number.
func run(t *testing.T, b *Buffer, script string) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(script), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var ms int
		fmt.Sscan(f[0], &ms)
		now := start.Add(time.Duration(ms) * time.Millisecond)
		want := strings.Join(f[2:], " ")
		var got string
		switch f[1] {
		case "put", "skip":
			var seq, ts, samples int
			if n, _ := fmt.Sscanf(f[2], "%d@%d", &seq, &ts); n < 2 {
				ts = seq * 160
			}
			if _, s, ok := strings.Cut(f[2], "/"); ok {
				fmt.Sscan(s, &samples)
			}
			var r PutResult
			if f[1] == "put" {
				r = b.Put(now, Packet{Seq: uint16(seq), Timestamp: uint32(ts), Payload: fmt.Append(nil, seq), Samples: samples})
			} else {
				r = b.Skip(now, uint16(seq))
			}
			got = f[2]
			if r != Queued {
				got += " " + r.String()
			}
		case "get":
			frame, status := b.Get(now)
			got = status.String()
			switch status {
			case Play:
				got += fmt.Sprint(" ", frame.Seq)
				if string(frame.Payload) != fmt.Sprint(frame.Seq) {
					t.Fatalf("line %d: payload %q is not that of %d", i+1, frame.Payload, frame.Seq)
				}
				if frame.Spliced {
					got += " spliced"
				}
			default:
				if len(f) > 3 {
					got += fmt.Sprint(" ", frame.Samples)
				}
			}
		default:
			t.Fatalf("line %d: %q", i+1, line)
		}
		if got != want {
			t.Fatalf("line %d, %q: got %q", i+1, line, got)
		}
	}
}

func TestBuffer(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         Stats
	}{
		{
			"the first packet waits for Min, the others follow at the pace of Get", `
			0 get wait 160
			0 put 1
			20 put 2
			20 get wait 160
			40 put 3
			40 get play 1
			60 get play 2
			80 get play 3`,
			Stats{Received: 3, Played: 3, Delay: 40 * time.Millisecond},
		},
		{
			"reordered packets are put in order", `
			0 put 1
			20 put 3
			25 put 2
			40 get play 1
			60 put 5
			60 get play 2
			61 put 4
			80 get play 3
			100 get play 4
			120 get play 5`,
			Stats{Received: 5, Played: 5, Reordered: 2, Delay: 60 * time.Millisecond},
		},
		{
			"the stream may begin out of order", `
			0 put 8
			1 put 7
			40 get play 7
			60 get play 8`,
			Stats{Received: 2, Played: 2, Reordered: 1, Delay: 60 * time.Millisecond},
		},
		{
			"what a later packet proves missing is concealed once, and late when it comes", `
			0 put 1
			40 put 3
			40 get play 1
			60 put 4
			60 get lost 160
			65 put 2 late
			80 get play 3
			100 get play 4`,
			Stats{Received: 4, Played: 3, Lost: 1, Late: 1, Concealed: 1, Delay: 40 * time.Millisecond},
		},
		{
			"a second copy is a duplicate before its turn, after it and when lent", `
			0 put 1
			1 put 1 duplicate
			40 get play 1
			41 put 1 duplicate
			42 put 2
			43 put 2 duplicate
			60 get play 2
			61 put 1 duplicate`,
			Stats{Received: 6, Played: 2, Duplicates: 4, Delay: 18 * time.Millisecond},
		},
		{
			"sequence numbers and timestamps wrap", `
			0 put 65534@4294967136
			20 put 65535@0
			40 put 0@160
			40 get play 65534
			60 get play 65535
			80 get play 0`,
			Stats{Received: 3, Played: 3, Delay: 40 * time.Millisecond},
		},
		{
			"a leap of the timestamp in sequence is silence, not loss; Min begins anew", `
			0 put 1
			20 put 2
			40 get play 1
			60 get play 2
			80 get lost 160
			100 get lost 160
			120 get lost 160
			140 get wait 160
			500 put 3@3840
			500 get wait
			520 put 4@4000
			520 get wait
			540 get play 3
			560 get play 4`,
			Stats{Received: 4, Played: 4, Concealed: 3, Delay: 40 * time.Millisecond},
		},
		{
			"a pause between packets that both wait lasts until the second has waited for Min", `
			0 put 1
			40 put 2@480
			40 get play 1
			60 get wait 160
			80 get play 2`,
			Stats{Received: 2, Played: 2, Delay: 40 * time.Millisecond},
		},
		{
			"a late packet is still played when nothing later came: the delay grows", `
			0 put 1
			40 get play 1
			60 get lost 160
			70 put 2
			80 get play 2
			90 put 3
			100 get play 3`,
			Stats{Received: 3, Played: 3, Concealed: 1, Inserted: 1, Delay: 10 * time.Millisecond},
		},
		{
			"what was concealed in an empty buffer counts for the loss found later", `
			0 put 1
			40 get play 1
			60 get lost 160
			70 put 3
			80 get play 3`,
			Stats{Received: 2, Played: 2, Lost: 1, Concealed: 1, Delay: 10 * time.Millisecond},
		},
		{
			"an outage: 60 ms are concealed, then silence, then a new beginning", `
			0 put 1
			40 get play 1
			60 get lost
			80 get lost
			100 get lost
			120 get wait
			1000 put 50
			1000 get wait
			1020 put 51
			1040 get play 50
			1060 get play 51`,
			Stats{Received: 3, Played: 3, Lost: 48, Concealed: 3, Delay: 40 * time.Millisecond},
		},
		{
			"an outage longer than the ring", `
			0 put 1
			40 get play 1
			60 get lost
			9000 put 400
			9020 put 401
			9040 get play 400
			9060 get play 401`,
			Stats{Received: 3, Played: 3, Lost: 398, Concealed: 1, Delay: 40 * time.Millisecond},
		},
		{
			"packets of 10 ms: two per tick", `
			0 put 1@80/80
			10 put 2@160/80
			20 put 3@240/80
			30 put 4@320/80
			40 put 5@400/80
			40 get play 1
			40 get play 2
			60 get play 3
			60 get play 4
			80 get play 5
			80 get lost 80`,
			Stats{Received: 5, Played: 5, Concealed: 1, Delay: 40 * time.Millisecond},
		},
		{
			"packets of 60 ms, their duration learnt: a gap is one of them", `
			0 put 1@480
			60 put 2@960
			60 get play 1
			120 put 3@1440
			120 get play 2
			180 get play 3
			240 put 5@2400
			240 get lost 480
			300 get play 5`,
			Stats{Received: 4, Played: 4, Lost: 1, Concealed: 1, Delay: 60 * time.Millisecond},
		},
		{
			"durations may vary", `
			0 put 1@0/160
			20 put 2@160/320
			60 put 3@480/240
			60 get play 1
			80 get play 2
			120 get play 3
			120 put 5@960/160
			150 get lost 240
			180 get play 5`,
			Stats{Received: 4, Played: 4, Lost: 1, Concealed: 1, Delay: 60 * time.Millisecond},
		},
		{
			"timestamps a little off do not matter", `
			0 put 1@1000
			20 put 2@1158
			40 put 3@1325
			40 get play 1
			60 get play 2
			80 get play 3`,
			Stats{Received: 3, Played: 3, Delay: 40 * time.Millisecond},
		},
		{
			"timestamps that begin anew in sequence are followed", `
			0 put 1@80000
			20 put 2@80160
			40 put 3@0
			40 get play 1
			60 put 4@160
			60 get play 2
			80 get play 3
			100 get play 4`,
			Stats{Received: 4, Played: 4, Delay: 40 * time.Millisecond},
		},
		{
			"a leap of the sequence needs two packets (RFC 3550 appendix A.1)", `
			0 put 1
			20 put 2
			30 put 30000 refused
			40 put 3
			40 get play 1
			50 put 30002 refused
			60 put 30003
			80 put 30004
			100 get play 30003
			120 get play 30004`,
			Stats{Received: 7, Played: 3, Refused: 2, Resets: 1, Delay: 40 * time.Millisecond},
		},
		{
			"after a long quiet any sequence number is believed", `
			0 put 1000
			40 get play 1000
			60 get lost
			5000 put 40000
			5020 put 40001
			5040 get play 40000
			5060 get play 40001`,
			Stats{Received: 3, Played: 3, Resets: 1, Concealed: 1, Delay: 40 * time.Millisecond},
		},
		{
			"telephone-events are neither played nor lost", `
			0 put 1
			20 put 2
			40 skip 3
			40 get play 1
			60 skip 4
			60 get play 2
			80 skip 5
			80 get wait 160
			100 put 6@960
			100 get wait 160
			120 put 7@1120
			120 get wait 160
			140 get play 6
			160 get play 7`,
			Stats{Received: 7, Played: 4, Delay: 40 * time.Millisecond},
		},
		{
			"more than Max at once is cut", `
			0 put 1
			40 get play 1
			60 get lost
			100 put 2
			100 put 3
			100 put 4
			100 put 5
			100 put 6
			100 put 7
			100 put 8
			100 get play 4 spliced
			120 get play 5`,
			Stats{Received: 8, Played: 3, Concealed: 1, Inserted: 1, Dropped: 2, Depth: 3, Delay: 20 * time.Millisecond},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(Config{Max: 100 * time.Millisecond})
			run(t, b, c.script)
			if got := b.Stats(); got != c.want {
				t.Errorf("stats\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	b := New(Config{MaxPackets: 10, MaxPayload: 200})
	if r := b.Put(start, Packet{Payload: make([]byte, 201)}); r != Refused {
		t.Errorf("a payload of 201 bytes is %v", r)
	}
	for seq := range 10000 { // nobody listens
		b.Put(start.Add(time.Duration(seq)*20*time.Millisecond), Packet{Seq: uint16(seq), Timestamp: uint32(seq * 160), Payload: make([]byte, 200)})
	}
	if s := b.Stats(); s.Depth > 16 || len(b.free) > 16 || s.Dropped < 9900 {
		t.Errorf("%d packets and %d free buffers held, %d dropped", s.Depth, len(b.free), s.Dropped)
	}
	f, status := b.Get(start.Add(200 * time.Second))
	if status != Play || f.Seq < 9984 {
		t.Errorf("after it: %v %d", status, f.Seq)
	}
	b.Reset()
	if _, status := b.Get(start.Add(201 * time.Second)); status != Wait || b.Stats().Depth != 0 {
		t.Errorf("after Reset: %v, depth %d", status, b.Stats().Depth)
	}
}

// Frame.Payload stays what it is until the next Get, whatever is put in between.
func TestLentPayload(t *testing.T) {
	b := New(Config{})
	b.Put(start, Packet{Seq: 1, Payload: []byte("one")})
	f, _ := b.Get(start.Add(40 * time.Millisecond))
	for seq := range 200 {
		b.Put(start.Add(time.Hour), Packet{Seq: uint16(seq * 317), Payload: []byte("xyz")})
	}
	if string(f.Payload) != "one" {
		t.Errorf("the frame's payload became %q", f.Payload)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{1, 0, 1, 1, 2, 0, 0, 0, 3, 3, 3})
	f.Add([]byte{1, 255, 1, 0, 9, 200, 1, 1, 100, 4, 77, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := New(Config{MaxPackets: 8, Max: 100 * time.Millisecond})
		now, seq, ts := start, uint16(65500), uint32(1<<32-1000)
		for len(in) >= 2 {
			op, arg := in[0], in[1]
			in = in[2:]
			now = now.Add(time.Duration(op>>4) * 7 * time.Millisecond)
			switch op & 7 {
			case 0, 1:
				seq++
				ts += 160
				b.Put(now, Packet{Seq: seq + uint16(arg&3), Timestamp: ts, Payload: in[:min(len(in), 3)]})
			case 2:
				b.Put(now, Packet{Seq: seq + uint16(int8(arg)), Timestamp: ts + uint32(int8(arg))*160})
			case 3:
				seq += uint16(arg) << 8
			case 4:
				ts += uint32(arg) << 18
			case 5:
				b.Skip(now, seq+uint16(arg&7))
			default:
				fr, s := b.Get(now)
				if fr.Samples <= 0 || fr.Samples > 960 || s > Lost {
					t.Fatalf("%v of %d samples", s, fr.Samples)
				}
			}
			depth, waiting := 0, int32(0)
			for i := range b.ring {
				if b.ring[i].state == queued {
					depth++
					waiting += b.ring[i].ticks
				}
			}
			if depth != b.count || waiting != b.waiting || b.Stats().Depth > 8 || len(b.free) > 10 {
				t.Fatalf("%d packets wait, %d counted; %d ticks, %d counted; %d free", depth, b.count, waiting, b.waiting, len(b.free))
			}
		}
	})
}

func TestNoAllocation(t *testing.T) {
	b := New(Config{})
	c := NewConcealer(8000)
	payload, pcm := make([]byte, 160), make([]int16, 160)
	now, seq := start, uint16(0)
	if n := testing.AllocsPerRun(1000, func() {
		if seq%10 != 0 {
			b.Put(now, Packet{Seq: seq, Timestamp: uint32(seq) * 160, Payload: payload})
		}
		switch _, status := b.Get(now); status {
		case Play:
			c.Good(pcm)
		case Lost:
			c.Lost(pcm)
		}
		seq++
		now = now.Add(20 * time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

func BenchmarkPutGet(b *testing.B) {
	buffer := New(Config{})
	payload := make([]byte, 160)
	now, seq := start, uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		buffer.Put(now, Packet{Seq: seq, Timestamp: uint32(seq) * 160, Payload: payload})
		buffer.Get(now)
		seq++
		now = now.Add(20 * time.Millisecond)
	}
}

func ExampleBuffer() {
	b := New(Config{ClockRate: 8000, Min: 40 * time.Millisecond})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, seq := range []uint16{1, 3, 4} { // 2 is lost
		b.Put(now, Packet{Seq: seq, Timestamp: uint32(seq) * 160, Payload: []byte{byte(seq)}})
	}
	for range 5 {
		frame, status := b.Get(now)
		fmt.Printf("%v %d %v\n", status, frame.Samples, frame.Payload)
		now = now.Add(20 * time.Millisecond)
	}
	// Output:
	// wait 160 []
	// wait 160 []
	// play 160 [1]
	// lost 160 []
	// play 160 [3]
}
