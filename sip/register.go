package sip

import (
	"context"
	"time"
)

// RegistrationEvent says how a registration stands.
type RegistrationEvent struct {
	Registered bool          // the binding exists, as far as we know; with Err set: still, though the refresh failed
	Contact    URI           // our contact as bound
	Expires    time.Duration // what is left of it
	Err        error         // why not, or not for much longer; nil after Unregister
	Retry      time.Duration // when it is tried again; 0 with Err set: never, the registrar refused for good
}

// Registration keeps one binding of an account until Close. It is safe for
// concurrent use.
type Registration struct{}

// Register begins to keep a binding of acct's address of record to this agent
// and returns at once. on, which may be nil, is told of each change on the
// registration's own goroutine; it must return quickly and not call the
// Registration's methods.
func (a *Agent) Register(acct *Account, on func(RegistrationEvent)) (*Registration, error) {
	panic("not yet")
}

// Registered waits for the registrar's word: nil when the binding exists, the
// reason when the registrar refused for good, ErrClosed after Close. While it is
// tried again, only ctx ends the wait.
func (r *Registration) Registered(ctx context.Context) error { panic("not yet") }

// Unregister removes the binding and ends the registration. ctx bounds the wait
// for the registrar's answer; the removal goes on without it until Close.
func (r *Registration) Unregister(ctx context.Context) error { panic("not yet") }

// Close ends the registration without a word to the registrar, where the binding
// runs out by itself, and waits for its goroutine.
func (r *Registration) Close() { panic("not yet") }
