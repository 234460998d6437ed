package media

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// "the RECOMMENDED value for a fixed minimum interval is 5 seconds" (RFC 3550
	// section 6.2). With two members and speech, the 5% share never asks for more.
	reportInterval = 5 * time.Second
	// "the delay before sending the initial compound RTCP packet MAY be zero" in a
	// unicast session: a little later it already tells something.
	firstReport = 400 * time.Millisecond
	// e-3/2, which makes up for timer reconsideration (RFC 3550 section 6.3.1).
	compensation = 1.21828
	maxRTT       = 30 * time.Second
)

// interval is when the next report comes, from a random number in [0, 1): the
// deterministic interval times 0.5 to 1.5, over the compensation.
func interval(td time.Duration, random float64) time.Duration {
	return time.Duration(float64(td) * (0.5 + random) / compensation)
}

// reporter keeps a stream's RTCP state; its mutex guards all but collided.
type reporter struct {
	collided atomic.Bool // the peer uses our SSRC

	mu    sync.Mutex
	cname string
	next  time.Time
	ended bool // BYE was sent
	buf   []byte

	// the last SR of the peer, for LSR and DLSR
	srSSRC uint32
	srNTP  uint32
	srAt   time.Time

	now          time.Time // of the packet being parsed
	local        uint32
	rtt          time.Duration
	remoteJitter time.Duration
	remoteLost   int64
	remoteLoss   float64
	lastReport   time.Time
	sent, got    uint64
	malformed    uint64
	collisions   uint64
	bye          time.Time
	byes         []uint32 // of the packet being parsed
}

func (r *reporter) start(now time.Time, cname string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cname = cname
	r.next = now.Add(interval(firstReport, rand.Float64()))
	r.buf = make([]byte, 0, 512)
	r.byes = make([]uint32, 0, 4)
}

// report sends a compound packet when one is due, on the clock's goroutine.
func (s *Stream) report(now time.Time) {
	r := &s.rep
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	if r.collided.Swap(false) && r.collisions < maxCollisions {
		r.collisions++
		r.buf = appendBye(s.compound(now), s.send.ssrc.Load())
		_ = s.t.writeRTCP(r.buf)
		s.send.ssrc.Store(s.t.newSSRC())
	}
	if now.Before(r.next) {
		r.mu.Unlock()
		return
	}
	r.next = now.Add(interval(reportInterval, rand.Float64()))
	if p := s.compound(now); s.t.writeRTCP(p) == nil {
		r.sent++
	}
	r.mu.Unlock()
}

// goodbye sends the last report with a BYE.
func (s *Stream) goodbye(now time.Time) {
	s.rep.mu.Lock()
	defer s.rep.mu.Unlock()
	s.rep.ended = true
	packets, _, _ := s.send.sent(now)
	// "a participant which never sent an RTP or RTCP packet MUST NOT send a BYE
	// packet when they leave the group" (RFC 3550 section 6.3.7)
	if packets == 0 && s.rep.sent == 0 {
		return
	}
	s.rep.buf = appendBye(s.compound(now), s.send.ssrc.Load())
	_ = s.t.writeRTCP(s.rep.buf)
}

// compound builds SR or RR, and SDES: "All RTCP packets MUST be sent in a compound
// packet of at least two individual packets" (RFC 3550 section 6.1). rep.mu is held.
func (s *Stream) compound(now time.Time) []byte {
	r := &s.rep
	ssrc := s.send.ssrc.Load()
	var info *senderInfo
	if packets, bytes, ts := s.send.sent(now); packets > 0 {
		info = &senderInfo{ntp: ntpTime(now), rtp: ts, packets: uint32(packets), bytes: uint32(bytes)}
	}
	var block *reportBlock
	if b, ok := s.recv.block(); ok {
		if r.srSSRC == b.ssrc && !r.srAt.IsZero() {
			b.lsr = r.srNTP
			b.dlsr = uint32(int64(now.Sub(r.srAt)) * 65536 / int64(time.Second))
		}
		block = &b
	}
	r.buf = appendReport(r.buf[:0], ssrc, info, block)
	r.buf = appendCNAME(r.buf, ssrc, r.cname)
	return r.buf
}

// sent returns the sender's counts and the RTP timestamp that stands for now.
func (s *sender) sent(now time.Time) (packets, bytes uint64, ts uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts = s.ts
	if s.cfg.Audio == nil {
		ts = s.clock(now)
	}
	return s.stats.packets, s.stats.bytes, ts
}

// block begins a new reporting interval, if there is a source to report on.
func (r *receiver) block() (reportBlock, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.src.begun {
		return reportBlock{}, false
	}
	return r.src.block(), true
}

// receiveRTCP takes an authenticated compound packet.
func (s *Stream) receiveRTCP(now time.Time, p []byte) {
	r := &s.rep
	remote := s.remote.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now, r.local, r.byes = now, s.send.ssrc.Load(), r.byes[:0]
	if !parseRTCP(p, r) {
		r.malformed++
		return
	}
	r.got++
	for _, ssrc := range r.byes {
		if ssrc == remote && r.bye.IsZero() {
			r.bye = now
			close(s.bye)
		}
	}
}

func (r *reporter) onSR(ssrc uint32, info senderInfo) {
	r.srSSRC, r.srNTP, r.srAt = ssrc, middle(info.ntp), r.now
}

// onBlock takes what the peer says about our packets. The round trip is
// A - LSR - DLSR (RFC 3550 section 6.4.1).
func (r *reporter) onBlock(_ uint32, b reportBlock) {
	if b.ssrc != r.local {
		return
	}
	r.remoteLost, r.remoteLoss = int64(b.lost), float64(b.fraction)/256
	r.remoteJitter = time.Duration(b.jitter) * time.Second / receiveClock
	r.lastReport = r.now
	if b.lsr == 0 {
		return
	}
	ticks := int32(middle(ntpTime(r.now)) - b.lsr - b.dlsr)
	// The clocks' resolution may make a short one negative.
	if rtt := time.Duration(max(ticks, 0)) * time.Second / 65536; ticks > -65536/10 && rtt <= maxRTT {
		r.rtt = max(rtt, time.Microsecond)
	}
}

func (r *reporter) onBye(ssrc uint32) {
	if len(r.byes) < cap(r.byes) {
		r.byes = append(r.byes, ssrc)
	}
}

// Stats is a snapshot of the stream's counters.
func (s *Stream) Stats() StreamStats {
	var st StreamStats
	s.send.mu.Lock()
	st.Codec = s.send.cfg.Send
	st.PacketsSent, st.BytesSent = s.send.stats.packets, s.send.stats.bytes
	st.DroppedWriter, st.FirstSent = s.send.stats.droppedWriter, s.send.stats.first
	s.send.mu.Unlock()
	st.LocalSSRC, st.RemoteSSRC = s.send.ssrc.Load(), s.remote.Load()

	r := &s.recv
	r.mu.Lock()
	c := r.stats
	st.PacketsReceived, st.BytesReceived = c.packets, c.bytes
	st.Duplicates, st.Late, st.Concealed = c.duplicates, c.late, c.concealed
	st.DroppedReader, st.DroppedPayload = c.droppedReader, c.droppedPayload
	st.DroppedSource, st.DroppedDTMF, st.Malformed = c.droppedSource, c.droppedDTMF, c.malformed
	st.FirstFrame, st.LastReceived = c.first, c.last
	st.Lost, st.SourceChanges = r.src.lost(), r.src.changes
	st.Jitter = r.src.jitterTime(receiveClock)
	if r.buf != nil {
		st.Delay = r.buf.Stats().Delay
	}
	r.mu.Unlock()

	p := &s.rep
	p.mu.Lock()
	st.RTT, st.RemoteJitter, st.RemoteLost, st.RemoteLoss = p.rtt, p.remoteJitter, p.remoteLost, p.remoteLoss
	st.LastReport, st.ReportsSent, st.ReportsReceived = p.lastReport, p.sent, p.got
	st.Malformed += p.malformed
	st.Collisions, st.Bye = p.collisions, p.bye
	p.mu.Unlock()
	return st
}
