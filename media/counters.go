package media

import (
	"sync/atomic"
	"time"
)

// counters are a transport's; each is written by whoever sees the packet.
type counters struct {
	packetsSent, bytesSent         atomic.Uint64
	packetsReceived, bytesReceived atomic.Uint64
	retargets, writeErrors, dtls   atomic.Uint64

	droppedUnknown, droppedAuth, droppedReplay, droppedSource, droppedEarly, droppedSSRC atomic.Uint64

	began        time.Time    // lastReceived counts from here: it must not follow a wall clock that is set
	lastReceived atomic.Int64 // nanoseconds; 0: nothing yet
}

func (c *counters) received(now time.Time) { c.lastReceived.Store(max(int64(now.Sub(c.began)), 1)) }

func (c *counters) snapshot() TransportStats {
	s := TransportStats{
		PacketsSent: c.packetsSent.Load(), BytesSent: c.bytesSent.Load(),
		PacketsReceived: c.packetsReceived.Load(), BytesReceived: c.bytesReceived.Load(),
		Retargets: c.retargets.Load(), WriteErrors: c.writeErrors.Load(), DTLS: c.dtls.Load(),
		DroppedUnknown: c.droppedUnknown.Load(), DroppedAuth: c.droppedAuth.Load(),
		DroppedReplay: c.droppedReplay.Load(), DroppedSource: c.droppedSource.Load(),
		DroppedEarly: c.droppedEarly.Load(), DroppedSSRC: c.droppedSSRC.Load(),
	}
	if ns := c.lastReceived.Load(); ns != 0 {
		s.LastReceived = c.began.Add(time.Duration(ns))
	}
	return s
}
