package negotiate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestHostileSize(t *testing.T) {
	var candidates strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&candidates, "a=candidate:%d 1 udp %d 192.0.2.10 29586 typ host\n", i, i)
	}
	for _, tt := range []struct{ name, offer string }{
		{"giant", baresipOffer + strings.Repeat("a=x\n", 1<<18)},
		{"10,000 candidates", baresipOffer + candidates.String()},
		{"a long line", baresipOffer + "a=" + strings.Repeat("x", 5000) + "\n"},
		{"lines", baresipOffer + strings.Repeat("a=x\n", 3000)},
		{"m-lines", oldPhoneOffer + strings.Repeat("m=audio 0 RTP/AVP 0\n", 40)},
		{"formats", strings.Replace(oldPhoneOffer, " 101\n", strings.Repeat(" 101", 200)+"\n", 1)},
		{"NUL", strings.Replace(oldPhoneOffer, "s=call", "s=ca\x00ll", 1)},
		{"CR inside", strings.Replace(oldPhoneOffer, "s=call", "s=ca\rll", 1)},
		{"no type", oldPhoneOffer + "nonsense\n"},
		{"short line", oldPhoneOffer + "a\n"},
		{"two v=", oldPhoneOffer[4:]},
		{"port", strings.Replace(oldPhoneOffer, "11780", "118000", 1)},
		{"negative port", strings.Replace(oldPhoneOffer, "11780", "-1", 1)},
		{"port range", strings.Replace(oldPhoneOffer, "11780", "11780/x", 1)},
		{"no formats", strings.Replace(oldPhoneOffer, " 18 8 0 101", "", 1)},
		{"control characters in m=", strings.Replace(oldPhoneOffer, "18 8", "18 \x018", 1)},
		{"binary", strings.Repeat("\xff\xfe", 500)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(testConfig(), 1)
			_, err := m.Receive(text(tt.offer))
			r, ok := errors.AsType[*Refused](err)
			if !ok || r.Code != 400 {
				t.Fatalf("got %v, want a refusal with 400", err)
			}
		})
	}
}

func TestHostileCounts(t *testing.T) {
	offer := baresipOffer
	for i := range 200 {
		offer += fmt.Sprintf("a=candidate:%d 1 udp %d 192.0.2.10 29586 typ host\na=fingerprint:%s\n", i, i, print2)
	}
	_, line := accepts(t, New(testConfig(), 1), offer, iceLocal())
	if len(line.ICE.Candidates) != maxCandidates || len(line.Fingerprints) != maxFingerprints {
		t.Errorf("kept %d candidates and %d fingerprints", len(line.ICE.Candidates), len(line.Fingerprints))
	}
}

func TestHostileDuplicates(t *testing.T) {
	offer := strings.Replace(oldPhoneOffer, "18 8 0 101", "8 8 8 0 0 101 101 300 -1 x", 1) +
		"a=rtpmap:101 PCMU/8000\na=sendonly\na=recvonly\nc=IN IP4 198.51.100.1\nc=IN IP4 198.51.100.2\na=ptime:20\na=ptime:30\n"
	answer, line := accepts(t, New(testConfig(), 1), offer, testLocal())
	wantLines(t, answer, "m=audio 40000 RTP/AVP 8 0 101", "a=recvonly")
	if line.Remote.String() != "198.51.100.1:11780" || line.SendDTMF != 101 || line.PTime.Milliseconds() != 20 {
		t.Errorf("got %+v", line)
	}
}

// TestHostileEcho: what an answer repeats of an offer cannot become lines of its own.
func TestHostileEcho(t *testing.T) {
	offer := chromeOffer + "m=im\tage 1 udptl t38\na=mid:x y\n"
	if _, err := New(testConfig(), 1).Receive(text(offer)); err == nil {
		t.Error("a tab in a media name was taken")
	}
	offer = chromeOffer + "m=image 1 udptl t38\na=mid:x y\nm=application 1 DTLS/SCTP/<x> 5000\na=mid:\"\n"
	if _, err := New(testConfig(), 1).Receive(text(offer)); err == nil {
		t.Error("no proto was taken for one")
	}
	offer = chromeOffer + "m=image 1 udptl t38\na=mid:x y\nm=application 1 UDP/DTLS/SCTP webrtc-datachannel\na=mid:\"\n"
	answer, _ := accepts(t, New(testConfig(), 1), offer, iceLocal())
	wantLines(t, answer, "m=image 0 udptl t38", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel")
	wantNoLine(t, answer, "x y", "\"")
}

// TestLenient: small sins of real peers.
func TestLenient(t *testing.T) {
	for _, tt := range []struct{ name, offer string }{
		{"bare LF", oldPhoneOffer},
		{"no line end at the end", strings.TrimSuffix(oldPhoneOffer, "\n")},
		{"no t=", strings.Replace(oldPhoneOffer, "t=0 0\n", "", 1)},
		{"t= before c=", strings.Replace(strings.Replace(oldPhoneOffer, "t=0 0\n", "", 1), "c=", "t=0 0\nc=", 1)},
		{"a= before t=", strings.Replace(oldPhoneOffer, "t=0 0\n", "a=tool:x\nt=0 0\n", 1)},
		{"o= with a name of two words", strings.Replace(oldPhoneOffer, "o=root", "o=John Doe", 1)},
		{"a session id that is no number", strings.Replace(oldPhoneOffer, "17 42", "a17 42", 1)},
		{"a huge session id", strings.Replace(oldPhoneOffer, "17 42", "99999999999999999999999 42", 1)},
		{"odd bandwidth", strings.Replace(oldPhoneOffer, "t=0 0\n", "b=RR\nb=AS:x\nt=0 0\n", 1)},
		{"an unknown letter", strings.Replace(oldPhoneOffer, "t=0 0\n", "t=0 0\ny=0100000001\n", 1)},
		{"e= and p= in any order", strings.Replace(oldPhoneOffer, "c=", "p=+1\ne=a@b\nu=::not a url\ni=x\nc=", 1)},
		{"empty s=", strings.Replace(oldPhoneOffer, "s=call", "s=", 1)},
		{"empty lines at the end", oldPhoneOffer + "\n\n"},
		{"blanks behind values", strings.Replace(oldPhoneOffer, "telephone-event/8000", "telephone-event/8000 ", 1)},
		{"empty attribute", oldPhoneOffer + "a=\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, form := range []string{tt.offer, strings.ReplaceAll(tt.offer, "\n", "\r\n")} {
				m := New(testConfig(), 1)
				if _, err := m.Receive([]byte(form)); err != nil {
					t.Fatal(err)
				}
				_, plan, err := m.Accept(testLocal())
				if err != nil {
					t.Fatal(err)
				}
				if line, _ := plan.Audio(); line.Send.Name != "PCMA" || line.SendDTMF != 101 {
					t.Errorf("got %+v", line)
				}
			}
		})
	}
}
