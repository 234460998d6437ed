package session

import (
	"errors"
	"fmt"
	"net"
)

// Cause says why a call ended.
type Cause uint8

// The causes. HungUp and RemoteHungUp are the ordinary ends of an answered call.
const (
	HungUp         Cause = 1 + iota // we sent BYE
	RemoteHungUp                    // the peer sent BYE
	Cancelled                       // the caller gave up before the answer
	Refused                         // the callee refused: Err has the *sip.StatusError
	Unreachable                     // no final answer to the INVITE: no route, time-out, transport failure
	NoMedia                         // answered, but no path or no keys could be agreed: Err says which
	MediaTimeout                    // the peer's packets stopped for longer than Config.MediaTimeout
	PathLost                        // the peer stopped consenting to receive (RFC 7675)
	SignallingLost                  // the dialog broke: no ACK, 481, a broken peer
	ShutDown                        // the endpoint was closed or shut down
	HandlerPanic                    // the application's handler panicked
)

func (c Cause) String() string {
	names := [...]string{
		HungUp: "we hung up", RemoteHungUp: "the peer hung up", Cancelled: "cancelled before the answer", Refused: "refused",
		Unreachable: "no answer from the network", NoMedia: "no media path", MediaTimeout: "the peer's media stopped",
		PathLost: "the path to the peer was lost", SignallingLost: "the signalling was lost", ShutDown: "the endpoint was closed",
		HandlerPanic: "the handler panicked",
	}
	if int(c) < len(names) && names[c] != "" {
		return names[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// EndError is why a call ended. It unwraps to what caused it, such as a
// *sip.StatusError or an *ice.ChecksError, and to net.ErrClosed.
type EndError struct {
	Cause    Cause
	ByRemote bool   // the peer ended it
	Reason   string // the peer's Reason header field, or ours
	Err      error  // the underlying error, if there is one
}

func (e *EndError) Error() string {
	s := "session: call ended: " + e.Cause.String()
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the underlying error and net.ErrClosed.
func (e *EndError) Unwrap() []error {
	if e.Err == nil {
		return []error{net.ErrClosed}
	}
	return []error{e.Err, net.ErrClosed}
}

// normal reports whether a call that was answered ended as calls should.
func (e *EndError) normal() bool { return e.Cause == HungUp || e.Cause == RemoteHungUp }

// errEndpointClosed is what calls on a closed Endpoint return.
var errEndpointClosed = fmt.Errorf("session: the endpoint is closed: %w", net.ErrClosed)

// ErrAnswered is returned by Ring and Reject after Answer, and by a second Answer.
var ErrAnswered = errors.New("session: the call was already answered or refused")
