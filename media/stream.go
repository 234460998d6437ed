package media

import (
	"context"
	"time"

	"github.com/pion/rtp"
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
	Digit    rune // 0-9, *, #, A-D; '!' for flash
	Event    uint8
	Duration time.Duration
}

// Stream is one audio stream of a transport.
type Stream struct{}

// NewStream starts a stream: it sends from the next tick of the clock on.
func (t *Transport) NewStream(cfg *StreamConfig) (*Stream, error) { return &Stream{}, nil }

// Update changes codec, payload types or direction in the middle of the call.
// SSRC, sequence numbers and timestamps go on. Audio cannot change between nil
// and not nil.
func (s *Stream) Update(cfg *StreamConfig) error { return nil }

// SendDTMF sends digits (0-9, *, #, A-D, ',' pauses) as telephone events and
// returns when the last was sent. ctx bounds the wait; when it ends, the event
// being sent is completed and the rest dropped.
func (s *Stream) SendDTMF(ctx context.Context, digits string) error { return nil }

// WritePacket sends one RTP packet of another source (packets-only mode):
// payload type (the peer's), marker, sequence number and timestamp are taken from h, the
// latter two rebased so that our stream goes on without a seam.
func (s *Stream) WritePacket(h *rtp.Header, payload []byte) error { return nil }

// Stats is a snapshot of the stream's counters.
func (s *Stream) Stats() StreamStats { return StreamStats{} }

// Bye is closed when the peer's RTCP BYE came. The stream goes on: what ends a
// call is signalling.
func (s *Stream) Bye() <-chan struct{} { return nil }

// Close sends an RTCP BYE and takes the stream off its transport and clock.
func (s *Stream) Close() error { return nil }
