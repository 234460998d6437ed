package transport

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	for _, test := range []struct{ raw, start, cseq, callID string }{
		{"INVITE sip:bob@example.org SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: a@b\r\n\r\n", "INVITE sip:bob@example.org", "1 INVITE", "a@b"},
		{"SIP/2.0 180 Ringing\r\ni: x\r\ncseq :  7  BYE \r\n\r\n", "180 Ringing", "7  BYE", "x"},
		{"SIP/2.0 200 \r\n\r\nCSeq: 1 BODY\r\n\r\n", "200", "", ""},
		{"OPTIONS sip:a\x1b[31m SIP/2.0\r\nCall-ID: \u202ecba\xff\r\n\r\n", `OPTIONS sip:a\u001b[31m`, "", `\u202ecba\ufffd`},
		{"X " + strings.Repeat("y", 2000) + "\r\n\r\n", "X " + strings.Repeat("y", maxSummary-2) + "...", "", ""},
		{"\r\n\r\n", "", "", ""},
		{"no line", "", "", ""},
	} {
		start, cseq, callID := Packet{Raw: []byte(test.raw)}.Summary()
		if start != test.start || cseq != test.cseq || callID != test.callID {
			t.Errorf("%.60q: got %q, %q, %q, want %q, %q, %q", test.raw, start, cseq, callID, test.start, test.cseq, test.callID)
		}
	}
}

func TestVisible(t *testing.T) {
	if s := Visible("a\x1b[31m\u202e\nb\u00e9"); s != `a\u001b[31m\u202e\u000ab`+"\u00e9" {
		t.Errorf("got %q", s)
	}
}
