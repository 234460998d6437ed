package sip

import "time"

// Timers of RFC 3261 section 17.1.1.1.
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// Choices of our own.
const (
	maxLegs     = 64               // legs of one forked INVITE that we keep apart
	maxRing     = 10 * time.Minute // without another provisional response; "every minute" is the rule (section 13.3.1.1)
	maxUnheeded = 3 * time.Minute  // an INVITE that nobody has said anything to, as long as a proxy would wait
)

// inviteClient is the user agent core's part of an INVITE that we send (RFC 3261
// sections 13.2 and 9.1): which responses mean progress, an answer, an end, and
// what becomes of the legs that lost. It is pure: it is told the time and
// returns what to do.
//
//	         send          1xx                2xx
//	preparing ──▶ calling ──────▶ proceeding ──────▶ answered ── 64*T1 ──▶ done
//	    │ cancel     │ cancel: wait   │ cancel: CANCEL    other legs' 2xx: ACK, BYE
//	    ▼            ▼ 1xx: CANCEL    ▼
//	  failed       (calling)        cancelling ── final, or 64*T1 ──▶ failed
//	                                    └ 2xx: ACK, BYE, failed 487
type inviteClient struct {
	state     clientState
	reinvite  bool                // within a dialog: a 2xx is always an answer
	cancelled bool                // the user gave up
	legs      map[string]legState // by To tag
	winner    string
	deadline  time.Time // zero: none

	lifetime time.Duration // from Expires; negative: none
	expires  time.Time     // zero: none
	heard    time.Time     // the last provisional response
}

// due is when to call tick next; zero is never.
func (c *inviteClient) due() time.Time {
	if !c.deadline.IsZero() || c.cancelled {
		return c.deadline
	}
	switch c.state {
	case clientCalling:
		return c.expires // the transaction ends by itself
	case clientProceeding:
		return earlier(c.expires, c.heard.Add(maxRing))
	}
	return time.Time{}
}

// earlier is the first of two times, of which a may be zero.
func earlier(a, b time.Time) time.Time {
	if !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

type clientState uint8

const (
	clientPreparing clientState = iota
	clientCalling
	clientProceeding
	clientAnswered
	clientFailed // a final response was reported; legs that answer late are ended
	clientDone
)

func (s clientState) String() string {
	return [...]string{"preparing", "calling", "proceeding", "answered", "failed", "done"}[s]
}

type legState uint8

const (
	legEarly  legState = iota + 1
	legWon             // its 2xx was the first
	legEnding          // its 2xx came too late: ACKed and BYEd
)

// clientAct is what the driver of an inviteClient has to do.
type clientAct struct {
	do  clientDo
	tag string // the leg
}

type clientDo uint8

const (
	doCancel     clientDo = iota + 1 // send CANCEL
	doProgress                       // tell the user of this provisional response
	doAnswered                       // tell the user of this 2xx
	doAckBye                         // ACK this 2xx, then BYE its leg
	doAckAgain                       // send the leg's ACK again
	doFail                           // tell the user of this final response or error
	doTerminated                     // tell the user 487: cancelled, whatever the peer said
	doTimeout                        // tell the user that the peer never answered the CANCEL
	doEndEarly                       // forget the legs that are still early
)

func (d clientDo) String() string {
	return [...]string{"", "CANCEL", "progress", "answered", "ACK+BYE", "ACK", "fail", "terminated", "timeout", "end-early"}[d]
}

// send says that the INVITE is on its way.
func (c *inviteClient) send(now time.Time) {
	if c.state != clientPreparing {
		return
	}
	c.state = clientCalling
	if c.lifetime >= 0 && c.expires.IsZero() {
		c.expires = now.Add(c.lifetime)
	}
}

// cancel says that the user gave up.
func (c *inviteClient) cancel(now time.Time) []clientAct {
	if c.cancelled || c.state >= clientAnswered {
		return nil
	}
	c.cancelled = true
	switch c.state {
	case clientPreparing:
		c.state = clientFailed
		return []clientAct{{do: doTerminated}}
	case clientProceeding:
		c.deadline = now.Add(64 * t1)
		return []clientAct{{do: doCancel}}
	default:
		// "If no provisional response has been received, the CANCEL request MUST NOT be
		// sent; rather, the client MUST wait for the arrival of a provisional response
		// before sending the request." (RFC 3261 section 9.1)
		return nil
	}
}

// response is told of each response to the INVITE, in order.
func (c *inviteClient) response(now time.Time, code int, tag string) []clientAct {
	switch {
	case code < 200:
		return c.provisional(now, code, tag)
	case code < 300:
		return c.success(now, tag)
	default:
		return c.failure()
	}
}

func (c *inviteClient) provisional(now time.Time, code int, tag string) []clientAct {
	c.heard = now
	switch c.state {
	case clientCalling:
		c.state = clientProceeding
		if c.cancelled {
			c.deadline = now.Add(64 * t1)
			return []clientAct{{do: doCancel}}
		}
	case clientProceeding:
		if c.cancelled {
			return nil
		}
	default:
		return nil // late; another leg has won, or it is over
	}
	if code == 100 {
		tag = "" // "100 (Trying)" makes no dialog
	}
	if tag != "" && c.legs[tag] == 0 {
		if len(c.legs) >= maxLegs {
			return nil
		}
		c.setLeg(tag, legEarly)
	}
	return []clientAct{{doProgress, tag}}
}

func (c *inviteClient) success(now time.Time, tag string) []clientAct {
	switch leg := c.legs[tag]; {
	case leg == legWon || leg == legEnding:
		return []clientAct{{doAckAgain, tag}}
	case c.state == clientDone || leg == 0 && len(c.legs) >= 2*maxLegs:
		return nil
	case c.state == clientAnswered || c.state == clientFailed:
		c.setLeg(tag, legEnding)
		return []clientAct{{doAckBye, tag}}
	case c.cancelled && !c.reinvite:
		// The CANCEL crossed the 2xx: "CANCEL has no effect on a request to which a UAS
		// has already given a final response" (section 9.1), so the session is up and
		// has to be ended.
		c.setLeg(tag, legEnding)
		c.state, c.deadline = clientFailed, now.Add(64*t1)
		return []clientAct{{doAckBye, tag}, {do: doTerminated}, {do: doEndEarly}}
	default:
		c.setLeg(tag, legWon)
		c.state, c.winner, c.deadline = clientAnswered, tag, now.Add(64*t1)
		return []clientAct{{doAnswered, tag}}
	}
}

func (c *inviteClient) failure() []clientAct {
	if c.state >= clientAnswered {
		return nil
	}
	c.state, c.deadline = clientFailed, time.Time{}
	// "all early dialogs are considered terminated upon reception of the non-2xx
	// final response" (section 13.2.2.3)
	return []clientAct{{do: doFail}, {do: doEndEarly}}
}

// retry says that the INVITE goes out once more, with credentials or to another
// address: a new transaction, which has had no provisional response yet.
func (c *inviteClient) retry() {
	c.state, c.legs, c.deadline = clientPreparing, nil, time.Time{}
}

// fail says that the transaction timed out or could not be sent.
func (c *inviteClient) fail() []clientAct { return c.failure() }

// tick says that the deadline may have passed.
func (c *inviteClient) tick(now time.Time) []clientAct {
	if due := c.due(); due.IsZero() || now.Before(due) {
		return nil
	}
	if c.deadline.IsZero() {
		// "If the time indicated in the Expires header field is reached and no final answer
		// for the INVITE has been received, the UAC core SHOULD generate a CANCEL request
		// for the INVITE" (section 13.2.1). Nor does it ring for ever.
		return c.cancel(now)
	}
	c.deadline = time.Time{}
	if c.state == clientProceeding { // cancelled
		// "If there is no final response for the original request in 64*T1 seconds, the
		// client SHOULD then consider the original transaction cancelled" (section 9.1)
		c.state, c.deadline = clientFailed, now.Add(64*t1)
		return []clientAct{{do: doTimeout}, {do: doEndEarly}}
	}
	// "the UAC core considers the INVITE transaction completed 64*T1 seconds after
	// the reception of the first 2xx response" (section 13.2.2.4)
	c.state = clientDone
	return []clientAct{{do: doEndEarly}}
}

func (c *inviteClient) setLeg(tag string, s legState) {
	if c.legs == nil {
		c.legs = make(map[string]legState, 1)
	}
	c.legs[tag] = s
}
