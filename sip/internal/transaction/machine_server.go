package transaction

import "time"

// serverInvite is the INVITE server transaction, RFC 3261 figure 7 as replaced by
// RFC 6026 figure 7. Timer G repeats a non-2xx, H gives up waiting for its ACK, I and
// L absorb what was retransmitted. The 2xx is retransmitted by the user.
//
//	                              |INVITE
//	                              |pass INV to TU
//	           INVITE             V send 100 if TU won't in 200 ms
//	           send response +------------+
//	               +---------|            |--------+ 101-199 from TU
//	               |         | Proceeding |        | send response
//	               +-------->|            |<-------+
//	                         |            |--------+ Transport Err.
//	                         |            |        | inform TU
//	                         |            |<-------+
//	                         +------------+
//	            300-699 from TU |    |2xx from TU
//	            send response   |    |send response
//	             +--------------+    +------------+
//	             |                                |
//	INVITE       V          Timer G fires         V
//	send resp. +-----------+ send response +------------+ INVITE
//	  +--------|           |--------+      |            |------+ absorbed
//	  |        | Completed |        |      |  Accepted  |<-----+
//	  +------->|           |<-------+      |            |------+ ACK to TU,
//	           |           |-----+         |            |<-----+ or 2xx from TU
//	           +-----------+     | Trans-  |            |------+ sent, or Trans-
//	     Timer H |  |   ^        | port    |            |<-----+ port Err. to TU
//	   inform TU |  |   +--------+ Err.    +------------+
//	             |  |ACK           inform TU      |
//	             |  V                             |Timer L fires
//	             | +-----------+                  |
//	             | | Confirmed |--+ ACK           |
//	             | |           |<-+ absorbed      |
//	             | +-----------+                  |
//	             |       |Timer I fires           |
//	             V       V                        |
//	           +------------+                     |
//	           | Terminated |<--------------------+
//	           +------------+
func (m *machine) serverInvite(now time.Duration, in input) action {
	switch m.state {
	case idle:
		if in != start {
			return 0
		}
		m.enter(proceeding, now, 0)
		m.resend = now + trying
		return deliver

	case proceeding:
		switch in {
		case request: // "the most recent provisional response ... MUST be passed to the transport layer"
			return send | absorb
		case response1xx:
			m.resend = 0
			return send
		case response2xx:
			m.enter(accepted, now, timeout) // L
			return send
		case responseErr:
			m.enter(completed, now, timeout) // H
			m.repeat(now)                    // G
			return send
		case timer:
			if resend, _ := m.fired(now); resend {
				m.resend = 0
				return send100
			}
			return 0
		case transportErr: // "MUST remain in the current state" (RFC 6026)
			return fail
		case ack: // nothing to acknowledge yet
			return absorb
		case start:
			return 0
		}

	case completed:
		switch in {
		case request:
			return send | absorb
		case ack:
			return m.linger(confirmed, now, t4) // I
		case timer:
			resend, deadline := m.fired(now)
			switch {
			case deadline:
				return expire | m.terminate()
			case resend:
				m.again(now, t2)
				return send
			}
			return 0
		case transportErr:
			return fail
		case response1xx, response2xx, responseErr: // "Any other final responses ... MUST be discarded"
			return refuse
		case start:
			return 0
		}

	case confirmed:
		switch in {
		case request, ack:
			return absorb
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case response1xx, response2xx, responseErr:
			return refuse
		case transportErr: // nothing is sent here
			return 0
		case start:
			return 0
		}

	case accepted:
		switch in {
		case request: // "absorb any retransmissions of the INVITE" without sending (RFC 6026 section 7.1)
			return absorb
		case ack:
			return deliver
		case response2xx:
			return send
		case response1xx, responseErr:
			return refuse
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case transportErr:
			return fail
		case start:
			return 0
		}

	case terminated:
		switch in {
		case response1xx, response2xx, responseErr:
			return refuse
		case start, request, ack, timer, transportErr:
			return 0
		}

	case calling, attempting:
	}
	return 0
}

// serverOther is the non-INVITE server transaction, RFC 3261 figure 8, with the
// transport errors of RFC 6026 (they end nothing: the client's retransmission may get
// its answer yet). Timer J keeps the final response for retransmitted requests.
//
//	                   |Request received
//	                   |pass to TU
//	Request (absorbed) V
//	   +---------+-----------+
//	   +-------->|  Trying   |---------+ abandoned
//	             +-----------+         | (1)
//	                |   |200-699 from TU
//	1xx from TU     |   |send response |
//	send response   |   +-----------+  |
//	                V               |  |
//	Request      +-----------+      |  |
//	send resp.   |           |--+ 1xx from TU
//	   +---------|Proceeding |  | send response
//	   +-------->|           |<-+   |  |
//	             |           |---------+ abandoned (1)
//	             +-----------+      |  |
//	                |200-699 from TU|  |
//	                |send response  |  |
//	Request         V               |  |
//	send resp.   +-----------+<-----+  |
//	   +---------| Completed |         |
//	   +-------->|           |         |
//	             +-----------+         |
//	                |Timer J fires     |
//	                V                  |
//	             +-----------+         |
//	             | Terminated|<--------+
//	             +-----------+
//
// (1) Ours: a final response later than the client's timer F is of no use ("a
// transaction-stateful SIP element MUST NOT send a response with Status-Code of 408 to
// a non-INVITE request", RFC 4320 section 4.2, for that reason), so a user who never
// answers cannot keep the record.
func (m *machine) serverOther(now time.Duration, in input) action {
	switch m.state {
	case idle:
		if in != start {
			return 0
		}
		m.enter(attempting, now, timeout)
		return deliver

	case attempting, proceeding:
		switch in {
		case request:
			if m.state == attempting {
				return absorb
			}
			return send | absorb
		case response1xx:
			m.state = proceeding
			return send
		case response2xx, responseErr:
			return send | m.linger(completed, now, timeout) // J
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case transportErr:
			return fail
		case start, ack:
			return 0
		}

	case completed:
		switch in {
		case request:
			return send | absorb
		case response1xx, response2xx, responseErr:
			return refuse
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case transportErr:
			return fail
		case start, ack:
			return 0
		}

	case terminated:
		switch in {
		case response1xx, response2xx, responseErr:
			return refuse
		case start, request, ack, timer, transportErr:
			return 0
		}

	case calling, accepted, confirmed:
	}
	return 0
}
