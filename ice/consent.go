package ice

import (
	"net/netip"
	"time"
)

// arm sets the consent timer, the one clock of a path. mu is held. The wait
// group counts an armed timer: it is done by its function or by disarm.
func (p *Path) arm(d time.Duration) {
	p.disarm()
	p.wg.Add(1)
	p.timer = time.AfterFunc(d, func() {
		defer p.wg.Done()
		p.checkConsent()
	})
}

// disarm stops the timer. mu is held.
func (p *Path) disarm() {
	if p.timer != nil && p.timer.Stop() {
		p.wg.Done()
	}
	p.timer = nil
}

// checkConsent runs when consent may have expired.
//
// "Consent expires after 30 seconds. That is, if a valid STUN binding response
// has not been received from the remote peer's transport address in 30 seconds,
// the endpoint MUST cease transmission on that 5-tuple" (RFC 7675 section 5.1).
func (p *Path) checkConsent() {
	p.mu.Lock()
	if p.err != nil || p.agent == nil {
		p.mu.Unlock()
		return
	}
	// While a restart is under way the pair in use is the old agent's.
	a, l := p.agent, p.cur.Load()
	if p.old != nil && a.sel.Load() == nil {
		a = p.old
	}
	last := a.consented()
	if left := consentTimeout - time.Since(last); left > 0 {
		p.arm(left)
		p.mu.Unlock()
		return
	}
	var remote netip.AddrPort
	if l != nil {
		remote = l.to
	}
	err := &ConsentError{Remote: remote, Last: last}
	if p.restarting {
		p.starved = err // the restart may yet succeed; until then nothing is sent
		p.cur.Store(nil)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.g.log.Info("ICE consent lost", "remote", remote, "last", last)
	p.end(err)
}
