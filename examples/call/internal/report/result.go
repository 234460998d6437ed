package report

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/peercall/peercall/internal/speech"
	"github.com/peercall/peercall/session"
)

// Result is what -json prints. Times are in milliseconds.
type Result struct {
	OK              bool    `json:"ok"`
	Error           string  `json:"error"`
	RingingMS       float64 `json:"ringing_ms"`         // from dial to the first ringing
	SetupMS         float64 `json:"setup_ms"`           // from dial to the answer
	AnswerToAudioMS float64 `json:"answer_to_audio_ms"` // from the answer to the first decoded frame
	Path            Path    `json:"path"`
	SRTP            string  `json:"srtp"` // the protection profile; empty for plain RTP
	Security        string  `json:"security"`
	Codec           string  `json:"codec"`
	Sent            uint64  `json:"sent"` // packets, as all that follows, at the calling side
	Received        uint64  `json:"received"`
	Lost            uint64  `json:"lost"`
	JitterMS        float64 `json:"jitter_ms"`
	RTTMS           float64 `json:"rtt_ms"`
	// Similarity is the median correlation of what each heard with what the other
	// said; Control is the same with what they said themselves.
	Similarity map[string]float64 `json:"similarity,omitempty"`
	Control    map[string]float64 `json:"control,omitempty"`
	Out        string             `json:"out,omitempty"` // the folder of the recordings
	Other      *Side              `json:"other,omitempty"`
}

// Path is where media goes.
type Path struct {
	Local    string `json:"local"`
	Remote   string `json:"remote"`
	Protocol string `json:"protocol"`
	Relayed  bool   `json:"relayed"`
}

// Side is the called side's view of the packets.
type Side struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	Lost     uint64 `json:"lost"`
}

// Take notes the figures of a call while it goes on.
func (r *Result) Take(call *session.Call) {
	s, sec := call.Stats(), call.Security()
	r.Codec, r.SRTP, r.Security = s.Stream.Codec.Name, sec.Suite, sec.Profile
	r.Sent, r.Received, r.Lost = s.Stream.PacketsSent, s.Stream.PacketsReceived, s.Stream.Lost
	r.JitterMS, r.RTTMS = Milliseconds(s.Stream.Jitter), Milliseconds(roundTrip(s))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for ev := range call.Events(ctx) { // the current state comes at once
		switch ev := ev.(type) {
		case session.PathReady:
			r.Path = Path{Local: ev.Local.Addr.String(), Remote: ev.Remote.Addr.String(), Protocol: "udp", Relayed: ev.Relayed}
			return
		case session.Ended:
			return
		default:
			if s.Stream.PacketsSent+s.Stream.PacketsReceived == 0 {
				return // media never flowed: no path will come
			}
		}
	}
}

// roundTrip is RTCP's, or that of the path's checks before the first report.
func roundTrip(s session.CallStats) time.Duration {
	if s.Stream.RTT > 0 {
		return s.Stream.RTT
	}
	return s.Path.RTT
}

// TakeOther notes the called side's figures.
func (r *Result) TakeOther(call *session.Call) {
	s := call.Stats().Stream
	r.Other = &Side{Sent: s.PacketsSent, Received: s.PacketsReceived, Lost: s.Lost}
}

// Compare judges what one party heard: like what the other said, and unlike what
// the party said itself.
func (r *Result) Compare(out *Printer, who string, rate int, heard, said, own []int16) error {
	rep := speech.Compare(said, heard, rate, speech.Options{})
	control := speech.Compare(own, heard, rate, speech.Options{})
	if r.Similarity == nil {
		r.Similarity, r.Control = map[string]float64{}, map[string]float64{}
	}
	r.Similarity[who], r.Control[who] = rep.Median, control.Median
	out.Printf("%s heard %.1f s: median correlation %.3f, %.0f%% of %d windows at least 0.8 (the first %v left out); control %.3f",
		who, float64(len(heard))/float64(rate), rep.Median, 100*rep.Share80, rep.Windows, rep.Skipped, control.Median)
	switch {
	case !rep.OK():
		return fmt.Errorf("%s did not hear what was said: median correlation %.3f in %d windows (want 0.9), %.0f%% of them at least 0.8 (want 90%%)",
			who, rep.Median, rep.Windows, 100*rep.Share80)
	case control.Median >= 0.3:
		return fmt.Errorf("%s heard itself: correlation %.3f with its own speech (want under 0.3)", who, control.Median)
	}
	return nil
}

// Finish decides. A nil err is success.
func (r *Result) Finish(err error) {
	r.OK = err == nil
	if err != nil {
		r.Error = err.Error()
	}
}

// WriteJSON writes the result as one line.
func (r *Result) WriteJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

// Summary prints the figures.
func (p *Printer) Summary(r *Result) {
	if r.Sent+r.Received > 0 {
		p.Printf("packets: %d sent, %d received, %d lost; jitter %.2f ms, round trip %.2f ms; codec %s", r.Sent, r.Received, r.Lost, r.JitterMS, r.RTTMS, r.Codec)
	}
	if r.Other != nil {
		p.Printf("the other side: %d sent, %d received, %d lost", r.Other.Sent, r.Other.Received, r.Other.Lost)
	}
	if r.SetupMS > 0 {
		p.Printf("from dial to ringing %.1f ms, to the answer %.1f ms", r.RingingMS, r.SetupMS)
	}
	if r.AnswerToAudioMS > 0 {
		p.Printf("from the answer to the first frame heard %.1f ms", r.AnswerToAudioMS)
	}
	if r.Out != "" {
		p.Printf("what each side heard is in %s", r.Out)
	}
	if r.OK {
		p.Printf("ok")
	}
}

// Milliseconds is d as a number with three places.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Stopwatch takes the time from the dial to the ringing.
type Stopwatch struct {
	began time.Time
	mu    sync.Mutex
	rang  time.Time
}

// Start begins the count.
func (s *Stopwatch) Start() { s.began = time.Now() }

// Watch waits for the ringing of a call.
func (s *Stopwatch) Watch(ctx context.Context, call *session.Call) {
	for ev := range call.Events(ctx) {
		switch ev.(type) {
		case session.Ringing, session.Answered:
			s.mu.Lock()
			s.rang = time.Now()
			s.mu.Unlock()
			return
		}
	}
}

// Milliseconds is the time from Start to at.
func (s *Stopwatch) Milliseconds(at time.Time) float64 { return Milliseconds(at.Sub(s.began)) }

// RingingMilliseconds is the time from Start to the ringing; 0 if there was none.
func (s *Stopwatch) RingingMilliseconds() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rang.IsZero() {
		return 0
	}
	return Milliseconds(s.rang.Sub(s.began))
}
