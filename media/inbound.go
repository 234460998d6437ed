package media

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const maxEarly = 16 // RTP packets held until there are keys and a stream; more push out the oldest

// inbound is the receiving direction; its mutex guards all.
type inbound struct {
	mu      sync.Mutex
	ready   bool // keys are there
	closed  bool
	srtp    *srtp.Context  // nil: plain
	hdr     rtp.Header     // of the packet in hand
	sources sources        // plain RTP: who may send
	from    netip.AddrPort // of the last authenticated packet
	control netip.AddrPort // the same on the separate RTCP path
	ssrcs   int            // with SRTP state
	streams []*Stream
	early   []earlyPacket

	flushing bool // what was held is being delivered
}

type earlyPacket struct {
	p    []byte
	from netip.AddrPort
}

// receive takes a datagram of the RTP path. The path calls it one at a time.
func (t *Transport) receive(p []byte, from netip.AddrPort) {
	t.count.packetsReceived.Add(1)
	t.count.bytesReceived.Add(uint64(len(p)))
	from = unmap(from)
	switch classify(p) {
	case kindDTLS:
		t.receiveDTLS(p, from)
	case kindRTP:
		t.receiveRTP(p, from)
	case kindRTCP:
		t.receiveRTCP(p, from, t.rtp)
	default:
		t.count.droppedUnknown.Add(1)
	}
}

// receiveControl takes a datagram of the separate RTCP path.
func (t *Transport) receiveControl(p []byte, from netip.AddrPort) {
	t.count.packetsReceived.Add(1)
	t.count.bytesReceived.Add(uint64(len(p)))
	if classify(p) != kindRTCP || t.noRTCP {
		t.count.droppedUnknown.Add(1)
		return
	}
	t.receiveRTCP(p, unmap(from), t.rtcp)
}

func (t *Transport) receiveDTLS(p []byte, from netip.AddrPort) {
	if t.facade == nil {
		t.count.droppedUnknown.Add(1)
		return
	}
	t.count.dtls.Add(1)
	if !t.facade.push(p, from) {
		return
	}
	// The handshake goes where the peer's came from last: behind a NAT that is not
	// what SDP said, and no answer would ever arrive there. Until the certificate is
	// verified nothing but DTLS follows; afterwards only authenticated SRTP moves us.
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if !t.in.ready {
		t.retarget(t.rtp, from)
	}
}

// receiveRTP checks a packet, and hands it to its stream.
func (t *Transport) receiveRTP(p []byte, from netip.AddrPort) {
	t.in.mu.Lock()
	if t.in.closed {
		t.in.mu.Unlock()
		return
	}
	if !t.in.ready || len(t.in.streams) == 0 || t.in.flushing {
		t.hold(p, from)
		t.in.mu.Unlock()
		return
	}
	t.deliver(time.Now(), p, from)
	t.in.mu.Unlock()
}

// flush hands on what was held, when there are keys and a stream. What comes
// meanwhile is held behind it: one goroutine at a time delivers. in.mu is held.
func (t *Transport) flush() {
	if !t.in.ready || len(t.in.streams) == 0 || t.in.flushing {
		return
	}
	t.in.flushing = true
	for len(t.in.early) > 0 {
		e := t.in.early[0]
		t.in.early = t.in.early[1:]
		t.deliver(time.Now(), e.p, e.from)
	}
	t.in.early, t.in.flushing = nil, false
}

// hold keeps a copy of a packet that came before the keys or the stream: the
// peer may have finished the handshake a round trip before us. in.mu is held.
func (t *Transport) hold(p []byte, from netip.AddrPort) {
	if len(t.in.early) == maxEarly {
		copy(t.in.early, t.in.early[1:])
		t.in.early = t.in.early[:maxEarly-1]
		t.count.droppedEarly.Add(1)
	}
	t.in.early = append(t.in.early, earlyPacket{append([]byte(nil), p...), from})
}

// deliver decrypts p in place. in.mu is held, and let go for the stream.
func (t *Transport) deliver(now time.Time, p []byte, from netip.AddrPort) {
	n, ok := headerLen(p)
	if !ok {
		t.count.droppedUnknown.Add(1)
		return
	}
	ssrc := binary.BigEndian.Uint32(p[8:])
	s := t.streamFor(p[1]&0x7f, ssrc)
	if s == nil {
		return // the last stream was closed while this waited
	}
	if t.in.srtp == nil {
		ok, moved := t.in.sources.rtp(now, from, ssrc, s.agreed(p[1]&0x7f))
		if !ok {
			t.count.droppedSource.Add(1)
			return
		}
		if _, err := t.in.hdr.Unmarshal(p); err != nil {
			t.count.droppedUnknown.Add(1)
			return
		}
		if moved {
			t.retarget(t.rtp, from)
		}
	} else if p, ok = t.open(p, ssrc, from); !ok {
		return
	}
	t.count.received(now)
	payload := p[n:]
	if t.in.hdr.Padding {
		if payload, ok = unpad(payload); !ok {
			s.malformed()
			return
		}
	}
	t.in.mu.Unlock()
	defer t.in.mu.Lock()
	s.receive(now, &t.in.hdr, payload) // hdr belongs to whoever delivers: the path's reader, or flush
}

// open authenticates and decrypts an SRTP packet in place. in.mu is held.
func (t *Transport) open(p []byte, ssrc uint32, from netip.AddrPort) ([]byte, bool) {
	_, known := t.in.srtp.ROC(ssrc)
	if !known && t.in.ssrcs >= maxSSRCs {
		t.count.droppedSSRC.Add(1)
		return nil, false
	}
	p, err := t.in.srtp.DecryptRTP(p, p, &t.in.hdr)
	if err != nil {
		t.count.refused(err)
		return nil, false
	}
	if !known {
		t.in.ssrcs++
	}
	t.authenticated(from)
	return p, true
}

// authenticated notes a packet that nobody but the peer can have sent. in.mu is held.
func (t *Transport) authenticated(from netip.AddrPort) {
	if from != t.in.from {
		t.in.from = from
		t.retarget(t.rtp, from)
	}
	if t.linger == nil && t.dtls != nil {
		t.linger = time.AfterFunc(dtlsLinger, t.dtls.close)
	}
}

// retarget points a path without ICE at the peer's true source. in.mu is held.
func (t *Transport) retarget(path Path, to netip.AddrPort) {
	if r, ok := path.(retargeter); ok && to.IsValid() {
		t.count.retargets.Add(1)
		r.Retarget(to)
	}
}

// streamFor finds the stream of a packet: the one that has its SSRC, else the
// first that wants its payload type, else the first, which counts it. in.mu is held.
func (t *Transport) streamFor(pt uint8, ssrc uint32) *Stream {
	if len(t.in.streams) == 1 {
		return t.in.streams[0]
	}
	for _, s := range t.in.streams {
		if s.remote.Load() == ssrc {
			return s
		}
	}
	for _, s := range t.in.streams {
		if s.agreed(pt) {
			return s
		}
	}
	if len(t.in.streams) > 0 {
		return t.in.streams[0]
	}
	return nil
}

// receiveRTCP checks a compound packet and hands it to the streams.
func (t *Transport) receiveRTCP(p []byte, from netip.AddrPort, path Path) {
	t.in.mu.Lock()
	if !t.in.ready || t.in.closed {
		t.in.mu.Unlock()
		return // reports come again
	}
	if t.in.srtp == nil {
		if !t.in.sources.rtcp(from) {
			t.count.droppedSource.Add(1)
			t.in.mu.Unlock()
			return
		}
		if path != t.rtp && from != t.in.control && t.in.sources.sdp.IsValid() {
			t.in.control = from // symmetric RTCP (RFC 4961)
			t.retarget(path, from)
		}
	} else {
		ssrc := binary.BigEndian.Uint32(p[4:])
		_, known := t.in.srtp.Index(ssrc)
		if !known && t.in.ssrcs >= maxSSRCs {
			t.count.droppedSSRC.Add(1)
			t.in.mu.Unlock()
			return
		}
		var err error
		if p, err = t.in.srtp.DecryptRTCP(p, p, nil); err != nil {
			t.count.refused(err)
			t.in.mu.Unlock()
			return
		}
		if !known {
			t.in.ssrcs++
		}
		if path == t.rtp {
			t.authenticated(from)
		} else if from != t.in.control {
			t.in.control = from
			t.retarget(path, from)
		}
	}
	now := time.Now()
	t.count.received(now)
	var room [4]*Stream
	streams := append(room[:0], t.in.streams...)
	t.in.mu.Unlock()
	for _, s := range streams {
		s.receiveRTCP(now, p)
	}
}
