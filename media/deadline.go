package media

import (
	"sync"
	"time"
)

// deadline is a settable point in time that a select can wait for, with the
// semantics of net.Conn's deadlines. Make one with newDeadline.
type deadline struct {
	mu    sync.Mutex // guards all
	timer *time.Timer
	pass  chan struct{} // closed when the deadline has passed
}

func newDeadline() deadline { return deadline{pass: make(chan struct{})} }

// set moves the deadline; the zero time takes it away.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.pass // the timer fired: wait until it closed pass
	}
	d.timer = nil
	passed := false
	select {
	case <-d.pass:
		passed = true
	default:
	}
	switch dur := time.Until(t); {
	case t.IsZero() || dur > 0:
		if passed {
			d.pass = make(chan struct{})
		}
		if !t.IsZero() {
			pass := d.pass
			d.timer = time.AfterFunc(dur, func() { close(pass) })
		}
	case !passed:
		close(d.pass)
	}
}

// wait returns a channel that is closed when the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pass
}

// passed reports whether the deadline has passed.
func (d *deadline) passed() bool {
	select {
	case <-d.wait():
		return true
	default:
		return false
	}
}

// off ends the timer: nobody waits any more. set may still be called, and must not
// find a timer that will never close pass.
func (d *deadline) off() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && d.timer.Stop() {
		d.timer = nil
	}
}
