package transaction

import "time"

// clientInvite is the INVITE client transaction, RFC 3261 figure 5 as replaced by
// RFC 6026 figure 5. Timer A repeats the INVITE, B gives up, D and M keep the
// transaction for retransmitted responses.
//
//	                           |INVITE from TU
//	         Timer A fires     |INVITE sent      Timer B fires
//	         Reset A,          V                 or Transport Err.
//	         INVITE sent +-----------+           inform TU
//	           +---------|           |--------------------------+
//	           |         |  Calling  |                          |
//	           +-------->|           |-----------+              |
//	300-699              +-----------+ 2xx       |              |
//	ACK sent                |  |       2xx to TU |              |
//	resp. to TU             |  |1xx              |              |
//	+-----------------------+  |1xx to TU        |              |
//	|                          |                 |              |
//	|                1xx       V                 |              |
//	|                1xx to TU +-----------+     |              |
//	|                +---------|           |     |              |
//	|                |         |Proceeding |-----|------------->|
//	|                +-------->|           |     | Transport    |
//	|                          +-----------+ 2xx | Err. (1)     |
//	|              300-699       |    |  2xx to TU|              |
//	|              ACK sent,     |    |           |              |
//	|              resp. to TU   |    +---------->|              |
//	V                            V                V              |
//	+-----------+ 300-699      (to              +-----------+    |
//	|           | ACK sent   Completed)         |           |--+ |
//	| Completed |------+                        | Accepted  |  | | 2xx
//	|           |<-----+                        |           |<-+ | 2xx to TU
//	+-----------+                               +-----------+    |
//	  |  Timer D fires, or Transport Err. (inform TU)  | M fires |
//	  +---------------------------->+------------+<----+         |
//	                                | Terminated |<--------------+
//	                                +------------+
//
// (1) Ours: the figure has no transport error in Proceeding because nothing is sent
// there. A connection that ends while the INVITE is pending takes the answer's way
// with it, and without timer C nothing else would end the transaction.
func (m *machine) clientInvite(now time.Duration, in input) action {
	switch m.state {
	case idle:
		if in != start {
			return 0
		}
		m.enter(calling, now, timeout) // B
		m.repeat(now)                  // A
		return send

	case calling, proceeding:
		switch in {
		case response1xx:
			m.enter(proceeding, now, 0)
			return deliver
		case response2xx:
			m.enter(accepted, now, timeout) // M
			return deliver | forget
		case responseErr:
			return sendACK | deliver | m.linger(completed, now, timeout) // D
		case timer:
			resend, deadline := m.fired(now)
			switch {
			case deadline:
				return expire | m.terminate()
			case resend:
				m.again(now, 0) // "the value of timer A ... doubles", without a limit (section 17.1.1.2)
				return send
			}
			return 0
		case transportErr:
			return fail | m.terminate()
		case start, request, ack: // not of a client
			return 0
		}

	case completed:
		switch in {
		case responseErr:
			return sendACK | absorb
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case transportErr:
			return fail | m.terminate()
		case response1xx, response2xx: // late or forged: the answer is known
			return 0
		case start, request, ack:
			return 0
		}

	case accepted:
		switch in {
		case response2xx: // "the 2xx ... MUST be passed to the TU" (RFC 6026 section 8.4)
			return deliver
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case response1xx, responseErr: // the INVITE has been accepted
			return 0
		case transportErr: // nothing is sent here; 2xx may come by another connection
			return 0
		case start, request, ack:
			return 0
		}

	case attempting, confirmed, terminated:
	}
	return 0
}

// clientOther is the non-INVITE client transaction, RFC 3261 figure 6. Timer E
// repeats the request, F gives up, K keeps the transaction for retransmitted
// responses.
//
//	                    |Request from TU
//	                    |send request
//	Timer E             V
//	send request  +-----------+
//	    +---------|           |-------------------+
//	    |         |  Trying   |  Timer F          |
//	    +-------->|           |  or Transport Err.|
//	              +-----------+  inform TU        |
//	 200-699         |  |                         |
//	 resp. to TU     |  |1xx                      |
//	 +---------------+  |resp. to TU              |
//	 |                  |                         |
//	 |   Timer E        V       Timer F           |
//	 |   send req +-----------+ or Transport Err. |
//	 |  +---------|           | inform TU         |
//	 |  |         |Proceeding |------------------>|
//	 |  +-------->|           |-----+             |
//	 |            +-----------+     |1xx          |
//	 |              |      ^        |resp to TU   |
//	 | 200-699      |      +--------+             |
//	 | resp. to TU  |                             |
//	 |              V                             |
//	 |            +-----------+                   |
//	 +----------->| Completed |                   |
//	              +-----------+                   |
//	                    |Timer K                  |
//	                    V                         |
//	              +-----------+                   |
//	              | Terminated|<------------------+
//	              +-----------+
func (m *machine) clientOther(now time.Duration, in input) action {
	switch m.state {
	case idle:
		if in != start {
			return 0
		}
		m.enter(attempting, now, timeout) // F
		m.repeat(now)                     // E
		return send

	case attempting, proceeding:
		switch in {
		case response1xx:
			m.state = proceeding // E and F run on
			return deliver
		case response2xx, responseErr:
			return deliver | forget | m.linger(completed, now, t4) // K
		case timer:
			resend, deadline := m.fired(now)
			switch {
			case deadline:
				return expire | m.terminate()
			case resend:
				if m.state == proceeding {
					m.interval = t2 // "Timer E MUST be reset with a value of T2 seconds" (section 17.1.2.2)
				}
				m.again(now, t2)
				return send
			}
			return 0
		case transportErr:
			return fail | m.terminate()
		case start, request, ack:
			return 0
		}

	case completed:
		switch in {
		case response1xx, response2xx, responseErr:
			return absorb
		case timer:
			if _, deadline := m.fired(now); deadline {
				return m.terminate()
			}
			return 0
		case transportErr: // nothing is sent here
			return 0
		case start, request, ack:
			return 0
		}

	case calling, accepted, confirmed, terminated:
	}
	return 0
}
