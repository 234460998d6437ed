package media

import (
	"net"
	"os"
	"sync"
)

// ring is a bounded queue of samples between a clock, which never waits, and
// an application, which does. It allocates nothing after newRing, but for push
// where the reader is late: room for that is not kept by every call.
type ring struct {
	most  int // samples that push may grow buf to
	limit deadline
	ready chan struct{} // one token: something changed for a waiter
	done  chan struct{} // closed by close

	mu     sync.Mutex // guards what follows
	buf    []int16
	start  int // of the oldest sample
	n      int
	wait   int // writers that wait for room
	closed bool
}

func newRing(size, most int) *ring {
	return &ring{
		most:  max(size, most),
		limit: newDeadline(),
		ready: make(chan struct{}, 1),
		done:  make(chan struct{}),
		buf:   make([]int16, size),
	}
}

// read waits for samples and takes up to len(p). As with net.Conn, nothing is
// read or written once the deadline has passed.
func (r *ring) read(p []int16) (int, error) {
	for {
		r.mu.Lock()
		if err := r.over(); err != nil {
			r.mu.Unlock()
			return 0, err
		}
		n := r.take(p)
		if r.n > 0 {
			r.signal() // for another reader
		}
		r.mu.Unlock()
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err := r.block(); err != nil {
			return 0, err
		}
	}
}

// write queues all of p and waits while the queue is full.
func (r *ring) write(p []int16) (n int, err error) {
	for {
		r.mu.Lock()
		if err := r.over(); err != nil {
			r.mu.Unlock()
			return n, err
		}
		n += r.put(p[n:])
		if r.n < len(r.buf) {
			r.signal() // for another writer
		}
		if n == len(p) {
			r.mu.Unlock()
			return n, nil
		}
		r.wait++
		r.mu.Unlock()
		err := r.block()
		r.mu.Lock()
		r.wait--
		r.mu.Unlock()
		if err != nil {
			return n, err
		}
	}
}

// over says why nothing may be read or written now. r.mu is held.
func (r *ring) over() error {
	switch {
	case r.closed:
		return net.ErrClosed
	case r.limit.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// block waits for a change, the deadline or the end.
func (r *ring) block() error {
	pass := r.limit.wait()
	select {
	case <-r.ready:
		return nil
	case <-pass:
		return os.ErrDeadlineExceeded
	case <-r.done:
		return net.ErrClosed
	}
}

// take moves the oldest samples into p. r.mu is held.
func (r *ring) take(p []int16) int {
	n := min(len(p), r.n)
	first := copy(p[:n], r.buf[r.start:])
	copy(p[first:n], r.buf)
	r.start = (r.start + n) % len(r.buf)
	r.n -= n
	return n
}

// put appends what fits of p. r.mu is held.
func (r *ring) put(p []int16) int {
	n := min(len(p), len(r.buf)-r.n)
	end := (r.start + r.n) % len(r.buf)
	first := copy(r.buf[end:], p[:n])
	copy(r.buf, p[first:n])
	r.n += n
	return n
}

// push appends p and drops the oldest samples to make room. It returns how many.
func (r *ring) push(p []int16) (dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0
	}
	if len(r.buf) < r.most && r.n+len(p) > len(r.buf) {
		bigger := make([]int16, min(max(2*len(r.buf), r.n+len(p)), r.most))
		n := r.take(bigger)
		r.buf, r.start, r.n = bigger, 0, n
	}
	if over := len(p) - len(r.buf); over > 0 {
		p, dropped = p[over:], over
	}
	if over := r.n + len(p) - len(r.buf); over > 0 {
		r.start = (r.start + over) % len(r.buf)
		r.n -= over
		dropped += over
	}
	r.put(p)
	r.signal()
	return dropped
}

// pull takes up to len(p) samples without waiting.
func (r *ring) pull(p []int16) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.take(p)
	if n > 0 {
		r.signal()
	}
	return n
}

func (r *ring) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// awaited says that a writer waits for room, or was woken for it and has not yet
// come to write.
func (r *ring) awaited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wait > 0
}

// clear drops all samples and returns how many.
func (r *ring) clear() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.n
	r.start, r.n = 0, 0
	r.signal()
	return n
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.start, r.n = 0, 0
	close(r.done)
	r.limit.off()
}

// signal wakes one waiter. r.mu is held, or a spurious wake-up is fine.
func (r *ring) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}
