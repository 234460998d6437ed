package sip

import "time"

// inviteServer is the user agent core's part of an INVITE that we received (RFC
// 3261 sections 13.3, 9.2 and 15). It is pure: it is told the time and returns
// what to do. Retransmissions of the INVITE, and those of a non-2xx final
// response, are the transaction's.
//
//	         2xx                ACK
//	waiting ─────▶ accepted ─────────▶ confirmed
//	   │              │ resend at T1, doubling to T2
//	   │ 3xx-6xx      └ 64*T1 without ACK: BYE ──▶ over
//	   │ CANCEL, BYE, time is up: 487
//	   ▼
//	  over
type inviteServer struct {
	state    serverState
	ringing  bool      // a provisional response over 100 went out
	byeAsked bool      // BYE waits for the ACK
	resend   time.Time // when to send the last response again; zero: never
	interval time.Duration
	giveUp   time.Time
	expires  time.Time // by the INVITE's Expires; zero: never
	patience time.Time // how long we wait for the user to say something more; zero: for ever
}

type serverState uint8

const (
	serverWaiting serverState = iota
	serverAccepted
	serverConfirmed
	serverOver
)

func (s serverState) String() string {
	return [...]string{"waiting", "accepted", "confirmed", "over"}[s]
}

// serverDo is what the driver of an inviteServer has to do.
type serverDo uint8

const (
	doSend      serverDo = iota + 1 // send this response
	doResend                        // send the last response again
	doSend487                       // answer the INVITE with 487 and tell the user
	doAcked                         // tell the user of the ACK
	doBye                           // send BYE
	doNoAck                         // tell the user that no ACK came
	doRefuseNow                     // answer the INVITE with 480: a BYE that we must not send
	doExpire                        // answer the INVITE with 487 and tell the user that its time is up
)

func (d serverDo) String() string {
	return [...]string{"", "send", "resend", "487", "acked", "BYE", "no-ack", "480", "expired"}[d]
}

// begin is told of the INVITE and of the lifetime that it gives itself, negative for
// none.
func (s *inviteServer) begin(now time.Time, lifetime time.Duration) {
	s.patience = now.Add(maxUnheeded)
	if lifetime >= 0 {
		s.expires = now.Add(lifetime)
	}
}

// respond is told of a response that the user wants to send; no action means
// that it is too late.
func (s *inviteServer) respond(now time.Time, code int) []serverDo {
	if s.state != serverWaiting {
		return nil
	}
	switch {
	case code < 200:
		if code > 100 {
			// "the UAS MUST send a non-100 provisional response at every minute, to handle
			// the possibility of lost provisional responses" (section 13.3.1.1)
			s.ringing, s.resend = true, now.Add(time.Minute)
			s.patience = now.Add(maxRing)
		}
	case code < 300:
		// "an interval that starts at T1 seconds and doubles for each retransmission
		// until it reaches T2 seconds", on reliable transports too (section 13.3.1.4)
		s.state, s.interval = serverAccepted, t1
		s.resend, s.giveUp = now.Add(t1), now.Add(64*t1)
	default:
		s.state, s.resend = serverOver, time.Time{}
	}
	return []serverDo{doSend}
}

// cancel is told of a CANCEL, or of a BYE in the early dialog. "CANCEL has no
// effect on a request to which a UAS has already given a final response."
func (s *inviteServer) cancel() []serverDo {
	if s.state != serverWaiting {
		return nil
	}
	s.state, s.resend = serverOver, time.Time{}
	return []serverDo{doSend487}
}

// ack is told of the ACK to the 2xx.
func (s *inviteServer) ack() []serverDo {
	if s.state != serverAccepted {
		return nil
	}
	s.state, s.resend, s.giveUp = serverConfirmed, time.Time{}, time.Time{}
	if s.byeAsked {
		return []serverDo{doAcked, doBye}
	}
	return []serverDo{doAcked}
}

// bye is told that the user hangs up.
func (s *inviteServer) bye() []serverDo {
	switch s.state {
	case serverWaiting:
		// "the callee's UA [...] MUST NOT send a BYE on early dialogs" (section 15)
		s.state, s.resend = serverOver, time.Time{}
		return []serverDo{doRefuseNow}
	case serverAccepted:
		// "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has
		// received an ACK for its 2xx response or until the server transaction times
		// out" (section 15)
		s.byeAsked = true
		return nil
	default:
		return []serverDo{doBye}
	}
}

// end is told that the peer's BYE ended the dialog: its ACK no longer matters.
func (s *inviteServer) end() []serverDo {
	if s.state == serverWaiting {
		return s.cancel()
	}
	s.state, s.resend, s.giveUp = serverOver, time.Time{}, time.Time{}
	return nil
}

// deadline is when to call tick next; zero is never.
func (s *inviteServer) deadline() time.Time {
	if s.state != serverWaiting {
		if !s.giveUp.IsZero() && s.giveUp.Before(s.resend) {
			return s.giveUp
		}
		return s.resend
	}
	at := s.resend
	for _, t := range []time.Time{s.expires, s.patience} {
		if at.IsZero() || !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	return at
}

// over says that the time of an INVITE without a final response has come.
func (s *inviteServer) over(now time.Time) bool {
	return s.state == serverWaiting &&
		(!s.expires.IsZero() && !now.Before(s.expires) || !s.patience.IsZero() && !now.Before(s.patience))
}

// tick is told that the deadline may have passed.
func (s *inviteServer) tick(now time.Time) []serverDo {
	if s.state == serverAccepted && !now.Before(s.giveUp) {
		// "If the server retransmits the 2xx response for 64*T1 seconds without receiving
		// an ACK, the dialog is confirmed, but the session SHOULD be terminated. This is
		// accomplished with a BYE" (section 13.3.1.4)
		s.state, s.resend, s.giveUp = serverOver, time.Time{}, time.Time{}
		return []serverDo{doBye, doNoAck}
	}
	if s.over(now) {
		// "If the invitation expires before the UAS has generated a final response, a 487
		// (Request Terminated) response SHOULD be generated." (section 13.3.1)
		s.state, s.resend = serverOver, time.Time{}
		return []serverDo{doExpire}
	}
	if s.resend.IsZero() || now.Before(s.resend) {
		return nil
	}
	if s.state == serverAccepted {
		s.interval = min(2*s.interval, t2)
		s.resend = s.resend.Add(s.interval)
	} else {
		s.resend = s.resend.Add(time.Minute)
	}
	return []serverDo{doResend}
}
