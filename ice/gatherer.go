package ice

import (
	"context"
	"errors"
	"net/netip"
)

// Gatherer is one side of an offer/answer exchange: sockets, allocations and
// local credentials, shared by all forks.
type Gatherer struct{}

// NewGatherer binds the sockets at once, so that the ports are known, and
// gathers in the background. ctx bounds gathering only. cfg is copied.
func NewGatherer(ctx context.Context, cfg *Config) (*Gatherer, error) {
	return nil, errors.New("ice: TODO")
}

// Local waits until gathering has ended, at most about three seconds, and
// returns what to tell the peer. A server that failed is not an error, see
// Errors; having no candidate at all is ErrNoCandidates.
func (g *Gatherer) Local(ctx context.Context) (Description, error) { return Description{}, nil }

// Errors are the servers' failures so far, each a *ServerError.
func (g *Gatherer) Errors() []error { return nil }

// Connect runs connectivity checks with the peer that sent remote and returns
// the path once a pair is selected. It is called once per fork. ctx bounds the
// checks; without a deadline they end after 30 seconds.
//
// Errors: ErrNoCandidates, *ChecksError (which also unwraps to the servers'
// errors), ErrClosed.
func (g *Gatherer) Connect(ctx context.Context, role Role, remote Description) (*Path, error) {
	return nil, errors.New("ice: TODO")
}

// Direct gives the path to a peer without ICE, from the advertised port. It
// receives from any source that no ICE path owns and writes to remote, see
// Path.Retarget. There is one at a time.
func (g *Gatherer) Direct(remote netip.AddrPort) (*Path, error) { return nil, errors.New("ice: TODO") }

// DirectRTCP is Direct for the socket of Config.RTCP.
func (g *Gatherer) DirectRTCP(remote netip.AddrPort) (*Path, error) {
	return nil, errors.New("ice: TODO")
}

// ReleaseRTCP closes the socket of Config.RTCP: the peer multiplexes.
func (g *Gatherer) ReleaseRTCP() {}

// Renew makes fresh credentials on the same sockets, for an ICE restart: what
// it returns is offered to the peer and then given to Restart.
func (g *Gatherer) Renew(ctx context.Context) (Description, error) {
	return Description{}, errors.New("ice: TODO")
}

// Restart runs new checks for a living path and moves it when the new pair is
// selected; until then, and if it fails, the path stays as it is. local is what
// Renew returned, or Local of a new Gatherer on new sockets, which then owns
// the path. The role is kept; a path made by Direct needs one. ctx bounds the
// checks.
func (g *Gatherer) Restart(ctx context.Context, p *Path, role Role, local, remote Description) error {
	return errors.New("ice: TODO")
}

// Close ends all paths, allocations and sockets and waits for their goroutines.
func (g *Gatherer) Close() error { return nil }
