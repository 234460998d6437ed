package ice

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// ErrNoCandidates is returned when a side has no candidate that could be used.
var ErrNoCandidates = errors.New("ice: no usable candidates")

// noCandidates is ErrNoCandidates with what the servers said.
type noCandidates []error

func (e noCandidates) Error() string {
	var b strings.Builder
	b.WriteString(ErrNoCandidates.Error())
	for _, s := range e {
		fmt.Fprintf(&b, "; %v", s)
	}
	return b.String()
}

func (e noCandidates) Unwrap() []error { return append([]error{ErrNoCandidates}, e...) }

// ErrClosed is returned after Close. It unwraps to net.ErrClosed.
var ErrClosed = fmt.Errorf("ice: closed: %w", net.ErrClosed)

// A ServerError says why a STUN or TURN server gave no candidate.
type ServerError struct {
	URL    string
	Code   int    // the STUN error code, such as 401; 0 if the server did not answer with one
	Reason string // the server's reason phrase
	Err    error  // the cause, if there is no code
}

func (e *ServerError) Error() string {
	if e.Code != 0 {
		return fmt.Sprintf("ice: %s refused: %d %s", e.URL, e.Code, e.Reason)
	}
	return fmt.Sprintf("ice: %s: %v", e.URL, e.Err)
}

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// A ChecksError says that no pair of candidates worked.
type ChecksError struct {
	Pairs    []Pair  // what was tried
	Sent     uint64  // checks sent
	Received uint64  // checks and responses received from the peer
	Servers  []error // what the servers said while gathering: often the reason
	Cause    error   // the end of the context, or os.ErrDeadlineExceeded
}

func (e *ChecksError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ice: no path found: %d pairs tried, %d checks sent, %d messages received", len(e.Pairs), e.Sent, e.Received)
	for _, s := range e.Servers {
		fmt.Fprintf(&b, "; %v", s)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap returns the cause and what the servers said.
func (e *ChecksError) Unwrap() []error {
	all := append([]error(nil), e.Servers...)
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	return all
}

// A ConsentError ends a path whose peer has not answered our checks for 30
// seconds (RFC 7675). It unwraps to os.ErrDeadlineExceeded.
type ConsentError struct {
	Remote netip.AddrPort
	Last   time.Time // when the peer last answered
}

func (e *ConsentError) Error() string {
	return fmt.Sprintf("ice: consent lost: %v has not answered our checks for %v", e.Remote, consentTimeout)
}

// Unwrap returns os.ErrDeadlineExceeded.
func (e *ConsentError) Unwrap() error { return os.ErrDeadlineExceeded }

const consentTimeout = 30 * time.Second // RFC 7675 section 5.1
