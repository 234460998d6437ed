package session_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
)

// softphone is a telephone with ICE and DTLS-SRTP, made of the rooms below
// session, so that a test decides when each of them begins.
type softphone struct {
	*phone
	gatherer *ice.Gatherer
	local    ice.Description
	cert     tls.Certificate
	audio    *media.Audio
	path     *ice.Path
	stream   *media.Stream
}

func (w *world) softphone() *softphone {
	w.Helper()
	s := &softphone{phone: w.phone(), audio: media.NewAudio(media.Format{Rate: 16000, Channels: 1})}
	w.Cleanup(func() { _ = s.audio.Close() })
	var err error
	if s.cert, err = media.NewCertificate(); err != nil {
		w.Fatal(err)
	}
	s.gatherer, s.local = w.gather("phone")
	return s
}

// gather gathers on a host.
func (w *world) gather(host string) (*ice.Gatherer, ice.Description) {
	w.Helper()
	g, err := ice.NewGatherer(w.Context(), &ice.Config{Network: w.hosts[host]})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = g.Close() })
	local, err := g.Local(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return g, local
}

// text is the SDP of a description, with a=setup and what else there is.
func (s *softphone) text(local ice.Description, setup string, extra ...string) []byte {
	s.w.Helper()
	print, err := media.FingerprintOf(s.cert)
	if err != nil {
		s.w.Fatal(err)
	}
	lines := append([]string{"a=rtcp-mux", "a=setup:" + setup, "a=fingerprint:" + print.String(), "a=ice-ufrag:" + local.Ufrag, "a=ice-pwd:" + local.Pwd}, extra...)
	for _, c := range local.Candidates {
		lines = append(lines, "a=candidate:"+strings.TrimPrefix(c.String(), "candidate:"))
	}
	return edit(s.w.T, s.sdp(lines...),
		"m=audio 4000 RTP/AVP", fmt.Sprintf("m=audio %d UDP/TLS/RTP/SAVPF", local.Default.Port()), "c=IN IP4 "+s.ip, "c=IN IP4 "+local.Default.Addr().String())
}

// remoteOf is the ICE description in an SDP.
func remoteOf(sdp []byte) ice.Description {
	d := ice.Description{Ufrag: strings.Join(attr(sdp, "ice-ufrag"), ""), Pwd: strings.Join(attr(sdp, "ice-pwd"), "")}
	for _, text := range attr(sdp, "candidate") {
		if c, err := ice.ParseCandidate(text); err == nil && c.Component == 1 {
			d.Candidates = append(d.Candidates, c)
		}
	}
	return d
}

// connect runs ICE and DTLS against what the peer's SDP says and starts the stream.
func (s *softphone) connect(ctx context.Context, role ice.Role, client bool, remote []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	path, err := s.gatherer.Connect(ctx, role, remoteOf(remote))
	if err != nil {
		return err
	}
	print, err := media.ParseFingerprint(strings.Join(attr(remote, "fingerprint"), ""))
	if err != nil {
		return err
	}
	transport, err := media.NewTransport(ctx, &media.TransportConfig{
		RTP: path, Keys: media.Keys{DTLS: &media.DTLS{Certificate: s.cert, Client: client, Remote: []media.Fingerprint{print}}},
	})
	if err != nil {
		return err
	}
	s.w.Cleanup(func() { _ = transport.Close() })
	pcmu := media.Codec{Name: "PCMU", ClockRate: 8000, Channels: 1}
	s.path = path
	s.stream, err = transport.NewStream(&media.StreamConfig{Audio: s.audio, Send: pcmu, Receive: []media.Codec{pcmu}, Sending: true, Receiving: true})
	return err
}

// take takes the answer to our offer and connects.
func (s *softphone) take(answer []byte) error {
	return s.connect(s.w.Context(), ice.Controlling, strings.Join(attr(answer, "setup"), "") == "passive", answer)
}

// talk lets the phone and the call hear a tone of each other.
func (s *softphone) talk(call *session.Call) {
	s.w.Helper()
	go s.audio.WritePCM(tone(1000, 2*time.Second))
	go call.Audio().WritePCM(tone(400, 2*time.Second))
	heard := make(chan float64, 1)
	go func() { heard <- listen(s.w.T, s.audio, 3*time.Second, 400)[0] }()
	if share := hears(s.w.T, call, 1000, 3*time.Second); share < 0.9 {
		s.w.Errorf("the call hears the phone with %.2f of the energy, want 0.9", share)
	}
	if share := <-heard; share < 0.9 {
		s.w.Errorf("the phone hears the call with %.2f of the energy, want 0.9", share)
	}
}
