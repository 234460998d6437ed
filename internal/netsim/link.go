package netsim

import (
	"hash/fnv"
	"time"
)

// Link is one direction of a host's access link. The zero value passes
// everything at once.
type Link struct {
	Delay  time.Duration
	Jitter time.Duration // added to Delay, evenly spread; never reorders by itself
	Loss   float64       // 0..1. To a stream a lost segment is a delay, as a retransmission is
	Burst  float64       // above 1: losses come in runs of this mean length; Loss stays the mean share
	// Reorder is the share of datagrams held back for 40 ms plus Jitter, so
	// that later ones overtake them.
	Reorder float64
	Dup     float64       // share of datagrams that come twice
	Rate    int           // bits per second; 0: no limit
	Queue   time.Duration // what waits longer for Rate is lost; default 200 ms
	MTU     int           // longer datagrams are lost, as where fragments are; 0: none
	Down    bool
}

const (
	holdBack     = 40 * time.Millisecond // two packets of audio
	defaultQueue = 200 * time.Millisecond
	overhead     = 28 // bytes of IP and UDP header, for Rate
	firstRTO     = 200 * time.Millisecond
	maxRTO       = 60 * time.Second
)

// half is the state of one direction of a link.
type half struct {
	Link

	classes [classes]dice // one per class of datagram: how many STUN checks there are does not decide which RTP is lost
	stream  dice
	bad     [classes]bool // in a burst
	last    time.Time     // arrival of the newest in order
	free    time.Time     // when the sender of a limited link is idle again
}

func newHalf(seed uint64, name string) half {
	h := half{stream: newDice(seed, name+" tcp")}
	for i := range h.classes {
		h.classes[i] = newDice(seed, name+" udp "+string(rune('0'+i)))
	}
	return h
}

// fate is what happens to one datagram on one half of a link.
type fate struct {
	lost, dup bool
	delay     time.Duration
}

// datagram rolls the dice for one datagram. The number of rolls is always the
// same, so that the n-th of a class has the same fate whatever came before.
func (h *half) datagram(p []byte) fate {
	c := classOf(p)
	d := &h.classes[c]
	loss, jitter, reorder, dup := d.roll(), d.roll(), d.roll(), d.roll()

	now := time.Now()
	lost := h.Down || h.MTU > 0 && len(p) > h.MTU || h.loses(&h.bad[c], loss)
	wait, full := h.transmit(now, len(p)+overhead)
	at := now.Add(wait + h.Delay + time.Duration(jitter*float64(h.Jitter)))
	switch {
	case reorder < h.Reorder:
		at = at.Add(holdBack + h.Jitter)
	case at.Before(h.last):
		at = h.last
	default:
		h.last = at
	}
	return fate{lost: lost || full, dup: dup < h.Dup, delay: at.Sub(now)}
}

// loses decides by the roll; with Burst it is a two-state Gilbert model.
func (h *half) loses(bad *bool, roll float64) bool {
	if h.Burst <= 1 || h.Loss <= 0 || h.Loss >= 1 {
		return roll < h.Loss
	}
	leave := 1 / h.Burst
	enter := leave * h.Loss / (1 - h.Loss)
	if *bad {
		*bad = roll >= leave
	} else {
		*bad = roll < enter
	}
	return *bad
}

// transmit is the time until size bytes have been put on a link with a rate.
func (h *half) transmit(now time.Time, size int) (wait time.Duration, full bool) {
	if h.Rate <= 0 {
		return 0, false
	}
	limit := h.Queue
	if limit == 0 {
		limit = defaultQueue
	}
	if h.free.Before(now) {
		h.free = now
	}
	if h.free.Sub(now) > limit {
		return 0, true
	}
	h.free = h.free.Add(time.Duration(size) * 8 * time.Second / time.Duration(h.Rate))
	return h.free.Sub(now), false
}

// segment is the delay of one segment of a stream, its retransmissions
// included. Order is kept by the connection.
func (h *half) segment(size int) time.Duration {
	d := h.Delay + time.Duration(h.stream.roll()*float64(h.Jitter))
	for rto := firstRTO; h.stream.roll() < h.Loss && d < maxRTO; rto *= 2 {
		d += rto
	}
	wait, full := h.transmit(time.Now(), size+overhead)
	if full { // the sender slows down rather than lose
		wait = max(time.Until(h.free), 0)
		h.free = h.free.Add(time.Duration(size) * 8 * time.Second / time.Duration(h.Rate))
	}
	return d + wait
}

// Classes of datagrams by their first byte (RFC 7983 section 7).
const (
	classSTUN = iota // and all else
	classDTLS
	classRTP // and RTCP
	classSIP
	classes
)

func classOf(p []byte) int {
	switch {
	case len(p) == 0:
		return classSTUN
	case p[0] >= 20 && p[0] <= 63:
		return classDTLS
	case p[0] >= 128 && p[0] <= 191:
		return classRTP
	case p[0] >= 'A' && p[0] <= 'z', p[0] == '\r':
		return classSIP
	}
	return classSTUN
}

// dice is a stream of random numbers of its own: roll n depends on the seed,
// the name and n only (splitmix64).
type dice struct{ state uint64 }

func newDice(seed uint64, name string) dice {
	h := fnv.New64a()
	h.Write([]byte(name))
	return dice{h.Sum64() ^ seed*0x9E3779B97F4A7C15}
}

// roll returns a number in [0, 1).
func (d *dice) roll() float64 {
	d.state += 0x9E3779B97F4A7C15
	z := d.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return float64((z^z>>31)>>11) / (1 << 53)
}
