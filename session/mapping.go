package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session/internal/negotiate"
	"github.com/peercall/peercall/sip"
)

// This file is the one place where the words of SDP become those of ice and media.

const sdpType = "application/sdp"

// ptime is how much sound we put into a packet.
const ptime = 20 * time.Millisecond

func newMachine(codecs []string, weakest negotiate.Profile, secure bool) *negotiate.Machine {
	cfg := negotiate.Config{DTMF: true, Weakest: weakest, PTime: ptime}
	if secure {
		cfg.SDESSuites = sdesSuites()
	}
	for _, name := range codecs {
		cfg.Codecs = append(cfg.Codecs, negotiate.Codec{Name: name, PayloadType: staticType(name), ClockRate: 8000, Channels: 1})
	}
	return negotiate.New(cfg, rand.Uint64()>>2) // "a numeric string": kept under 2^62 for peers with signed numbers
}

// staticType is the payload type of RFC 3551 section 6.
func staticType(name string) uint8 {
	switch name {
	case "PCMA":
		return 8
	case "G722":
		return 9
	}
	return 0 // PCMU
}

// localText is our side of the transport in the words of SDP.
func localText(d ice.Description, fingerprint string) negotiate.Local {
	l := negotiate.Local{Address: d.Default, RTCP: d.DefaultRTCP, Fingerprints: []string{fingerprint}, Mux: true}
	l.ICE = &negotiate.ICE{Ufrag: d.Ufrag, Pwd: d.Pwd, Lite: d.Lite}
	for _, c := range d.Candidates {
		l.ICE.Candidates = append(l.ICE.Candidates, strings.TrimPrefix(c.String(), "candidate:"))
	}
	return l
}

// remoteICE is the peer's ICE description. Candidates that make no sense to us
// are left out, as RFC 8839 section 5.1 wants.
func remoteICE(line *negotiate.Line) ice.Description {
	d := ice.Description{Ufrag: line.ICE.Ufrag, Pwd: line.ICE.Pwd, Lite: line.ICE.Lite, Default: line.Remote, DefaultRTCP: line.RemoteRTCP}
	for _, text := range line.ICE.Candidates {
		c, err := ice.ParseCandidate(text)
		if err != nil {
			continue
		}
		if c.Component == 1 {
			d.Candidates = append(d.Candidates, c)
		}
	}
	return d
}

func (ep *Endpoint) fingerprint() string {
	f, err := media.FingerprintOf(ep.cert)
	if err != nil {
		return "" // cannot be: NewCertificate made it
	}
	return f.String()
}

// keys are what protects a line.
func (ep *Endpoint) keys(line *negotiate.Line) (media.Keys, error) {
	switch line.Profile {
	case negotiate.Plain:
		return media.Keys{Plain: true}, nil
	case negotiate.DTLS:
		d := &media.DTLS{Certificate: ep.cert, Client: line.DTLSClient}
		for _, text := range line.Fingerprints {
			f, err := media.ParseFingerprint(text)
			if err == nil {
				d.Remote = append(d.Remote, f)
			}
		}
		if len(d.Remote) == 0 {
			return media.Keys{}, errors.New("session: the peer named no certificate fingerprint with a hash that we take")
		}
		return media.Keys{DTLS: d}, nil
	}
	if line.Profile == negotiate.SDES {
		return sdesKeys(line)
	}
	return media.Keys{}, fmt.Errorf("session: cannot protect media by %v", line.Profile)
}

// streamConfig is what a line's stream sends and takes.
func (c *Call) streamConfig(l *leg) *media.StreamConfig {
	line := &l.line
	sc := &media.StreamConfig{
		Audio: c.audio, Send: codec(line.Send), SendDTMF: line.SendDTMF, ReceiveDTMF: line.ReceiveDTMF, PTime: ptime,
		Sending: line.Sending && !c.held, Receiving: line.Receiving,
		OnDTMF: func(d media.DTMF) {
			if strings.ContainsRune("0123456789*#ABCD", d.Digit) {
				c.events.publish(DTMF{Digit: byte(d.Digit), Duration: d.Duration})
			}
		},
	}
	if line.PTime >= 10*time.Millisecond && line.PTime <= 60*time.Millisecond {
		sc.PTime = line.PTime
	}
	for _, r := range line.Receive {
		sc.Receive = append(sc.Receive, codec(r))
	}
	return sc
}

func codec(c negotiate.Codec) media.Codec {
	return media.Codec{Name: c.Name, PayloadType: c.PayloadType, ClockRate: c.ClockRate, Channels: c.Channels, FMTP: c.FMTP}
}

// audioLine is the one audio line that was agreed on.
func audioLine(p negotiate.Plan) (negotiate.Line, error) {
	l, ok := p.Audio()
	if !ok {
		return negotiate.Line{}, errors.New("session: the peer refused the audio")
	}
	return *l, nil
}

// defaultRemote is where a peer without ICE wants its media.
func (ep *Endpoint) defaultRemote(ctx context.Context, line *negotiate.Line) (netip.AddrPort, error) {
	if line.Host == "" {
		return line.Remote, nil
	}
	addrs, err := ep.network().LookupNetIP(ctx, "ip", line.Host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("session: the peer's media address: %w", err)
	}
	if len(addrs) == 0 {
		return netip.AddrPort{}, fmt.Errorf("session: the peer's media address %q has no IP address", line.Host)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), line.Remote.Port()), nil
}

// sameTransport reports whether two agreements of one dialog go over the same
// path with the same keys.
func sameTransport(a, b *negotiate.Line) bool {
	if (a.ICE == nil) != (b.ICE == nil) || a.Profile != b.Profile || a.Mux != b.Mux || a.DTLSClient != b.DTLSClient ||
		!slices.Equal(a.Fingerprints, b.Fingerprints) || a.LocalCrypto != b.LocalCrypto || a.RemoteCrypto != b.RemoteCrypto {
		return false
	}
	if a.ICE != nil {
		return a.ICE.Ufrag == b.ICE.Ufrag && a.ICE.Pwd == b.ICE.Pwd
	}
	return a.Remote == b.Remote && a.Host == b.Host && a.RemoteRTCP == b.RemoteRTCP
}

// message is what requests and responses have in common here.
type message interface {
	Body() []byte
	GetHeader(name string) sip.Header
}

// sdpBody is the session description of a message, or nil.
func sdpBody(m message) []byte {
	body := m.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if h := m.GetHeader("Content-Type"); h != nil {
		if t, _, err := mime.ParseMediaType(h.Value()); err != nil || t != sdpType {
			return nil
		}
	}
	return body
}
