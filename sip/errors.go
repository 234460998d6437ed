package sip

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/peercall/peercall/sip/internal/transport"
)

// StatusError is a final response that is not a success.
type StatusError struct {
	Code       int
	Reason     string        // the reason phrase
	From       string        // who said it: the Request-URI, or the registrar
	Warning    string        // the text of the Warning header field, if there was one
	RetryAfter time.Duration // from Retry-After; 0 when absent
}

// Error is a sentence such as "sip:bob@example.org answered 486 Busy Here".
func (e *StatusError) Error() string {
	from := e.From
	if from == "" {
		from = "the other side"
	}
	s := fmt.Sprintf("sip: %s answered %d %s", oneLine(from), e.Code, oneLine(e.Reason))
	if e.Warning != "" {
		s += ": " + oneLine(e.Warning)
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" (retry after %v)", e.RetryAfter)
	}
	return s
}

// plainError is a sentence that unwraps to a well-known error.
type plainError struct {
	text string
	is   error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.is }

var (
	// ErrTimeout says that no final response came in time. It unwraps to
	// os.ErrDeadlineExceeded.
	ErrTimeout error = &plainError{"sip: no final response in time", os.ErrDeadlineExceeded}

	// ErrClosed says that the agent, the dialog or the transaction has ended. It
	// unwraps to net.ErrClosed.
	ErrClosed error = &plainError{"sip: closed", net.ErrClosed}
)

// CertificateError says why the certificate of a server was not accepted, and what to
// do about it. It unwraps to the error of crypto/x509. A *TransportError unwraps to it.
type CertificateError = transport.CertificateError

// TransportError says that a message could not be sent.
type TransportError struct {
	Target string // where to, a URI or an address
	Err    error
}

func (e *TransportError) Error() string {
	return fmt.Sprintf("sip: cannot send to %s: %v", oneLine(e.Target), e.Err)
}

func (e *TransportError) Unwrap() error { return e.Err }
