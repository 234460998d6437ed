package transaction

import (
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// shard owns a part of the records and their timers. Nothing is called with mu held.
type shard struct {
	mu     sync.Mutex
	closed bool
	txs    map[string]*record
	wheel  wheel
}

// record is one transaction: a machine, where it sends and what. It keeps no parsed
// message. All fields are guarded by shard.mu but those that never change.
type record struct {
	entry
	machine
	layer *Layer // never changes
	shard *shard // never changes
	key   string // never changes
	flow  transport.Flow
	buf   []byte // client: the request, then the ACK; server: the last response
	acked bool   // buf is the ACK
	err   error  // client: what the transport said, until the timer goroutine reports it

	on         func(Event) // client
	delivering bool        // someone is calling on
	queue      []Event     // events that came meanwhile
	onTimeout  func()      // server
}

// todo is what is left to do for one record when its shard is unlocked.
type todo struct {
	rec     *record
	write   []byte
	flow    transport.Flow
	event   Event
	on      func(Event)    // with event: call it
	call    func()         // an After, or a server's onTimeout
	release transport.Flow // the record has ended: this flow is not needed any more
}

// apply steps the machine and does what needs the lock. For a client res is the
// response that came. A server's new response is in r.buf already.
func (r *record) apply(now time.Duration, in input, err error, inbound transport.Inbound, out *todo) action {
	l, was := r.layer, r.state
	act := r.step(now, in)
	out.rec = r

	if act&sendACK != 0 && !r.acked {
		res, _ := inbound.Msg.(*sipmsg.Response)
		r.buf, r.acked = ackTo(r.buf, res), true
	}
	if act&(send|sendACK|send100) != 0 {
		out.write, out.flow = r.buf, r.flow
		if act&absorb != 0 || in == timer && act&send != 0 {
			l.count.retransmitted.Add(1)
		}
	}
	if act&absorb != 0 {
		l.count.absorbed.Add(1)
	}
	if act&expire != 0 {
		l.count.timeouts.Add(1)
	}
	if r.kind.server() {
		if act&expire != 0 {
			out.call = r.onTimeout
		}
	} else {
		switch {
		case act&deliver != 0:
			res, _ := inbound.Msg.(*sipmsg.Response)
			r.tell(Event{Response: res, In: inbound}, out)
		case act&expire != 0:
			r.tell(Event{Err: ErrTimeout}, out)
		case act&fail != 0 && was < accepted: // later the user has its answer
			r.tell(Event{Err: err}, out)
		}
	}
	if act&forget != 0 {
		r.buf = nil
	}
	if act&end != 0 {
		r.drop(out)
		return act
	}
	r.arm()
	return act
}

// tell hands an event to the user, by way of out or of whoever is delivering now.
func (r *record) tell(ev Event, out *todo) {
	if r.on == nil {
		return
	}
	if r.delivering {
		r.queue = append(r.queue, ev)
		return
	}
	r.delivering = true
	out.event, out.on = ev, r.on
}

// arm puts the record where the machine wants its next timer.
func (r *record) arm() {
	next := r.wakeAt()
	if r.err != nil {
		next = 1 // at once
	}
	due := ticksUp(next)
	if next == 0 {
		r.shard.wheel.remove(&r.entry)
		return
	}
	if r.slot != 0 {
		if r.due == due {
			return
		}
		r.shard.wheel.remove(&r.entry)
	}
	r.shard.wheel.add(&r.entry, due)
	r.layer.wakeFor(r.due)
}

// drop forgets an ended record. What points to it still holds next to nothing.
func (r *record) drop(out *todo) {
	r.shard.wheel.remove(&r.entry)
	if r.shard.txs[r.key] == r {
		delete(r.shard.txs, r.key)
		out.rec, out.release = r, r.flow
	}
	r.enter(terminated, 0, 0) // with no timer that a late call could set
	r.buf, r.err, r.onTimeout = nil, nil, nil
}

// run does what apply left, with no lock held. An error of the flow is returned; for a
// client it is reported by the timer goroutine as well.
func (l *Layer) run(t *todo) error {
	var err error
	if t.write != nil {
		if err = t.flow.Write(t.write); err != nil {
			l.failed(t.rec, err)
		}
	}
	if t.on != nil {
		t.rec.deliver(t.event, t.on)
	}
	if t.call != nil {
		t.call()
	}
	if t.release != nil {
		l.release(t.rec.kind, t.release)
	}
	return err
}

// deliver calls on for ev and for what was queued meanwhile.
func (r *record) deliver(ev Event, on func(Event)) {
	for {
		on(ev)
		r.shard.mu.Lock()
		if len(r.queue) == 0 {
			r.delivering, r.queue = false, nil
			r.shard.mu.Unlock()
			return
		}
		ev = r.queue[0]
		r.queue = r.queue[1:]
		r.shard.mu.Unlock()
	}
}

// failed takes note that a write failed.
func (l *Layer) failed(r *record, err error) {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	switch {
	case r.state == terminated:
	case r.kind.server():
		r.step(l.now(), transportErr) // stays where it is; the user's own write returns err
		l.logf("response not sent", r, err)
	default:
		r.err = err
		r.arm()
	}
}

// fire is the wheel's call for a due entry, under the lock.
func (r *record) fire(now time.Duration, out *todo) {
	in, err := timer, r.err
	if err != nil {
		in, r.err = transportErr, nil
	}
	r.apply(now, in, err, transport.Inbound{}, out)
}

// ticksUp is the first tick not before d.
func ticksUp(d time.Duration) int64 { return int64((d + tick - 1) / tick) }
