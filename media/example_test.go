package media_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/peercall/peercall/media"
)

// wire is one end of a path in memory.
type wire struct {
	out     chan<- []byte
	in      <-chan []byte
	handle  func([]byte, netip.AddrPort)
	started sync.Once
	done    chan struct{}
	closed  sync.Once
}

func newWire() (a, b *wire) {
	x, y := make(chan []byte, 64), make(chan []byte, 64)
	return &wire{out: x, in: y, done: make(chan struct{})}, &wire{out: y, in: x, done: make(chan struct{})}
}

func (w *wire) Write(p []byte) (int, error) {
	select {
	case w.out <- append([]byte(nil), p...):
	default: // full: a datagram is lost
	}
	return len(p), nil
}

func (w *wire) Handle(f func([]byte, netip.AddrPort)) {
	w.handle = f
	w.started.Do(func() {
		go func() {
			for {
				select {
				case p := <-w.in:
					w.handle(p, netip.AddrPort{})
				case <-w.done:
					return
				}
			}
		}()
	})
}

func (w *wire) Close() error {
	w.closed.Do(func() { close(w.done) })
	return nil
}

// Two transports verify each other's fingerprints, which signalling carried, and
// sound flows between them, encrypted.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	clock := media.NewClock(0)
	defer clock.Close()

	alicePath, bobPath := newWire()
	aliceCert, _ := media.NewCertificate()
	bobCert, _ := media.NewCertificate()
	aliceSays, _ := media.FingerprintOf(aliceCert)
	bobSays, _ := media.FingerprintOf(bobCert)

	var alice *media.Transport
	var wg sync.WaitGroup
	wg.Go(func() {
		alice, _ = media.NewTransport(ctx, &media.TransportConfig{RTP: alicePath, Clock: clock, Keys: media.Keys{
			DTLS: &media.DTLS{Certificate: aliceCert, Client: true, Remote: []media.Fingerprint{bobSays}},
		}})
	})
	bob, err := media.NewTransport(ctx, &media.TransportConfig{RTP: bobPath, Clock: clock, Keys: media.Keys{
		DTLS: &media.DTLS{Certificate: bobCert, Remote: []media.Fingerprint{aliceSays}},
	}})
	wg.Wait()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()
	defer alice.Close()
	fmt.Println(alice.Profile(), alice.Suite())

	pcmu := media.Codec{Name: "PCMU", PayloadType: 0, ClockRate: 8000}
	cfg := media.StreamConfig{Send: pcmu, Receive: []media.Codec{pcmu}, Sending: true, Receiving: true}
	cfg.Audio = media.NewAudio(media.Format{Rate: 8000})
	if _, err := alice.NewStream(&cfg); err != nil {
		fmt.Println(err)
		return
	}
	heard := media.NewAudio(media.Format{Rate: 8000})
	cfg.Audio = heard
	if _, err := bob.NewStream(&cfg); err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]int16, 160)
	n, err := heard.ReadPCM(buf)
	fmt.Println(n, err)
	// Output:
	// DTLS-SRTP AEAD_AES_128_GCM
	// 160 <nil>
}

func ExampleParseFingerprint() {
	_, err := media.ParseFingerprint("sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")
	fmt.Println(err)
	// Output: media: parse fingerprint: hash function "sha-1" not supported
}
