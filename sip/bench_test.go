package sip

import (
	"context"
	"strings"
	"testing"
)

// BenchmarkCallSignalling is the signalling of one call between two agents on
// loopback UDP: INVITE with SDP, 200 with SDP, ACK, BYE, 200.
func BenchmarkCallSignalling(b *testing.B) {
	sdp := []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 9 101\r\n" +
		strings.Repeat("a=rtpmap:101 telephone-event/8000\r\n", 6))
	bob, err := Listen(b.Context(), &Config{Listen: []string{"udp://127.0.0.1:0"}, MaxTransactions: -1, OnInvite: func(in *IncomingInvite) {
		_ = in.Respond(200, "", "application/sdp", sdp)
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer bob.Close()
	alice, err := Listen(b.Context(), &Config{Listen: []string{"udp://127.0.0.1:0"}})
	if err != nil {
		b.Fatal(err)
	}
	defer alice.Close()
	at, _ := bob.Addr("udp")
	target := URI{Scheme: "sip", User: "bob", Host: "127.0.0.1", Port: at.Port()}
	from := Address{URI: URI{Scheme: "sip", User: "alice", Host: "127.0.0.1"}}
	failed := make(chan error, 1)
	done := make(chan struct{}, 1)
	b.ReportAllocs()
	for b.Loop() {
		_, err := alice.Invite(&OutRequest{URI: target, From: from, ContentType: "application/sdp", Body: sdp}, func(ev InviteEvent) {
			switch ev := ev.(type) {
			case Answered:
				if err := ev.Dialog.Ack("", nil); err != nil {
					failed <- err
				}
				go func() {
					if err := ev.Dialog.Bye(context.Background()); err != nil {
						failed <- err
					}
					done <- struct{}{}
				}()
			case Failed:
				failed <- ev.Err
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		select {
		case <-done:
		case err := <-failed:
			b.Fatal(err)
		}
	}
}
