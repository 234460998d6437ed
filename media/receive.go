package media

import (
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/peercall/peercall/media/dtmf"
	"github.com/peercall/peercall/media/jitter"
	"github.com/peercall/peercall/media/resample"
)

const (
	receiveClock  = 8000 // RTP clock of all payload formats that we know
	maxConceal    = 120 * time.Millisecond
	maxCollisions = 3 // changes of our SSRC; more would be a loop, not a collision
)

// receiver is the receiving side of a stream; its mutex guards all.
type receiver struct {
	mu    sync.Mutex
	cfg   StreamConfig
	src   reception
	stats recvStats

	buf     *jitter.Buffer // nil in packets-only mode
	events  *dtmf.Receiver
	pending []dtmf.Event // scratch

	// with an Audio
	decoders []decoder // one per entry of cfg.Receive, made when first needed
	formats  []format
	pt       uint8 // of the last frame played
	rate     int   // of the decoder in use
	conceal  *jitter.Concealer
	up       *resample.Resampler
	fade     bool    // pass into the next frame: the decoder changed
	last     int16   // sample played last, at the Audio's rate
	pcm      []int16 // decoded
	mono     []int16 // the same at the Audio's rate, waiting for a tick
	out      []int16 // 20 ms in the Audio's format
	owed     int     // frames that the Audio should have had by now
	grace    int     // ticks for which what was held up is waited for
}

type recvStats struct {
	packets, bytes                                             uint64
	duplicates, late, concealed, droppedReader, droppedPayload uint64
	droppedSource, malformed, droppedDTMF                      uint64
	first, last                                                time.Time
}

func (r *receiver) start(cfg *StreamConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cfg.Audio != nil {
		r.buf = jitter.New(jitter.Config{ClockRate: receiveClock})
	}
	r.events = dtmf.NewReceiver(receiveClock)
	r.apply(cfg)
}

func (r *receiver) update(cfg *StreamConfig) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apply(cfg)
}

// apply takes cfg over. What waits stays where it can still be decoded.
func (r *receiver) apply(cfg *StreamConfig) {
	old := r.cfg
	r.cfg = *cfg
	if cfg.Audio == nil {
		return
	}
	if old.Receiving && !cfg.Receiving || old.Audio != cfg.Audio {
		r.buf.Reset()
		r.mono = r.mono[:0]
	}
	if !sameCodecs(old.Receive, cfg.Receive) {
		r.decoders = make([]decoder, len(cfg.Receive))
		r.formats = make([]format, len(cfg.Receive))
		for i, c := range cfg.Receive {
			r.formats[i], _ = formatOf(c) // check has seen it; telephone-event stays zero
		}
		r.fade = true
	}
	to := cfg.Audio.Format()
	if n := to.samples(period); len(r.out) != n || old.Audio == nil || old.Audio.Format() != to {
		r.out = make([]int16, 0, n)
		r.mono = make([]int16, 0, 3*n)
		r.pcm = make([]int16, 0, 1024)
		r.rate = 0 // a new resampler
	}
}

func sameCodecs(a, b []Codec) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (s *Stream) malformed() {
	s.recv.mu.Lock()
	s.recv.stats.malformed++
	s.recv.mu.Unlock()
}

// receive takes an authenticated RTP packet, on the path reader's goroutine.
func (s *Stream) receive(now time.Time, h *rtp.Header, payload []byte) {
	r := &s.recv
	r.mu.Lock()
	use, ok := s.admit(now, h, len(payload))
	if !ok {
		r.mu.Unlock()
		return
	}
	switch {
	case use == ptDTMF:
		if r.buf != nil {
			r.buf.Skip(now, h.SequenceNumber)
		}
		r.keys(now, h, payload)
	case r.cfg.Audio == nil:
		r.src.timing(now, h.Timestamp, receiveClock)
		on := r.cfg.OnPacket
		if !r.cfg.Receiving {
			on = nil
		}
		r.mu.Unlock()
		if on != nil {
			on(h, payload)
		}
		return
	default:
		r.src.timing(now, h.Timestamp, receiveClock)
		r.put(now, h, payload)
	}
	events, on := r.takeEvents()
	r.mu.Unlock()
	deliver(events, on)
}

// admit checks payload type, source and sequence number, and counts. recv.mu is held.
func (s *Stream) admit(now time.Time, h *rtp.Header, size int) (use uint8, ok bool) {
	r := &s.recv
	if use = s.types.Load()[h.PayloadType&0x7f]; use == 0 {
		r.stats.droppedPayload++
		return 0, false
	}
	if h.SSRC == s.send.ssrc.Load() {
		// "If a collision is detected, the source MUST send an RTCP BYE packet for the
		// old identifier" and choose a new one (RFC 3550 section 8.2).
		s.rep.collided.Store(true)
	}
	taken, fresh := r.src.takes(now, h.SSRC, h.SequenceNumber)
	if !taken {
		r.stats.droppedSource++
		return 0, false
	}
	if fresh {
		s.remote.Store(h.SSRC)
		r.fade = true
		r.events = dtmf.NewReceiver(receiveClock)
		if r.buf != nil {
			r.buf.Reset()
		}
	}
	r.src.sequence(h.SequenceNumber) // the jitter buffer judges leaps for itself
	r.stats.packets++
	r.stats.bytes += uint64(size)
	r.stats.last = now
	return use, true
}

// put queues a packet for playout. r.mu is held.
func (r *receiver) put(now time.Time, h *rtp.Header, payload []byte) {
	if !r.cfg.Receiving {
		return
	}
	switch r.buf.Put(now, jitter.Packet{
		Seq: h.SequenceNumber, Timestamp: h.Timestamp, PayloadType: h.PayloadType, Marker: h.Marker,
		Payload: payload, Samples: len(payload), // one byte a tick: true of PCMU, PCMA and G722
	}) {
	case jitter.Duplicate:
		r.stats.duplicates++
	case jitter.Late:
		r.stats.late++
	case jitter.Refused:
		r.stats.malformed++
	case jitter.Queued:
	}
}

// keys takes a packet of a telephone event. r.mu is held.
func (r *receiver) keys(now time.Time, h *rtp.Header, payload []byte) {
	if !r.cfg.Receiving {
		r.stats.droppedDTMF++
		return
	}
	var err error
	r.pending, err = r.events.Receive(r.pending, now, h.SequenceNumber, h.Timestamp, h.Marker, payload)
	if err != nil {
		r.stats.droppedDTMF++
	}
}

// takeEvents returns the events to tell, and whom. r.mu is held.
func (r *receiver) takeEvents() ([]DTMF, func(DTMF)) {
	if len(r.pending) == 0 {
		return nil, nil
	}
	var ended []DTMF
	for _, e := range r.pending {
		if !e.Begin {
			ended = append(ended, DTMF{Digit: digit(e.Code), Event: e.Code, Duration: e.Duration})
		}
	}
	r.pending = r.pending[:0]
	return ended, r.cfg.OnDTMF
}

func deliver(events []DTMF, on func(DTMF)) {
	if on == nil {
		return
	}
	for _, e := range events {
		on(e)
	}
}

func digit(code uint8) rune {
	if code == 16 {
		return '!' // flash (RFC 4733 section 3.2)
	}
	if k, ok := dtmf.Key(code); ok {
		return rune(k)
	}
	return '?'
}

// play hands 20 ms of sound to the Audio, on the clock's goroutine, and what
// missed ticks should have handed over.
func (s *Stream) play(now time.Time, missed int) {
	r := &s.recv
	r.mu.Lock()
	r.pending = r.events.Expire(r.pending, now)
	events, on := r.takeEvents()
	if r.cfg.Audio != nil && r.src.begun {
		r.tick(now, missed)
	}
	r.mu.Unlock()
	deliver(events, on)
}

// tick plays what is due. After a stall, which may have held up the packets and
// their sender as well, it does not conceal what is about to come, and leaves the
// jitter buffer its cushion. r.mu is held.
func (r *receiver) tick(now time.Time, missed int) {
	if missed > 0 {
		r.grace = 2 * patience
	}
	r.owed += 1 + missed
	for ; r.owed > maxOwed; r.owed-- {
		// What was due in the first part of a long stall is over: dropping it keeps the delay as it was.
		if !r.buf.Lacks(2) {
			r.buf.GetLate(now, r.behind())
		}
	}
	f := r.cfg.Audio.Format()
	want := f.Rate * int(period/time.Millisecond) / 1000
	for played := 0; r.owed > 0 && played < maxBurst; played++ {
		if r.grace > 0 && len(r.mono) < want && r.buf.Lacks(min(r.owed, 2)) {
			break
		}
		r.frame(now, f, want)
		r.owed--
	}
	if r.grace--; r.grace <= 0 {
		r.grace, r.owed = 0, 0 // what has not come by now is concealed from here on
	}
}

// behind is the time for which nothing was played yet.
func (r *receiver) behind() time.Duration { return time.Duration(max(r.owed-1, 0)) * period }

// frame plays 20 ms. r.mu is held.
func (r *receiver) frame(now time.Time, f Format, want int) {
	heard := false
	for len(r.mono) < want {
		heard = r.next(now, f.Rate) || heard
	}
	r.out = spread(r.out[:0], r.mono[:want], f.Channels)
	r.last = r.mono[want-1]
	r.mono = r.mono[:copy(r.mono, r.mono[want:])]
	if heard && r.stats.first.IsZero() {
		r.stats.first = now
	}
	r.stats.droppedReader += uint64(r.cfg.Audio.in.push(r.out))
}

// next appends one frame of the jitter buffer to mono, and reports whether it
// came from a packet. It always appends something.
func (r *receiver) next(now time.Time, to int) (played bool) {
	f, status := jitter.Frame{Samples: receiveClock / 50}, jitter.Wait
	if r.cfg.Receiving {
		f, status = r.buf.GetLate(now, r.behind())
	}
	if status == jitter.Play {
		played = r.decode(f, to)
	}
	if r.conceal == nil || r.rate == 0 {
		r.use(format{rate: to, clock: receiveClock}, to) // nothing played yet
	}
	switch n := r.duration(f.Samples); {
	case played:
		if f.Spliced {
			r.conceal.Splice()
		}
		r.conceal.Good(r.pcm)
	case status == jitter.Lost:
		r.pcm = fit(r.pcm, n)
		r.conceal.Lost(r.pcm)
		r.stats.concealed += uint64(n)
	default:
		r.pcm = fit(r.pcm, n)
		clear(r.pcm)
		r.conceal.Silence(r.pcm)
	}
	before := len(r.mono)
	r.mono = r.up.Append(r.mono, r.pcm)
	if r.fade {
		crossFade(r.mono[before:], r.lastBefore(before), to*int(ramp/time.Millisecond)/1000)
		r.fade = false
	}
	return played
}

// decode puts the samples of a packet into pcm.
func (r *receiver) decode(f jitter.Frame, to int) bool {
	for i, c := range r.cfg.Receive {
		if c.PayloadType != f.PayloadType || r.formats[i].decoder == nil || len(f.Payload) == 0 {
			continue
		}
		if r.decoders[i] == nil {
			r.decoders[i] = r.formats[i].decoder()
		}
		if f.PayloadType != r.pt || r.rate != r.formats[i].rate {
			r.fade = r.fade || r.rate != 0
			r.pt = f.PayloadType
			if d, ok := r.decoders[i].(interface{ Reset() }); ok {
				d.Reset() // the peer's encoder begins afresh, too
			}
			r.use(r.formats[i], to)
		}
		r.pcm = r.decoders[i].Decode(r.pcm[:0], f.Payload)
		return len(r.pcm) > 0
	}
	return false // queued before an update took its codec away
}

// use readies concealment and resampling for a decoder.
func (r *receiver) use(f format, to int) {
	if r.rate == f.rate && r.conceal != nil {
		return
	}
	up, err := resample.New(f.rate, to)
	if err != nil {
		return // both rates were checked
	}
	r.up, r.rate, r.conceal = up, f.rate, jitter.NewConcealer(f.rate)
}

// duration turns ticks into samples of the decoder, within bounds.
func (r *receiver) duration(ticks int) int {
	n := ticks * r.rate / receiveClock
	return max(r.rate/1000, min(n, r.rate*int(maxConceal/time.Millisecond)/1000))
}

// lastBefore is the sample that went before mono[i].
func (r *receiver) lastBefore(i int) int16 {
	if i > 0 {
		return r.mono[i-1]
	}
	return r.last
}

// fit returns b with length n, with a new array when it has to be.
func fit(b []int16, n int) []int16 {
	if cap(b) < n {
		return make([]int16, n)
	}
	return b[:n]
}
