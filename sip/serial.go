package sip

import "sync"

// serial runs functions one at a time and in order. It has a goroutine only
// while there is something to run, so an idle call costs none. What it runs may
// post more.
type serial struct {
	a *Agent

	mu      sync.Mutex // guards what follows
	queue   []func()
	running bool
}

// post adds f to the queue. After the agent stopped nothing new is run.
func (s *serial) post(f func()) {
	s.mu.Lock()
	s.queue = append(s.queue, f)
	start := !s.running
	s.running = true
	s.mu.Unlock()
	if start && !s.a.spawn(s.run) {
		s.mu.Lock()
		s.queue, s.running = nil, false
		s.mu.Unlock()
	}
}

func (s *serial) run() {
	for {
		s.mu.Lock()
		batch := s.queue
		s.queue = nil
		s.running = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, f := range batch {
			f()
		}
	}
}

// inbox keeps events until somebody handles them. The zero value is ready to
// use; its owner's lock guards it.
type inbox[E any] struct {
	on      func(E)
	waiting []E
}

const maxWaiting = 64 // events kept for a handler that is not there yet; ours

// deliver returns what to call now, nil while there is no handler; kept says that
// the event is not lost.
func (b *inbox[E]) deliver(e E) (call func(), kept bool) {
	on := b.on
	if on != nil {
		return func() { on(e) }, true
	}
	if len(b.waiting) >= maxWaiting {
		return nil, false
	}
	b.waiting = append(b.waiting, e)
	return nil, true
}

// handle sets the handler and returns what it has missed.
func (b *inbox[E]) handle(on func(E)) []E {
	missed := b.waiting
	b.on, b.waiting = on, nil
	return missed
}
