package transport

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Packet is a message on its way, for Config.Trace. Raw is valid during the
// call only.
type Packet struct {
	Time time.Time
	Sent bool
	Flow Flow
	Raw  []byte
}

const maxSummary = 512 // bytes of each part of a summary

// Summary is what a trace may show of the message, escaped by Visible: the start
// line without the version ("INVITE sip:bob@example.org", "180 Ringing"), CSeq and
// Call-ID.
func (p Packet) Summary() (start, cseq, callID string) {
	line, n, ok := cutLine(p.Raw)
	if !ok {
		return "", "", ""
	}
	for rest := p.Raw[n:]; cseq == "" || callID == ""; rest = rest[n:] {
		var field []byte
		if field, n, ok = cutLine(rest); !ok || len(field) == 0 {
			break
		}
		name, value, ok := bytes.Cut(field, []byte(":"))
		if !ok {
			continue
		}
		switch nameID(bytes.TrimRight(name, " \t")) {
		case hCSeq:
			cseq = visible(trim(value))
		case hCallID:
			callID = visible(trim(value))
		}
	}
	line = bytes.TrimSuffix(bytes.TrimPrefix(line, []byte("SIP/2.0 ")), []byte(" SIP/2.0"))
	return visible(trim(line)), cseq, callID
}

func visible(b []byte) string {
	if len(b) > maxSummary {
		return Visible(string(b[:maxSummary])) + "..."
	}
	return Visible(string(b))
}

// Visible escapes what a terminal or a log would obey.
func Visible(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden are the C0 and C1 controls, what separates lines or turns the direction of
// text, and what is no UTF-8.
func hidden(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r <= 0x9f:
		return true
	case r == 0x061c, 0x200e <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		return true
	}
	return r == utf8.RuneError
}
