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

	lastReceived atomic.Int64 // Unix nanoseconds
}

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
		s.LastReceived = time.Unix(0, ns)
	}
	return s
}
