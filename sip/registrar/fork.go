package registrar

// legState is where one branch of a fork stands.
//
//	trying --1xx--> proceeding --final--> done
//	trying --final, time-out, broken--> done
//	either, CANCEL wanted: sent at once in proceeding, else after the first 1xx
type legState uint8

const (
	legTrying legState = iota
	legProceeding
	legDone
)

// String names the state.
func (s legState) String() string { return [...]string{"trying", "proceeding", "done"}[s] }

type leg struct {
	state    legState
	code     int  // its final response
	unwanted bool // to be cancelled
	canceled bool // CANCEL was sent
}

// forkOutput is what the driver has to do now.
type forkOutput struct {
	Forward bool  // pass on the response that was just taken
	Cancel  []int // send CANCEL on these legs
	Best    int   // pass on the final response of this leg; -1: none
}

// fork is the response context of RFC 3261 section 16.7: it decides which
// responses go upstream and which legs are cancelled. It is pure and belongs to
// its relay.
type fork struct {
	invite   bool
	legs     []leg
	answered bool // a 2xx went upstream
	settled  bool // a final response went upstream
}

func newFork(invite bool, legs int) *fork { return &fork{invite: invite, legs: make([]leg, legs)} }

// Provisional takes a 1xx.
func (f *fork) Provisional(i, code int) forkOutput {
	out := forkOutput{Best: -1}
	l := &f.legs[i]
	if l.state == legDone {
		return out
	}
	l.state = legProceeding
	if l.unwanted && !l.canceled {
		l.canceled = true
		out.Cancel = []int{i}
	}
	// "any provisional response other than 100" goes upstream (step 5), but not
	// after a final one.
	out.Forward = code > 100 && !f.settled
	return out
}

// Final takes a final response, or what stands for it: 408 for a time-out, 503
// for a flow that broke (section 16.9), 487 for a CANCEL without an effect.
func (f *fork) Final(i, code int) forkOutput {
	out := forkOutput{Best: -1}
	l := &f.legs[i]
	if l.state == legDone {
		// "2xx ... retransmissions" and those of forks further on go upstream,
		// always, for INVITE (step 5).
		out.Forward = f.invite && code < 300 && f.answered
		return out
	}
	l.state, l.code = legDone, code
	switch {
	case code < 300:
		out.Forward = f.invite || !f.settled
		if !f.answered {
			f.answered, f.settled = true, true
			out.Cancel = f.cancelRest()
		}
		return out
	case code >= 600:
		out.Cancel = f.cancelRest() // step 5: a 6xx ends the search
	}
	if f.settled {
		return out
	}
	for _, l := range f.legs {
		if l.state != legDone {
			return out
		}
	}
	f.settled = true
	out.Best = f.best()
	return out
}

// Cancel takes the upstream's CANCEL (section 16.10).
func (f *fork) Cancel() forkOutput { return forkOutput{Cancel: f.cancelRest(), Best: -1} }

// Expire takes timer C of a leg (section 16.8): "If the client transaction has
// received a provisional response, the proxy MUST generate a CANCEL request
// matching that transaction. If ... not ... the proxy MUST behave as if the
// transaction received a 408".
func (f *fork) Expire(i int) forkOutput {
	if l := &f.legs[i]; l.state == legProceeding && !l.canceled {
		l.unwanted, l.canceled = true, true
		return forkOutput{Cancel: []int{i}, Best: -1}
	}
	return f.Final(i, 408)
}

func (f *fork) cancelRest() (now []int) {
	if !f.invite {
		return nil // "a CANCEL request SHOULD NOT be sent to cancel a request other than INVITE" (9.1)
	}
	for i := range f.legs {
		l := &f.legs[i]
		if l.state == legDone {
			continue
		}
		l.unwanted = true
		if l.state == legProceeding && !l.canceled {
			l.canceled = true
			now = append(now, i)
		}
	}
	return now
}

// best is step 6: a 6xx if there is one, else the lowest class; within 4xx what
// helps the caller most.
func (f *fork) best() int {
	best := 0
	for i := range f.legs {
		if rank(f.legs[i].code) < rank(f.legs[best].code) {
			best = i
		}
	}
	return best
}

func rank(code int) int {
	switch class := code / 100; {
	case class == 6:
		return 0
	case class != 4:
		return class * 10
	}
	switch code {
	case 401, 407, 415, 420, 484: // step 6: they "provide information affecting resubmission"
		return 40
	case 404, 480:
		return 42
	case 487:
		return 43
	case 408: // a contact that is no longer there says least
		return 44
	}
	return 41
}
