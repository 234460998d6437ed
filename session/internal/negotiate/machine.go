package negotiate

// Machine is the offer/answer state of one dialog. Make it with New.
type Machine struct {
	cfg Config
}

// New returns a Machine before the first offer. id is the session id of our
// o= line: a random number that is the caller's to draw.
func New(cfg Config, id uint64) *Machine { return &Machine{cfg: cfg} }

// Offer makes an offer of profile and leaves it pending until Answer or
// Withdraw. A pending offer is replaced. A profile under the agreed one or
// under Config.Weakest is an error.
func (m *Machine) Offer(local Local, profile Profile) ([]byte, error) { return nil, ErrState }

// Answer takes the answer to our offer. A bad answer is an *AnswerError and
// changes nothing: the offer is still pending. Until the next exchange
// begins, Answer may be called again for the same offer (a 2xx after a 18x):
// the later answer counts.
func (m *Machine) Answer(sdp []byte) (Plan, error) { return Plan{}, ErrState }

// Withdraw drops our pending offer, as when its request was refused.
func (m *Machine) Withdraw() {}

// Receive judges an offer. An error is a *Refused; what was agreed and what
// was received before it are then as they were. Accept or Reject comes next.
func (m *Machine) Receive(offer []byte) (Offered, error) { return Offered{}, ErrState }

// Accept answers the received offer. When it fails the offer is still there.
func (m *Machine) Accept(local Local) (answer []byte, plan Plan, err error) {
	return nil, Plan{}, ErrState
}

// Reject drops the received offer.
func (m *Machine) Reject() {}

// Agreed is the last agreed plan; ok is false before the first.
func (m *Machine) Agreed() (plan Plan, ok bool) { return Plan{}, false }

// Fork returns a copy that shares nothing: one per dialog that answers one offer.
func (m *Machine) Fork() *Machine { c := *m; return &c }
