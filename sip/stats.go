package sip

// Stats counts what an Agent did since Listen.
type Stats struct {
	Received, Sent  uint64 // messages
	Retransmissions uint64 // sent again by our timers
	Absorbed        uint64 // received again and kept from the user

	// Dropped messages, by cause.
	DroppedMalformed uint64 // not SIP, or without what RFC 3261 section 8.1.1 requires
	DroppedPolicy    uint64 // Config.Accept returned -1
	DroppedStray     uint64 // responses and ACKs that belong to nothing
	Overload         uint64 // answered 503 because of MaxTransactions

	ClientTransactions, ServerTransactions int // alive now
	Dialogs                                int // alive now
}
