package negotiate

import (
	"errors"
	"fmt"
)

// ErrState is returned when a method does not fit the state of the exchange,
// such as Accept without an offer.
var ErrState = errors.New("negotiate: no such step in this state of the offer/answer exchange")

// The warn-codes of RFC 3261 section 20.43 that a refusal carries.
const (
	warnNetwork   = 300 // Incompatible network protocol
	warnTransport = 302 // Incompatible transport protocol
	warnMedia     = 304 // Media type not available
	warnFormat    = 305 // Incompatible media format
	warnMulticast = 330 // Multicast not available
	warnMisc      = 399
)

// Refused is an offer that we do not accept: the response that says so. The
// status is 488, or 400 for text that is no SDP, or 491 for an offer that
// crossed ours; never 606.
type Refused struct {
	Code    int
	Warning string // value of the Warning header field; empty: none
	Reason  string
}

// Error is a sentence for logs.
func (r *Refused) Error() string {
	return fmt.Sprintf("negotiate: offer refused with %d: %s", r.Code, r.Reason)
}

// refuse makes a 488. No text of the peer's may enter the reason: it becomes a header field.
func refuse(warn int, reason string) *Refused {
	return &Refused{Code: 488, Warning: fmt.Sprintf("%d peercall %q", warn, reason), Reason: reason}
}

func malformed(reason string) *Refused {
	return &Refused{Code: 400, Warning: fmt.Sprintf("%d peercall %q", warnMisc, reason), Reason: reason}
}

// AnswerError is an answer that does not fit our offer. The agreed state is
// as it was; the caller ends the dialog or the re-offer.
type AnswerError struct {
	Reason string
}

// Error is a sentence for logs.
func (e *AnswerError) Error() string { return "negotiate: bad answer: " + e.Reason }

func badAnswer(reason string) *AnswerError { return &AnswerError{Reason: reason} }
