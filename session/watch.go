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
// been silent for too long.
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
	// On hold by either side a peer may be silent, also one that could play music.
	if limit := c.ep.cfg.MediaTimeout; limit > 0 && l.line.Receiving && l.line.Sending {
		last := k.stream.Stats().LastReceived
		if k.since.After(last) {
			last = k.since
		}
		if silent := time.Since(last); silent >= limit {
			c.hangUp(&EndError{Cause: MediaTimeout, Reason: "no packet for " + silent.Round(time.Second).String()})
			return
		}
	} else {
		k.since = time.Now() // the clock starts anew when the peer sends again
	}
	c.watch(k)
}
