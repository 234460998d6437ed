package transaction

import "time"

// Timer values of RFC 3261 section 17.1.1.1 and table 4.
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
	t4 = 5 * time.Second

	timeout = 64 * t1 // timers B, F, H, J, L and M, and D over UDP ("at least 32 seconds")
)

// trying is how long an INVITE may stay without a response of the user before the
// layer answers 100: "The server transaction MUST generate a 100 (Trying) response
// unless it knows that the TU will generate a provisional or final response within
// 200 ms" (RFC 3261 section 17.2.1).
const trying = 200 * time.Millisecond

// kind is one of the four machines of section 17.
type kind uint8

const (
	clientInvite kind = iota
	clientOther
	serverInvite
	serverOther
)

func (k kind) String() string {
	switch k {
	case clientInvite:
		return "INVITE client"
	case clientOther:
		return "non-INVITE client"
	case serverInvite:
		return "INVITE server"
	default:
		return "non-INVITE server"
	}
}

func (k kind) server() bool { return k >= serverInvite }

// state is a state of figures 5 to 8 of RFC 3261, and Accepted of RFC 6026.
type state uint8

const (
	idle       state = iota // not started
	calling                 // INVITE client
	attempting              // Trying of the non-INVITE machines
	proceeding
	accepted // RFC 6026
	completed
	confirmed // INVITE server
	terminated
)

func (s state) String() string {
	return [...]string{"Idle", "Calling", "Trying", "Proceeding", "Accepted", "Completed", "Confirmed", "Terminated"}[s]
}

// input is what can happen to a machine.
type input uint8

const (
	start       input = iota // the user's request (client), the first request (server)
	request                  // server: the request again
	ack                      // INVITE server: an ACK with the INVITE's branch
	response1xx              // client: received; server: the user's
	response2xx
	responseErr  // 300-699
	timer        // the deadline passed
	transportErr // what was sent last could not be sent, or the connection ended
)

func (i input) String() string {
	return [...]string{"start", "request", "ACK", "1xx", "2xx", "300-699", "timer", "transport error"}[i]
}

// action is a set of things the driver does after an input, in the order of the constants.
type action uint16

const (
	send    action = 1 << iota // client: the request; server: the last response
	sendACK                    // client INVITE: the ACK to a non-2xx, built on first use
	send100                    // server INVITE: 100 Trying
	deliver                    // pass the message to the user
	expire                     // tell the user that B, F or H fired
	fail                       // tell the user of the transport error
	refuse                     // server: the user's response has no place here
	absorb                     // a retransmission was kept from the user
	forget                     // client: the request's bytes are not needed any more
	end                        // terminated: drop the record
)

// machine is one transaction. It knows no clock, no bytes and no peers: step is told
// the time (since any epoch) and what happened and returns what to do. The zero value
// with kind and reliable set is ready to start.
type machine struct {
	kind     kind
	state    state
	reliable bool
	interval time.Duration // current value of A, E or G
	resend   time.Duration // when A, E or G fires, or the 100 is due; 0: not set
	deadline time.Duration // when B, D, F, H, I, J, K, L or M fires; 0: not set
}

// wakeAt is when step wants its timer input; 0: never.
func (m *machine) wakeAt() time.Duration {
	if m.resend != 0 && (m.deadline == 0 || m.resend < m.deadline) {
		return m.resend
	}
	return m.deadline
}

// step advances the machine. A timer input before wakeAt is harmless.
func (m *machine) step(now time.Duration, in input) action {
	switch m.kind {
	case clientInvite:
		return m.clientInvite(now, in)
	case clientOther:
		return m.clientOther(now, in)
	case serverInvite:
		return m.serverInvite(now, in)
	default:
		return m.serverOther(now, in)
	}
}

// enter changes the state; after is the life of the new state, where 0 is for ever.
func (m *machine) enter(s state, now, after time.Duration) {
	m.state, m.resend, m.deadline = s, 0, 0
	if after != 0 {
		m.deadline = now + after
	}
}

// linger is enter for a state that only waits for retransmissions: over a reliable
// transport there are none, its timer is zero and the transaction ends at once.
func (m *machine) linger(s state, now, after time.Duration) action {
	if m.reliable {
		return m.terminate()
	}
	m.enter(s, now, after)
	return 0
}

func (m *machine) terminate() action {
	m.enter(terminated, 0, 0)
	return end
}

// repeat sets the first retransmission, over an unreliable transport.
func (m *machine) repeat(now time.Duration) {
	if !m.reliable {
		m.interval = t1
		m.resend = now + t1
	}
}

// again doubles the interval up to limit (0: none) after a retransmission at now.
func (m *machine) again(now, limit time.Duration) {
	m.interval *= 2
	if limit != 0 {
		m.interval = min(m.interval, limit)
	}
	m.resend = now + m.interval
}

// fired tells which timer a timer input at now means.
func (m *machine) fired(now time.Duration) (resend, deadline bool) {
	if m.deadline != 0 && now >= m.deadline {
		return false, true
	}
	return m.resend != 0 && now >= m.resend, false
}
