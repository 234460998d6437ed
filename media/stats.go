package media

import "time"

// TransportStats counts packets below the streams.
type TransportStats struct {
	PacketsSent, BytesSent         uint64 // datagrams of all kinds, protection included
	PacketsReceived, BytesReceived uint64
	Retargets                      uint64    // times the path followed the peer to a new source
	WriteErrors                    uint64    // datagrams that the path refused
	DTLS                           uint64    // DTLS datagrams received
	DroppedUnknown                 uint64    // neither DTLS, RTP nor RTCP; too short, too long
	DroppedAuth                    uint64    // SRTP or SRTCP that failed authentication
	DroppedReplay                  uint64    // packets seen before
	DroppedSource                  uint64    // plain packets from a source that may not send (DESIGN: symmetric RTP)
	DroppedEarly                   uint64    // before the keys or the stream, more than is held
	DroppedSSRC                    uint64    // more synchronisation sources than allowed
	LastReceived                   time.Time // last packet that was authenticated (plain: accepted)
}

// StreamStats describes one stream. Times are zero when the thing has not happened.
type StreamStats struct {
	Codec      Codec // what we send
	LocalSSRC  uint32
	RemoteSSRC uint32

	PacketsSent, BytesSent         uint64 // RTP packets and payload bytes
	PacketsReceived, BytesReceived uint64
	Lost                           uint64 // expected and not received (RFC 3550 appendix A.3), duplicates not counted against
	Duplicates                     uint64
	Late                           uint64 // came after their playout time
	Concealed                      uint64 // samples made up for lost packets, at the codec's rate
	DroppedReader                  uint64 // samples that nobody read in time, at the Audio's rate
	DroppedWriter                  uint64 // samples written while Sending was false
	DroppedPayload                 uint64 // packets with a payload type that was not agreed
	DroppedSource                  uint64 // packets of another SSRC than the current one
	Malformed                      uint64 // RTP headers or RTCP packets that make no sense
	DroppedDTMF                    uint64 // telephone events dropped because they are not wanted or malformed
	SourceChanges                  uint64 // times the peer's SSRC changed
	Collisions                     uint64 // times we left our SSRC because the peer used the same

	Jitter time.Duration // interarrival jitter (RFC 3550 appendix A.8)
	Delay  time.Duration // playout delay of the jitter buffer

	// What the peer reports about our packets, by RTCP.
	RTT          time.Duration
	RemoteJitter time.Duration
	RemoteLost   int64   // cumulative, may be negative (duplicates)
	RemoteLoss   float64 // fraction of the last interval, 0 to 1
	LastReport   time.Time

	ReportsSent, ReportsReceived uint64

	FirstSent    time.Time // first RTP packet sent
	FirstFrame   time.Time // first decoded sound handed to the Audio
	LastReceived time.Time // last accepted RTP packet
	Bye          time.Time // RTCP BYE of the current source
}
