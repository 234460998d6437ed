package sip

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rung is one line of a ladder: at a time something comes in, and something is
// to be done.
type rung struct {
	at       time.Duration
	in, want string
}

func TestRFC3261InviteClient(t *testing.T) {
	for _, tt := range []struct {
		name     string
		reinvite bool
		ladder   []rung
	}{
		{"13.2: normal call", false, []rung{
			{0, "send", ""},
			{0, "100", "progress"},
			{0, "180 a", "progress a"},
			{1, "200 a", "answered a"},
			{2, "200 a", "ACK a"},
			{32 * time.Second, "tick", ""},
			{32*time.Second + 1, "tick", "end-early"},
			{40 * time.Second, "200 b", ""},
		}},
		{"13.2: answered without provisional", false, []rung{{0, "send", ""}, {0, "200 a", "answered a"}}},
		{"13.2: provisionals without limit", false, append([]rung{{0, "send", ""}}, repeat(rung{0, "183 a", "progress a"}, 500)...)},
		{"13.2: provisional without a tag makes no dialog", false, []rung{{0, "send", ""}, {0, "180", "progress"}, {0, "100 a", "progress"}}},
		{"13.2.2.3: busy ends all early dialogs", false, []rung{
			{0, "send", ""}, {0, "180 a", "progress a"}, {0, "180 b", "progress b"}, {0, "486 b", "fail end-early"}, {0, "486 b", ""},
		}},
		{"13.2.2.4: two 2xx of a fork, the second ended", false, []rung{
			{0, "send", ""},
			{0, "180 a", "progress a"},
			{0, "180 b", "progress b"},
			{0, "200 b", "answered b"},
			{0, "200 a", "ACK+BYE a"},
			{0, "200 a", "ACK a"},
			{0, "200 b", "ACK b"},
			{0, "200 c", "ACK+BYE c"},
			{0, "180 d", ""},
		}},
		{"17.1.1.2: nobody answers", false, []rung{{0, "send", ""}, {32 * time.Second, "fail", "fail end-early"}}},
		{"9.1: cancel after a provisional", false, []rung{
			{0, "send", ""}, {0, "180 a", "progress a"}, {5, "cancel", "CANCEL"}, {5, "cancel", ""}, {6, "180 a", ""}, {6, "487 a", "fail end-early"},
		}},
		{"9.1: cancel before a provisional waits for it", false, []rung{
			{0, "send", ""}, {1, "cancel", ""}, {2, "tick", ""}, {3, "100", "CANCEL"}, {4, "180 a", ""}, {5, "487 a", "fail end-early"},
		}},
		{"9.1: cancel before a provisional that never comes", false, []rung{{0, "send", ""}, {1, "cancel", ""}, {2, "fail", "fail end-early"}}},
		{"9.1: cancel before the INVITE was sent", false, []rung{{0, "cancel", "terminated"}, {0, "send", ""}, {0, "fail", ""}}},
		{"9.1: cancel crosses 200", false, []rung{
			{0, "send", ""},
			{0, "180 a", "progress a"},
			{1, "cancel", "CANCEL"},
			{1, "200 a", "ACK+BYE a terminated end-early"},
			{2, "200 a", "ACK a"},
			{3, "200 b", "ACK+BYE b"},
			{4, "487", ""},
		}},
		{"9.1: cancel waits, 200 comes first", false, []rung{{0, "send", ""}, {1, "cancel", ""}, {1, "200 a", "ACK+BYE a terminated end-early"}}},
		{"9.1: cancel after the answer has no effect", false, []rung{{0, "send", ""}, {0, "200 a", "answered a"}, {0, "cancel", ""}}},
		{"9.1: no final response within 64*T1 of the CANCEL", false, []rung{
			{0, "send", ""},
			{0, "180 a", "progress a"},
			{time.Second, "cancel", "CANCEL"},
			{33*time.Second - 1, "tick", ""},
			{33 * time.Second, "tick", "timeout end-early"},
			{34 * time.Second, "200 a", "ACK+BYE a"},
		}},
		{"22.2: credentials, then cancel waits again", false, []rung{
			{0, "send", ""}, {0, "100", "progress"}, {0, "retry", ""}, {0, "send", ""}, {0, "cancel", ""}, {0, "100", "CANCEL"},
		}},
		{"9.1: cancel while credentials are prepared", false, []rung{
			{0, "send", ""}, {0, "100", "progress"}, {0, "retry", ""}, {0, "cancel", "terminated"}, {0, "send", ""}, {0, "fail", ""},
		}},
		{"9.1: the transaction of a cancelled INVITE ends, too", false, []rung{
			{0, "send", ""}, {0, "100", "progress"}, {0, "cancel", "CANCEL"}, {32 * time.Second, "tick", "timeout end-early"}, {64 * time.Second, "tick", "end-early"}, {65 * time.Second, "200 a", ""},
		}},
		{"13.2.1: Expires while it rings", false, []rung{
			{0, "expires 60", ""}, {0, "send", ""}, {59 * time.Second, "180 a", "progress a"}, {60*time.Second - 1, "tick", ""}, {60 * time.Second, "tick", "CANCEL"}, {61 * time.Second, "487 a", "fail end-early"},
		}},
		{"13.2.1: Expires before a provisional response", false, []rung{
			{0, "expires 5", ""}, {0, "send", ""}, {5 * time.Second, "tick", ""}, {6 * time.Second, "100", "CANCEL"},
		}},
		{"13.2.1: Expires has no meaning after the answer", false, []rung{
			{0, "expires 5", ""}, {0, "send", ""}, {1, "200 a", "answered a"}, {5 * time.Second, "tick", ""},
		}},
		{"13.3.1.1: rings on as long as it says so", false, []rung{
			{0, "send", ""}, {0, "180 a", "progress a"}, {9 * time.Minute, "180 a", "progress a"}, {18 * time.Minute, "tick", ""}, {19 * time.Minute, "tick", "CANCEL"},
		}},
		{"14.1: the 200 of a re-INVITE is an answer though cancelled", true, []rung{
			{0, "send", ""}, {0, "100", "progress"}, {0, "cancel", "CANCEL"}, {0, "200 a", "answered a"}, {0, "200 a", "ACK a"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(0, 0)
			c := &inviteClient{reinvite: tt.reinvite, lifetime: -1}
			for i, r := range tt.ladder {
				if got := c.play(start.Add(r.at), r.in); got != r.want {
					t.Fatalf("step %d, %v %q in state %v: got %q, want %q (RFC 3261 section %s)", i, r.at, r.in, c.state, got, r.want, tt.name)
				}
			}
		})
	}
}

// play feeds one input written as text.
func (c *inviteClient) play(now time.Time, in string) string {
	var acts []clientAct
	switch word, tag, _ := strings.Cut(in, " "); word {
	case "send":
		c.send(now)
	case "cancel":
		acts = c.cancel(now)
	case "tick":
		acts = c.tick(now)
	case "fail":
		acts = c.fail()
	case "expires":
		n, _ := strconv.Atoi(tag)
		c.lifetime = time.Duration(n) * time.Second
	case "retry":
		c.retry()
	default:
		code, _ := strconv.Atoi(word)
		acts = c.response(now, code, tag)
	}
	var out []string
	for _, a := range acts {
		out = append(out, strings.TrimSpace(fmt.Sprint(a.do, " ", a.tag)))
	}
	return strings.Join(out, " ")
}

func repeat(r rung, n int) []rung {
	all := make([]rung, n)
	for i := range all {
		all[i] = r
	}
	return all
}

// TestHostileFork answers one INVITE with more legs than we keep.
func TestHostileFork(t *testing.T) {
	c, now := &inviteClient{lifetime: -1}, time.Unix(0, 0)
	c.send(now)
	told := 0
	for i := range 10_000 {
		if len(c.response(now, 180, strconv.Itoa(i))) > 0 {
			told++
		}
	}
	for i := range 10_000 {
		c.response(now, 200, strconv.Itoa(-i))
	}
	if told != maxLegs || len(c.legs) > 2*maxLegs {
		t.Errorf("%d legs were reported and %d are kept, want at most %d and %d", told, len(c.legs), maxLegs, 2*maxLegs)
	}
}

func TestRFC3261InviteServer(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name   string
		ladder []rung
	}{
		{"13.3.1.4: 200 until its ACK", []rung{
			{0, "180", "send"},
			{1 * s, "200", "send"},
			{1500 * time.Millisecond, "tick", "resend"},
			{2500 * time.Millisecond, "tick", "resend"},
			{4500 * time.Millisecond, "tick", "resend"},
			{8500 * time.Millisecond, "tick", "resend"},
			{12500 * time.Millisecond, "tick", "resend"},
			{13 * s, "ack", "acked"},
			{14 * s, "ack", ""},
			{40 * s, "tick", ""},
			{41 * s, "bye", "BYE"},
		}},
		{"13.3.1.4: no ACK within 64*T1: BYE", []rung{
			{0, "200", "send"}, {500 * time.Millisecond, "tick", "resend"}, {31900 * time.Millisecond, "tick", "resend"}, {32 * s, "tick", "BYE no-ack"}, {33 * s, "tick", ""}, {33 * s, "ack", ""},
		}},
		{"13.3.1.1: ringing again each minute", []rung{{0, "100", "send"}, {s, "180", "send"}, {60 * s, "tick", ""}, {61 * s, "tick", "resend"}, {121 * s, "tick", "resend"}}},
		{"13.3.1.3: refused", []rung{{0, "486", "send"}, {s, "tick", ""}, {s, "200", ""}, {s, "ack", ""}, {s, "cancel", ""}}},
		{"9.2: CANCEL", []rung{{0, "180", "send"}, {s, "cancel", "487"}, {s, "200", ""}, {s, "cancel", ""}, {99 * s, "tick", ""}}},
		{"9.2: late CANCEL has no effect", []rung{{0, "200", "send"}, {0, "cancel", ""}, {s, "ack", "acked"}, {s, "cancel", ""}}},
		{"15.1.2: BYE in the early dialog", []rung{{0, "180", "send"}, {0, "end", "487"}}},
		{"15.1.2: BYE instead of ACK", []rung{{0, "200", "send"}, {0, "end", ""}, {s, "tick", ""}}},
		{"13.3.1: Expires", []rung{{0, "begin 20", ""}, {s, "180", "send"}, {20*s - 1, "tick", ""}, {20 * s, "tick", "expired"}, {21 * s, "200", ""}, {99 * s, "tick", ""}}},
		{"13.3.1: Expires has no meaning after the answer", []rung{{0, "begin 20", ""}, {19 * s, "200", "send"}, {19500 * time.Millisecond, "ack", "acked"}, {20 * s, "tick", ""}}},
		{"13.3.1.1: nobody says anything", []rung{{0, "begin -1", ""}, {s, "100", "send"}, {180 * s, "tick", "expired"}}},
		{"13.3.1.1: it rings and nobody comes", []rung{{0, "begin -1", ""}, {s, "180", "send"}, {300 * s, "183", "send"}, {600 * s, "tick", "resend"}, {899 * s, "tick", "resend"}, {900 * s, "tick", "expired"}}},
		{"15: our BYE waits for the ACK", []rung{{0, "200", "send"}, {0, "bye", ""}, {s, "ack", "acked BYE"}}},
		{"15: our BYE waits for 64*T1", []rung{{0, "200", "send"}, {0, "bye", ""}, {32 * s, "tick", "BYE no-ack"}}},
		{"15: no BYE of ours in an early dialog", []rung{{0, "180", "send"}, {0, "bye", "480"}, {s, "tick", ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, start := &inviteServer{}, time.Unix(0, 0)
			for i, r := range tt.ladder {
				if got := m.play(start.Add(r.at), r.in); got != r.want {
					t.Fatalf("step %d, %v %q in state %v: got %q, want %q (RFC 3261 section %s)", i, r.at, r.in, m.state, got, r.want, tt.name)
				}
			}
		})
	}
}

func (s *inviteServer) play(now time.Time, in string) string {
	var acts []serverDo
	word, arg, _ := strings.Cut(in, " ")
	switch word {
	case "begin":
		n, _ := strconv.Atoi(arg)
		s.begin(now, time.Duration(n)*time.Second)
	case "cancel":
		acts = s.cancel()
	case "ack":
		acts = s.ack()
	case "bye":
		acts = s.bye()
	case "end":
		acts = s.end()
	case "tick":
		acts = s.tick(now)
	default:
		code, _ := strconv.Atoi(in)
		acts = s.respond(now, code)
	}
	var out []string
	for _, a := range acts {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

// TestRFC3261AnswerTimes has the exact times of section 13.3.1.4.
func TestRFC3261AnswerTimes(t *testing.T) {
	m, start := &inviteServer{}, time.Unix(0, 0)
	m.respond(start, 200)
	var got []string
	for at := m.deadline(); !at.IsZero(); at = m.deadline() {
		for _, do := range m.tick(at) {
			got = append(got, fmt.Sprintf("%v %v", at.Sub(start).Seconds(), do))
		}
	}
	want := "0.5 resend, 1.5 resend, 3.5 resend, 7.5 resend, 11.5 resend, 15.5 resend, 19.5 resend, 23.5 resend, 27.5 resend, 31.5 resend, 32 BYE, 32 no-ack"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}
