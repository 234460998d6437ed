package session

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/peercall/peercall/ice"
)

// Event is something that happened to a call. The types are Ringing, Retrying,
// EarlyMedia, Answered, PathReady, DTMF and Ended.
type Event interface{ event() kind }

type (
	// Ringing is a provisional response: 180 when the callee is alerted.
	Ringing struct {
		Code   int
		Reason string
	}
	// EarlyMedia says that the callee's side sends sound before the answer, such
	// as ring-back tone or an announcement; it is read from Audio.
	EarlyMedia struct{}
	// Retrying says that the callee could not take what was offered and that the
	// next weaker protection that the policy allows is tried: Profile.
	Retrying struct {
		Code    int
		Profile string
	}
	// Answered says that the call was answered; media may still be connecting.
	Answered struct{}
	// PathReady says that media flows, over which path and how it is protected.
	PathReady struct {
		Local, Remote ice.Candidate // zero for a peer without ICE, but for the addresses
		Relayed       bool
		Security      Security
	}
	// DTMF is a key that the peer pressed (RFC 4733). Dropped counts the keys lost
	// before it because nobody took them: 256 are kept.
	DTMF struct {
		Digit    byte // '0' to '9', '*', '#', 'A' to 'D'
		Duration time.Duration
		Dropped  int
	}
	// Ended is the last event of a call. DroppedDTMF counts keys lost after the
	// last DTMF.
	Ended struct {
		Err         *EndError
		DroppedDTMF int
	}
)

// kind orders the replay of a subscription and names what merges with what.
type kind uint8

const (
	kindRinging kind = iota
	kindRetrying
	kindEarly
	kindAnswered
	kindPath
	kindDTMF
	kindEnded
	kinds
)

func (Ringing) event() kind    { return kindRinging }
func (Retrying) event() kind   { return kindRetrying }
func (EarlyMedia) event() kind { return kindEarly }
func (Answered) event() kind   { return kindAnswered }
func (PathReady) event() kind  { return kindPath }
func (DTMF) event() kind       { return kindDTMF }
func (Ended) event() kind      { return kindEnded }

const maxDTMF = 256

// hub hands the events of a call to its subscribers. Publishing never blocks: a
// state that was not taken yet is replaced by its newer one, keys are kept up to
// maxDTMF and then counted. Safe for concurrent use; mu guards all.
type hub struct {
	mu    sync.Mutex
	state [kinds]Event // the newest of each kind but DTMF: replayed to a new subscriber
	subs  map[*subscription]struct{}
	ended bool
}

type subscription struct {
	pending []Event
	dtmf    int // keys in pending
	dropped int // keys lost since the last one kept
	wake    chan struct{}
}

func (h *hub) publish(ev Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	k := ev.event()
	if k != kindDTMF {
		h.state[k] = ev
	}
	h.ended = k == kindEnded
	for s := range h.subs {
		s.add(ev)
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// add queues one event. hub.mu is held.
func (s *subscription) add(ev Event) {
	k := ev.event()
	if k == kindDTMF {
		if s.dtmf == maxDTMF {
			s.dropped++
			return
		}
		d := ev.(DTMF)
		d.Dropped, s.dropped = s.dropped, 0
		s.dtmf++
		s.pending = append(s.pending, d)
		return
	}
	if e, ok := ev.(Ended); ok {
		e.DroppedDTMF = s.dropped
		ev = e
	}
	for i, p := range s.pending {
		if p.event() == k {
			s.pending[i] = ev
			return
		}
	}
	s.pending = append(s.pending, ev)
}

// events is the iterator of one subscription, opened when it is called.
func (h *hub) events(ctx context.Context) iter.Seq[Event] {
	s := &subscription{wake: make(chan struct{}, 1)}
	h.mu.Lock()
	for _, ev := range h.state {
		if ev != nil {
			s.pending = append(s.pending, ev)
		}
	}
	if len(s.pending) > 0 {
		s.wake <- struct{}{}
	}
	if h.subs == nil {
		h.subs = map[*subscription]struct{}{}
	}
	h.subs[s] = struct{}{}
	h.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { h.drop(s) })
	return func(yield func(Event) bool) {
		defer h.drop(s)
		defer stop()
		for {
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			}
			for _, ev := range h.take(s) {
				if !yield(ev) || ev.event() == kindEnded {
					return
				}
			}
		}
	}
}

func (h *hub) take(s *subscription) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	evs := s.pending
	s.pending, s.dtmf = nil, 0
	return evs
}

func (h *hub) drop(s *subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}
