package media

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/peercall/peercall/media/dtmf"
)

// StreamConfig says what was agreed about one audio stream.
type StreamConfig struct {
	Audio       *Audio        // nil: packets only, no encoder or decoder is made
	Send        Codec         // with the peer's payload type
	Receive     []Codec       // what we advertised, with our payload types
	SendDTMF    uint8         // the peer's payload type of telephone-event, 0: none
	ReceiveDTMF uint8         // ours
	PTime       time.Duration // of packets we send, 10 to 60 ms, default 20 ms
	Sending     bool          // false: silence goes out instead of what is written (hold); nothing in packets-only mode
	Receiving   bool          // false: what arrives is counted and dropped
	// OnDTMF is called once per event of the peer, when it ends. OnPacket takes
	// the RTP packets in packets-only mode; header and payload are reused after it
	// returns. Both must return quickly.
	OnDTMF   func(DTMF)
	OnPacket func(h *rtp.Header, payload []byte)
}

// DTMF is one telephone event (RFC 4733).
type DTMF struct {
	Digit    rune // 0-9, *, #, A-D; '!' for flash, '?' for other events
	Event    uint8
	Duration time.Duration
}

// Stream is one audio stream of a transport.
type Stream struct {
	t      *Transport
	remote atomic.Uint32           // the peer's SSRC, 0 before the first packet
	types  atomic.Pointer[pttable] // payload types that we take
	send   sender
	recv   receiver
	rep    reporter
	bye    chan struct{}
	once   sync.Once
	remove func() // takes the stream off the clock
}

// pttable maps payload types to 1 + an index in Receive; ptDTMF is telephone-event, 0 not agreed.
type pttable [128]uint8

const ptDTMF = 255

// limits of a configuration
const (
	maxCodecs = 32
	minPTime  = 10 * time.Millisecond
	maxPTime  = 60 * time.Millisecond
)

// check fills in defaults and refuses what cannot work.
func (c *StreamConfig) check() (pttable, error) {
	var types pttable
	if c.PTime == 0 {
		c.PTime = period
	}
	// RFC 3551 section 4.2: "a packetization interval of 20 ms or one frame"; receivers take 0 to 200 ms.
	c.PTime = max(minPTime, min(c.PTime.Round(minPTime), maxPTime))
	c.Receive = slices.Clone(c.Receive)
	if len(c.Receive) > maxCodecs {
		return types, errors.New("media: stream: too many codecs")
	}
	if c.Audio != nil {
		if _, err := formatOf(c.Send); err != nil {
			return types, err
		}
	}
	for i, r := range c.Receive {
		if strings.EqualFold(r.Name, "telephone-event") {
			if c.ReceiveDTMF == 0 {
				c.ReceiveDTMF = r.PayloadType
			}
			continue
		}
		if r.PayloadType > 127 {
			return types, fmt.Errorf("media: payload type %d", r.PayloadType)
		}
		if c.Audio != nil {
			if _, err := formatOf(r); err != nil {
				return types, err
			}
		}
		types[r.PayloadType] = uint8(i + 1)
	}
	if c.ReceiveDTMF > 127 || c.SendDTMF > 127 {
		return types, errors.New("media: payload type of telephone-event above 127")
	}
	if c.ReceiveDTMF != 0 {
		types[c.ReceiveDTMF] = ptDTMF
	}
	return types, nil
}

// NewStream starts a stream: it sends from the next tick of the clock on. Packets
// that came before are handed on at once: OnPacket and OnDTMF may be called before
// it returns.
func (t *Transport) NewStream(cfg *StreamConfig) (*Stream, error) {
	c := *cfg
	types, err := c.check()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Stream{t: t, bye: make(chan struct{})}
	s.types.Store(&types)
	if err := s.send.start(t, &c); err != nil {
		return nil, err
	}
	s.recv.start(&c)
	s.rep.start(now, t.cname)
	t.in.mu.Lock()
	if t.in.closed {
		t.in.mu.Unlock()
		return nil, net.ErrClosed
	}
	t.in.streams = append(t.in.streams, s)
	s.remove = t.clock.add(s)
	t.flush()
	t.in.mu.Unlock()
	return s, nil
}

// Update changes codec, payload types or direction in the middle of the call.
// SSRC, sequence numbers and timestamps go on. Audio cannot change between nil
// and not nil.
func (s *Stream) Update(cfg *StreamConfig) error {
	c := *cfg
	types, err := c.check()
	if err != nil {
		return err
	}
	if err := s.send.update(&c); err != nil {
		return err
	}
	s.types.Store(&types)
	s.recv.update(&c)
	return nil
}

// agreed reports whether we advertised payload type pt.
func (s *Stream) agreed(pt uint8) bool { return s.types.Load()[pt&0x7f] != 0 }

// tick is the stream's turn on the clock.
func (s *Stream) tick(now time.Time, missed int) {
	s.send.tick(missed)
	s.play(now, missed)
	s.report(now)
}

// SendDTMF sends digits (0-9, *, #, A-D, ',' pauses a second) as telephone events
// and returns when the last was sent. ctx bounds the wait; when it ends, the
// event being sent is completed and the rest dropped.
func (s *Stream) SendDTMF(ctx context.Context, digits string) error {
	if err := dtmf.Check(strings.ReplaceAll(digits, ",", "")); err != nil {
		return err
	}
	job, err := s.send.queue(digits)
	if err != nil || job == nil {
		return err
	}
	select {
	case <-job.done:
		return job.err
	case <-ctx.Done():
		job.dropped.Store(true)
		return ctx.Err()
	}
}

// WritePacket sends one RTP packet of another source (packets-only mode):
// payload type (the peer's), marker, sequence number and timestamp are taken
// from h, the latter two rebased so that our stream goes on without a seam.
// Nothing is sent while Sending is false.
func (s *Stream) WritePacket(h *rtp.Header, payload []byte) error {
	return s.send.forward(h, payload)
}

// Bye is closed when the peer's RTCP BYE came. The stream goes on: what ends a
// call is signalling.
func (s *Stream) Bye() <-chan struct{} { return s.bye }

// Close sends an RTCP BYE and takes the stream off its transport and clock.
func (s *Stream) Close() error {
	s.once.Do(func() {
		s.remove()
		t := s.t
		t.in.mu.Lock()
		// A new slice: readers of the old one may be under way.
		t.in.streams = slices.DeleteFunc(slices.Clone(t.in.streams), func(o *Stream) bool { return o == s })
		t.in.mu.Unlock()
		s.goodbye(time.Now())
		s.send.stop()
	})
	return nil
}
