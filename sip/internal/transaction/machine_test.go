package transaction

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// The tables hold every transition of one machine. A line is
//
//	state | input | actions | new state | resend, deadline
//
// where resend and deadline are seconds from now, "-" for not set and "=" for as it was.
// A timer input is named by what is due: "resend" (A, E, G, the 100), "deadline" (B, D,
// F, H, I, J, K, L, M) or "early" (neither). Whatever state and input a table does not
// hold does nothing at all, which is tested, too. "udp " or "tcp " before the state
// limits a line to unreliable or reliable transports.
const (
	tableClientInvite = `
Idle       | start     | send                   | Calling    | 0.5 32
tcp Idle   | start     | send                   | Calling    | - 32
Calling    | resend    | send                   | Calling    | 4 =
Calling    | deadline  | expire end             | Terminated | - -
Calling    | 1xx       | deliver                | Proceeding | - -
Calling    | 2xx       | deliver forget         | Accepted   | - 32
Calling    | 300-699   | sendACK deliver        | Completed  | - 32
tcp Calling| 300-699   | sendACK deliver end    | Terminated | - -
Calling    | transport | fail end               | Terminated | - -
Proceeding | 1xx       | deliver                | Proceeding | - -
Proceeding | 2xx       | deliver forget         | Accepted   | - 32
Proceeding | 300-699   | sendACK deliver        | Completed  | - 32
tcp Proceeding | 300-699 | sendACK deliver end  | Terminated | - -
Proceeding | transport | fail end               | Terminated | - -
Completed  | 300-699   | sendACK absorb         | Completed  | = =
Completed  | deadline  | end                    | Terminated | - -
Completed  | transport | fail end               | Terminated | - -
Accepted   | 2xx       | deliver                | Accepted   | = =
Accepted   | deadline  | end                    | Terminated | - -
`
	tableClientOther = `
Idle       | start     | send                   | Trying     | 0.5 32
tcp Idle   | start     | send                   | Trying     | - 32
Trying     | resend    | send                   | Trying     | 4 =
Trying     | deadline  | expire end             | Terminated | - -
Trying     | 1xx       | deliver                | Proceeding | = =
Trying     | 2xx       | deliver forget         | Completed  | - 5
tcp Trying | 2xx       | deliver forget end     | Terminated | - -
Trying     | 300-699   | deliver forget         | Completed  | - 5
tcp Trying | 300-699   | deliver forget end     | Terminated | - -
Trying     | transport | fail end               | Terminated | - -
Proceeding | resend    | send                   | Proceeding | 4 =
Proceeding | deadline  | expire end             | Terminated | - -
Proceeding | 1xx       | deliver                | Proceeding | = =
Proceeding | 2xx       | deliver forget         | Completed  | - 5
tcp Proceeding | 2xx   | deliver forget end     | Terminated | - -
Proceeding | 300-699   | deliver forget         | Completed  | - 5
tcp Proceeding | 300-699 | deliver forget end   | Terminated | - -
Proceeding | transport | fail end               | Terminated | - -
Completed  | 1xx       | absorb                 | Completed  | = =
Completed  | 2xx       | absorb                 | Completed  | = =
Completed  | 300-699   | absorb                 | Completed  | = =
Completed  | deadline  | end                    | Terminated | - -
`
	tableServerInvite = `
Idle       | start     | deliver                | Proceeding | 0.2 -
Proceeding | resend    | send100                | Proceeding | - =
Proceeding | request   | send absorb            | Proceeding | = =
Proceeding | ACK       | absorb                 | Proceeding | = =
Proceeding | 1xx       | send                   | Proceeding | - =
Proceeding | 2xx       | send                   | Accepted   | - 32
Proceeding | 300-699   | send                   | Completed  | 0.5 32
tcp Proceeding | 300-699 | send                 | Completed  | - 32
Proceeding | transport | fail                   | Proceeding | = =
Completed  | request   | send absorb            | Completed  | = =
Completed  | ACK       |                        | Confirmed  | - 5
tcp Completed | ACK    | end                    | Terminated | - -
Completed  | resend    | send                   | Completed  | 4 =
Completed  | deadline  | expire end             | Terminated | - -
Completed  | 1xx       | refuse                 | Completed  | = =
Completed  | 2xx       | refuse                 | Completed  | = =
Completed  | 300-699   | refuse                 | Completed  | = =
Completed  | transport | fail                   | Completed  | = =
Confirmed  | request   | absorb                 | Confirmed  | = =
Confirmed  | ACK       | absorb                 | Confirmed  | = =
Confirmed  | deadline  | end                    | Terminated | - -
Confirmed  | 1xx       | refuse                 | Confirmed  | = =
Confirmed  | 2xx       | refuse                 | Confirmed  | = =
Confirmed  | 300-699   | refuse                 | Confirmed  | = =
Accepted   | request   | absorb                 | Accepted   | = =
Accepted   | ACK       | deliver                | Accepted   | = =
Accepted   | 1xx       | refuse                 | Accepted   | = =
Accepted   | 2xx       | send                   | Accepted   | = =
Accepted   | 300-699   | refuse                 | Accepted   | = =
Accepted   | deadline  | end                    | Terminated | - -
Accepted   | transport | fail                   | Accepted   | = =
Terminated | 1xx       | refuse                 | Terminated | = =
Terminated | 2xx       | refuse                 | Terminated | = =
Terminated | 300-699   | refuse                 | Terminated | = =
`
	tableServerOther = `
Idle       | start     | deliver                | Trying     | - 32
Trying     | request   | absorb                 | Trying     | = =
Trying     | 1xx       | send                   | Proceeding | = =
Trying     | 2xx       | send                   | Completed  | - 32
tcp Trying | 2xx       | send end               | Terminated | - -
Trying     | 300-699   | send                   | Completed  | - 32
tcp Trying | 300-699   | send end               | Terminated | - -
Trying     | deadline  | end                    | Terminated | - -
Trying     | transport | fail                   | Trying     | = =
Proceeding | request   | send absorb            | Proceeding | = =
Proceeding | 1xx       | send                   | Proceeding | = =
Proceeding | 2xx       | send                   | Completed  | - 32
tcp Proceeding | 2xx   | send end               | Terminated | - -
Proceeding | 300-699   | send                   | Completed  | - 32
tcp Proceeding | 300-699 | send end             | Terminated | - -
Proceeding | deadline  | end                    | Terminated | - -
Proceeding | transport | fail                   | Proceeding | = =
Completed  | request   | send absorb            | Completed  | = =
Completed  | 1xx       | refuse                 | Completed  | = =
Completed  | 2xx       | refuse                 | Completed  | = =
Completed  | 300-699   | refuse                 | Completed  | = =
Completed  | deadline  | end                    | Terminated | - -
Completed  | transport | fail                   | Completed  | = =
Terminated | 1xx       | refuse                 | Terminated | = =
Terminated | 2xx       | refuse                 | Terminated | = =
Terminated | 300-699   | refuse                 | Terminated | = =
`
)

func TestRFC3261Section17Figure6ClientOther(t *testing.T) { runTable(t, clientOther, tableClientOther) }

func TestRFC3261Section17Figure8ServerOther(t *testing.T) { runTable(t, serverOther, tableServerOther) }

func TestRFC6026Figure5ClientInvite(t *testing.T) { runTable(t, clientInvite, tableClientInvite) }

func TestRFC6026Figure7ServerInvite(t *testing.T) { runTable(t, serverInvite, tableServerInvite) }

var actionNames = map[string]action{
	"send": send, "sendACK": sendACK, "send100": send100, "deliver": deliver, "expire": expire,
	"fail": fail, "refuse": refuse, "absorb": absorb, "forget": forget, "end": end,
}

func (a action) String() string {
	var s []string
	for _, n := range []string{"send", "sendACK", "send100", "deliver", "expire", "fail", "refuse", "absorb", "forget", "end"} {
		if a&actionNames[n] != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, " ")
}

type transition struct {
	act      string
	to       string
	deadline string // "resend deadline" of the table
}

// runTable tries every state with every input over both kinds of transport.
func runTable(t *testing.T, k kind, table string) {
	const now = 1000 * time.Second
	rows := map[string]transition{}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		f := strings.Split(line, "|")
		for i := range f {
			f[i] = strings.Join(strings.Fields(f[i]), " ")
		}
		tr := transition{f[2], f[3], f[4]}
		transport, st, ok := strings.Cut(f[0], " ")
		if !ok {
			rows["udp "+f[0]+" "+f[1]] = tr
			rows["tcp "+f[0]+" "+f[1]] = tr
			continue
		}
		rows[transport+" "+st+" "+f[1]] = tr
	}
	unused := maps.Clone(rows)
	inputs := map[string]input{
		"start": start, "request": request, "ACK": ack, "1xx": response1xx, "2xx": response2xx, "300-699": responseErr,
		"resend": timer, "deadline": timer, "early": timer, "transport": transportErr,
	}
	for _, transport := range []string{"udp", "tcp"} {
		for st := idle; st <= terminated; st++ {
			for name, in := range inputs {
				key := transport + " " + st.String() + " " + name
				m := machine{kind: k, state: st, reliable: transport == "tcp"}
				switch {
				case st == idle || st == terminated:
				case name == "resend":
					// A doubles without limit, E and G up to T2; both make 4 s of 2 s
					m.interval, m.resend, m.deadline = 2*time.Second, now-time.Millisecond, now+9*time.Second
				case name == "deadline":
					m.interval, m.resend, m.deadline = time.Second, now-time.Second, now
				default:
					m.interval, m.resend, m.deadline = time.Second, now+8*time.Second, now+9*time.Second
				}
				was := m
				act := m.step(now, in)
				want, ok := rows[key]
				delete(unused, key)
				if !ok && (name == "resend" || name == "deadline") {
					continue // a state without that timer: the ladder test shows that it is never set
				}
				if !ok {
					if act != 0 || m != was {
						t.Errorf("%s: got %q and %v, want nothing", key, act, m.state)
					}
					continue
				}
				if got := act.String(); got != want.act {
					t.Errorf("%s: got %q, want %q", key, got, want.act)
				}
				if got := m.state.String(); got != want.to {
					t.Errorf("%s: got state %s, want %s", key, got, want.to)
				}
				resend, deadline, _ := strings.Cut(want.deadline, " ")
				checkTimer(t, key+" resend", m.resend, was.resend, now, resend)
				checkTimer(t, key+" deadline", m.deadline, was.deadline, now, deadline)
			}
		}
	}
	for key := range unused {
		t.Errorf("%s: in the table, never tried", key)
	}
}

func checkTimer(t *testing.T, name string, got, was, now time.Duration, want string) {
	t.Helper()
	switch want {
	case "-":
		if got != 0 {
			t.Errorf("%s: set to +%v, want not set", name, got-now)
		}
	case "=":
		if got != was {
			t.Errorf("%s: changed from +%v to +%v", name, was-now, got-now)
		}
	default:
		if fmt.Sprint((got - now).Seconds()) != want {
			t.Errorf("%s: got +%v, want %ss", name, got-now, want)
		}
	}
}

// ladder drives a machine by its own timers until it ends and returns when it sent.
func ladder(m *machine, inputs ...input) (sent []time.Duration, ended time.Duration, last action) {
	const epoch = time.Second
	now := epoch
	for _, in := range inputs {
		if m.step(now, in)&send != 0 {
			sent = append(sent, now-epoch)
		}
	}
	for m.state != terminated && m.wakeAt() != 0 {
		now = m.wakeAt()
		if last = m.step(now, timer); last&send != 0 {
			sent = append(sent, now-epoch)
		}
	}
	return sent, now - epoch, last
}

func TestRFC3261Section17Retransmissions(t *testing.T) {
	ms := func(n ...int) string {
		s := make([]time.Duration, len(n))
		for i := range n {
			s[i] = time.Duration(n[i]) * time.Millisecond
		}
		return fmt.Sprint(s)
	}
	for _, test := range []struct {
		name   string
		m      machine
		inputs []input
		sent   string
		ended  time.Duration
		last   action
	}{
		{"timers A and B", machine{kind: clientInvite}, []input{start}, ms(0, 500, 1500, 3500, 7500, 15500, 31500), 32 * time.Second, expire | end},
		{"timer B over TCP", machine{kind: clientInvite, reliable: true}, []input{start}, ms(0), 32 * time.Second, expire | end},
		{"timers E and F in Trying", machine{kind: clientOther}, []input{start}, ms(0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500), 32 * time.Second, expire | end},
		{"timer E in Proceeding", machine{kind: clientOther}, []input{start, response1xx}, ms(0, 500, 4500, 8500, 12500, 16500, 20500, 24500, 28500), 32 * time.Second, expire | end},
		{"timer F over TCP", machine{kind: clientOther, reliable: true}, []input{start}, ms(0), 32 * time.Second, expire | end},
		{"timers G and H", machine{kind: serverInvite}, []input{start, responseErr}, ms(0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500), 32 * time.Second, expire | end},
		{"timer H over TCP", machine{kind: serverInvite, reliable: true}, []input{start, responseErr}, ms(0), 32 * time.Second, expire | end},
		{"timer I", machine{kind: serverInvite}, []input{start, responseErr, ack}, ms(0), 5 * time.Second, end},
		{"timer J", machine{kind: serverOther}, []input{start, response2xx}, ms(0), 32 * time.Second, end},
		{"timer K", machine{kind: clientOther}, []input{start, response2xx}, ms(0), 5 * time.Second, end},
		{"timer L", machine{kind: serverInvite}, []input{start, response2xx}, ms(0), 32 * time.Second, end},
		{"timer L over TCP", machine{kind: serverInvite, reliable: true}, []input{start, response2xx}, ms(0), 32 * time.Second, end},
		{"timer M", machine{kind: clientInvite}, []input{start, response2xx}, ms(0), 32 * time.Second, end},
		{"timer D", machine{kind: clientInvite}, []input{start, responseErr}, ms(0), 32 * time.Second, end},
	} {
		t.Run(test.name, func(t *testing.T) {
			sent, ended, last := ladder(&test.m, test.inputs...)
			if got := fmt.Sprint(sent); got != test.sent || ended != test.ended || last != test.last {
				t.Errorf("sent at %v, ended after %v with %q\nwant    %v, %v, %q", got, ended, last, test.sent, test.ended, test.last)
			}
		})
	}
	t.Run("no timer C", func(t *testing.T) {
		m := machine{kind: clientInvite}
		ladder(&m, start, response1xx)
		if m.state != proceeding || m.wakeAt() != 0 {
			t.Errorf("an INVITE that rings is in %v with a timer at %v, want Proceeding for ever", m.state, m.wakeAt())
		}
	})
}

func TestMachineNamesAndUnknownInputs(t *testing.T) {
	for k := clientInvite; k <= serverOther; k++ {
		for st := idle; st <= terminated; st++ {
			m := machine{kind: k, state: st}
			if act := m.step(1, transportErr+1); act != 0 || m.state != st {
				t.Errorf("%v in %v acts on an input that does not exist", k, st)
			}
		}
	}
	if transportErr.String() != "transport error" || serverOther.String() != "non-INVITE server" {
		t.Error("names do not fit their constants")
	}
}
