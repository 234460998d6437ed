package negotiate

import (
	"slices"
	"strconv"
	"strings"
)

const (
	telephoneEvent = "telephone-event" // RFC 4733
	eventsDTMF     = "0-15"            // digits 0-9, *, #, A-D
	firstDynamic   = 96                // RFC 3551 section 6
	lastDynamic    = 127
)

// staticCodec is the meaning of a payload type that needs no rtpmap (RFC 3551 section 6, table 4).
func staticCodec(pt uint8) (Codec, bool) {
	c := Codec{PayloadType: pt, ClockRate: 8000, Channels: 1}
	switch pt {
	case 0:
		c.Name = "PCMU"
	case 3:
		c.Name = "GSM"
	case 8:
		c.Name = "PCMA"
	case 9:
		c.Name = "G722"
	case 13:
		c.Name = "CN"
	case 18:
		c.Name = "G729"
	default:
		return Codec{}, false
	}
	return c, true
}

// key is what makes two formats the same codec.
func (c *Codec) key() string {
	return strings.ToLower(c.Name) + "/" + strconv.Itoa(c.ClockRate) + "/" + strconv.Itoa(max(c.Channels, 1))
}

func (c *Codec) isEvent() bool { return strings.EqualFold(c.Name, telephoneEvent) }

// readRTPMap reads "<payload type> <name>/<clock>[/<channels>]".
func (a *attributes) readRTPMap(value string) {
	digits, rest, _ := strings.Cut(value, " ")
	pt, err := strconv.ParseUint(digits, 10, 7)
	f := strings.Split(strings.TrimSpace(rest), "/")
	if err != nil || len(f) < 2 || len(f) > 3 || !isToken(f[0]) {
		return
	}
	clock, err := strconv.ParseUint(f[1], 10, 31)
	if err != nil || clock == 0 {
		return
	}
	c := Codec{Name: f[0], PayloadType: uint8(pt), ClockRate: int(clock), Channels: 1}
	if len(f) == 3 {
		n, err := strconv.ParseUint(f[2], 10, 8)
		if err != nil || n == 0 {
			return
		}
		c.Channels = int(n)
	}
	// "Even though the actual sampling rate for G.722 audio is 16,000 Hz, the RTP
	// clock rate for the G722 payload format is 8,000 Hz" (RFC 3551 section
	// 4.5.2): some phones write 16000 and mean the same.
	if strings.EqualFold(c.Name, "G722") && c.ClockRate == 16000 {
		c.ClockRate = 8000
	}
	if _, twice := a.rtpmap[c.PayloadType]; !twice {
		a.rtpmap[c.PayloadType] = c
	}
}

func (a *attributes) readFMTP(value string) {
	digits, rest, _ := strings.Cut(value, " ")
	pt, err := strconv.ParseUint(digits, 10, 7)
	if rest = strings.TrimSpace(rest); err != nil || len(rest) > maxFMTP || !isLine(rest) {
		return
	}
	if _, twice := a.fmtp[uint8(pt)]; !twice {
		a.fmtp[uint8(pt)] = rest
	}
}

// codecs are the m-line's formats in its order. A dynamic payload type
// without rtpmap stays, nameless.
func (a *attributes) codecs(formats []string) []Codec {
	var list []Codec
	for _, f := range formats {
		pt, err := strconv.ParseUint(f, 10, 7)
		if err != nil || slices.ContainsFunc(list, func(c Codec) bool { return c.PayloadType == uint8(pt) }) {
			continue
		}
		c, ok := a.rtpmap[uint8(pt)]
		if !ok {
			if c, ok = staticCodec(uint8(pt)); !ok {
				c = Codec{PayloadType: uint8(pt)}
			}
		}
		c.FMTP = a.fmtp[c.PayloadType]
		list = append(list, c)
	}
	return list
}

// common is what of the peer's list we can do: the peer's order, payload types
// and fmtp, our spelling of the name. Each codec of ours is taken once.
func common(theirs, ours []Codec) []Codec {
	var list []Codec
	taken := make(map[string]bool, len(ours))
	for _, t := range theirs {
		key := t.key()
		i := slices.IndexFunc(ours, func(o Codec) bool { return o.key() == key })
		if i < 0 || taken[key] {
			continue
		}
		taken[key] = true
		t.Name, t.Channels = ours[i].Name, ours[i].Channels
		list = append(list, t)
	}
	return list
}

// events are the telephone-event formats of a list that go with the codecs
// agreed: those of a codec's clock rate (events "MUST use the same sequence
// number and timestamp base as the regular audio channel", RFC 4733 section
// 2.1), or, when there is none, the first of any rate, which is all that some
// peers have beside Opus.
func events(theirs, agreed []Codec) []Codec {
	var fit, other []Codec
	for _, t := range theirs {
		switch {
		case !t.isEvent():
		case slices.ContainsFunc(agreed, func(c Codec) bool { return c.ClockRate == t.ClockRate }):
			if !slices.ContainsFunc(fit, func(c Codec) bool { return c.ClockRate == t.ClockRate }) {
				fit = append(fit, t)
			}
		case other == nil:
			other = []Codec{t}
		}
	}
	if fit != nil {
		return fit
	}
	return other
}

// event is the payload type among events for a codec of this clock rate.
func event(events []Codec, clock int) uint8 {
	for _, e := range events {
		if e.ClockRate == clock {
			return e.PayloadType
		}
	}
	if len(events) > 0 {
		return events[0].PayloadType
	}
	return 0
}
