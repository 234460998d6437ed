package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/peercall/peercall/media/dtmf"
	"github.com/peercall/peercall/media/resample"
)

const (
	ramp     = 5 * time.Millisecond // of fades
	dtmfJobs = 16                   // SendDTMF calls that may wait
	pauseFor = time.Second          // of a ',' among digits
)

// After a stall of the machine, or of the application. A burst is bounded: every
// call of this machine has one at the same moment.
const (
	maxOwed  = 25 // frames that are made up for: half a second
	maxBurst = 8  // of them in one tick
	patience = 5  // ticks without a frame that one which is held up is waited for
)

// sender is the sending side of a stream; its mutex guards all.
type sender struct {
	mu    sync.Mutex
	t     *Transport
	cfg   StreamConfig
	live  bool // started and not stopped
	stats sendStats

	ssrc   atomic.Uint32
	seq    uint16
	ts     uint32 // of the first sample in stage: the next packet's
	marker bool   // the next packet begins a talk spurt

	// with an Audio
	fmt     format
	codec   encoder
	down    *resample.Resampler
	frame   []int16 // 20 ms in the Audio's format
	mono    []int16 // the same, one channel
	stage   []int16 // samples at the codec's rate that wait for a packet's worth
	packet  int     // samples of a packet
	held    bool    // part of a frame waits for the rest, one tick long
	owed    int     // frames that should have been sent by now
	talking bool    // the last frame was the application's
	patient int     // ticks in which a late writer was waited for
	last    int16   // sample sent last
	digits  *dtmf.Sender
	jobs    []*dtmfJob
	pausing int // ticks of a ','

	// packets only
	rebase forwarding
	begun  time.Time // ts is that of this moment, until something was forwarded

	buf [1500 + maxTag]byte
}

type sendStats struct {
	packets, bytes, droppedWriter uint64
	first                         time.Time
}

// dtmfJob is one SendDTMF. done is closed when it was sent, or failed with err.
type dtmfJob struct {
	digits  string
	done    chan struct{}
	err     error
	dropped atomic.Bool
}

func (s *sender) start(t *Transport, cfg *StreamConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t, s.live, s.marker = t, true, true
	s.ssrc.Store(t.newSSRC())
	s.seq, s.ts, s.begun = firstSequence(), random32(), time.Now()
	s.digits = dtmf.NewSender(dtmf.SenderConfig{ClockRate: 8000, PTime: period})
	return s.apply(cfg)
}

func (s *sender) update(cfg *StreamConfig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if (cfg.Audio == nil) != (s.cfg.Audio == nil) {
		return errors.New("media: update: a stream with an Audio keeps one, a stream without gets none")
	}
	return s.apply(cfg)
}

// apply takes cfg over. The encoder starts afresh only when the codec changes.
func (s *sender) apply(cfg *StreamConfig) error {
	old := s.cfg
	if cfg.Audio == nil {
		s.cfg = *cfg
		return nil
	}
	f, err := formatOf(cfg.Send)
	if err != nil {
		return err
	}
	to := cfg.Audio.Format()
	if s.down == nil || f.rate != s.fmt.rate || old.Audio.Format() != to {
		down, err := resample.New(to.Rate, f.rate)
		if err != nil {
			return fmt.Errorf("media: stream: %w", err)
		}
		s.down = down
		s.frame = make([]int16, to.samples(period))
		s.mono = make([]int16, 0, len(s.frame))
	}
	if s.codec == nil || old.Send.Name != cfg.Send.Name || old.PTime != cfg.PTime {
		s.ts += uint32(len(s.stage) * f.clock / f.rate) // what is dropped with the stage
		if old.Send.Name != cfg.Send.Name {
			s.codec = f.encoder()
		}
		s.packet = int(int64(f.rate) * int64(cfg.PTime) / int64(time.Second))
		s.stage = make([]int16, 0, s.packet+2*int(int64(f.rate)*int64(period)/int64(time.Second)))
	}
	s.fmt, s.cfg = f, *cfg
	return nil
}

func (s *sender) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = false
	for _, j := range s.jobs {
		j.err = net.ErrClosed
		close(j.done)
	}
	s.jobs = nil
}

// tick sends what 20 ms of sound amount to, and what missed ticks should have
// sent: late sound is better than a hole. After a longer stall time went on
// without us, and so do the timestamps.
func (s *sender) tick(missed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return
	}
	a := s.cfg.Audio
	if a == nil {
		s.event(0)
		return
	}
	s.owed += 1 + missed
	if over := s.owed - maxOwed; over > 0 {
		s.ts += uint32(over * s.ticks())
		s.owed = maxOwed
	}
	sent := 0
	for s.owed > 0 && sent < maxBurst && !s.waits(a) {
		s.next(a)
		s.owed--
		sent++
	}
	if sent > 0 {
		s.patient = 0
	} else if s.patient++; s.patient > patience {
		s.talking = false // then silence stands in
	}
	if len(s.stage) == 0 && a.out.len() == 0 {
		a.sent()
	}
}

// waits says that the next frame is not there yet and worth waiting for: the
// application was talking, and was held up with us or is just now being woken.
func (s *sender) waits(a *Audio) bool {
	if !s.talking || !s.cfg.Sending || !s.digits.Idle() || a.out.len() >= len(s.frame) {
		return false
	}
	return s.owed > 1 || a.out.awaited()
}

// next sends one frame of 20 ms.
func (s *sender) next(a *Audio) {
	s.fill(a)
	s.stage = s.down.Append(s.stage, s.mono)
	if s.event(s.ts + uint32((len(s.stage)*s.fmt.clock)/s.fmt.rate-s.ticks())) {
		// An event stands in for the sound of its time.
		s.ts += uint32(len(s.stage) * s.fmt.clock / s.fmt.rate)
		s.stage = s.stage[:0]
	}
	for len(s.stage) >= s.packet {
		body := s.codec.Encode(s.buf[rtpHeader:rtpHeader], s.stage[:s.packet])
		s.write(s.cfg.Send.PayloadType, s.marker, s.ts, len(body))
		s.marker = false
		s.ts += uint32(s.packet * s.fmt.clock / s.fmt.rate)
		s.stage = s.stage[:copy(s.stage, s.stage[s.packet:])]
	}
}

// ticks is 20 ms on the RTP clock.
func (s *sender) ticks() int { return s.fmt.clock * int(period/time.Millisecond) / 1000 }

// fill takes the next 20 ms into s.mono, silence where nothing was written.
func (s *sender) fill(a *Audio) {
	channels, n := a.Format().Channels, 0
	switch queued := a.out.len(); {
	case !s.cfg.Sending:
		// What was captured is taken, so that its writer is paced, and goes nowhere.
		s.stats.droppedWriter += uint64(a.out.pull(s.frame))
		s.held, s.talking = false, false
	case queued >= len(s.frame):
		n = a.out.pull(s.frame)
		s.held, s.talking = false, true
	case queued > 0 && !s.held:
		// Less than a frame: the writer is a little behind. Once it may catch up, which
		// leaves a cushion for the next time.
		s.held = true
	case queued > 0:
		n = a.out.pull(s.frame)
		s.held, s.talking = false, false
	default:
		s.held, s.talking = false, false
	}
	s.mono = mixDown(s.mono[:0], s.frame[:n-n%channels], channels)
	full := len(s.frame) / channels
	if got := len(s.mono); got < full {
		if got > 0 {
			s.last = s.mono[got-1]
		}
		s.mono = s.mono[:full]
		fadeOut(s.mono[got:], s.last, a.Format().Rate*int(ramp/time.Millisecond)/1000)
	}
	s.last = s.mono[full-1]
}

// write sends the payload that lies in buf behind the header's place.
func (s *sender) write(pt uint8, marker bool, ts uint32, payload int) {
	b := s.buf[:rtpHeader+payload]
	b[0], b[1] = 0x80, pt&0x7f
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], s.seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], s.ssrc.Load())
	s.seq++
	if err := s.t.writeRTP(b); err != nil {
		return // counted below; media has no way to repeat itself
	}
	if s.stats.packets == 0 {
		s.stats.first = time.Now()
	}
	s.stats.packets++
	s.stats.bytes += uint64(payload)
}

// queue adds digits to those that wait.
func (s *sender) queue(digits string) (*dtmfJob, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.live:
		return nil, net.ErrClosed
	case s.cfg.SendDTMF == 0:
		return nil, errors.New("media: the peer takes no telephone events")
	case len(s.jobs) >= dtmfJobs:
		return nil, errors.New("media: too many digits wait")
	}
	j := &dtmfJob{digits: digits, done: make(chan struct{})}
	s.jobs = append(s.jobs, j)
	return j, nil
}

// event sends the packet of a telephone event, if one is due now.
func (s *sender) event(now uint32) bool {
	s.nextDigit()
	if s.pausing > 0 {
		s.pausing--
		return false
	}
	if s.digits.Idle() {
		return false
	}
	if s.cfg.Audio == nil {
		now = s.clock(time.Now())
	}
	p, ok := s.digits.Next(now)
	if !ok {
		return false
	}
	body := p.Payload.Append(s.buf[rtpHeader:rtpHeader])
	s.write(s.cfg.SendDTMF, p.Marker, p.Timestamp, len(body))
	s.rebase.inserted()
	return true
}

// nextDigit moves one digit from the jobs to the event machine when that is idle.
func (s *sender) nextDigit() {
	for s.pausing == 0 && len(s.jobs) > 0 && s.digits.Idle() {
		j := s.jobs[0]
		if j.digits == "" || j.dropped.Load() || s.cfg.SendDTMF == 0 {
			close(j.done)
			s.jobs = s.jobs[1:]
			continue
		}
		d := j.digits[:1]
		j.digits = j.digits[1:]
		if d == "," {
			s.pausing = int(pauseFor / period)
			continue
		}
		_ = s.digits.Queue(d) // checked by SendDTMF; the queue is empty
	}
}

// forward sends a packet of another source.
func (s *sender) forward(h *rtp.Header, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.live:
		return net.ErrClosed
	case s.cfg.Audio != nil:
		return errors.New("media: WritePacket on a stream with an Audio")
	case !s.cfg.Sending:
		return nil
	case len(payload)+rtpHeader+maxTag > min(len(s.buf), max(s.t.mtu, 576)):
		return fmt.Errorf("media: WritePacket: payload of %d bytes", len(payload))
	}
	now := time.Now()
	seq, ts, ok := s.rebase.next(h, s.seq, s.clock(now), now)
	if !ok {
		return nil // a duplicate, or later than a receiver would wait for it
	}
	s.seq = seq
	copy(s.buf[rtpHeader:], payload)
	s.write(h.PayloadType, h.Marker, ts, len(payload))
	s.seq = s.rebase.lastSeq + 1 // h may be a late one
	return nil
}

// clock is the RTP timestamp that stands for now in packets-only mode.
func (s *sender) clock(now time.Time) uint32 {
	if s.rebase.begun {
		return s.rebase.clock(now)
	}
	return s.ts + uint32(int64(now.Sub(s.begun))*forwardClock/int64(time.Second))
}
