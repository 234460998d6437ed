package session

import (
	"context"
	"time"
)

// watchEvery is how often the media of a call is looked at.
const watchEvery = time.Second

// watch looks at the media once a second until the call ends.
func (c *Call) watch(k *link) {
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(watchEvery, func() {
		c.post(func(context.Context) { c.look(k) })
	})
}

// look ends the call when its path or its keys are gone, or when the peer has
// been silent for too long; before that it looks for a new path.
func (c *Call) look(k *link) {
	if c.state == ended {
		return
	}
	select {
	case <-k.path.Done():
		c.hangUp(&EndError{Cause: PathLost, Err: k.path.Err()})
		return
	case <-k.transport.Done():
		c.hangUp(&EndError{Cause: PathLost, Err: k.transport.Err()})
		return
	default:
	}
	l := c.current.Load()
	if l == nil || l.ready() != k {
		return // replaced
	}
	heard := k.stream.Stats().LastReceived
	if k.since.After(heard) {
		heard = k.since
	}
	limit := c.ep.cfg.MediaTimeout
	switch silent := time.Since(heard); {
	case !l.line.Receiving || !l.line.Sending:
		// On hold by either side a peer may be silent, also one that could play music.
		k.since = time.Now() // the clock starts anew when the peer sends again
	case limit > 0 && silent >= limit:
		c.hangUp(&EndError{Cause: MediaTimeout, Reason: "no packet for " + silent.Round(time.Second).String()})
		return
	}
	if l.line.ICE != nil {
		c.revive(l, k, heard)
	}
	c.watch(k)
}
