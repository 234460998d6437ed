package negotiate_test

import (
	"fmt"
	"log"
	"net/netip"
	"testing"
	"time"

	"github.com/peercall/peercall/session/internal/negotiate"
)

func config() negotiate.Config {
	return negotiate.Config{
		Codecs: []negotiate.Codec{
			{Name: "G722", PayloadType: 9, ClockRate: 8000, Channels: 1},
			{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1},
		},
		DTMF: true, PTime: 20 * time.Millisecond,
	}
}

func local(addr string) negotiate.Local {
	return negotiate.Local{
		Address: netip.MustParseAddrPort(addr), Mux: true,
		Fingerprints: []string{"sha-256 A0:B1:C2:D3:E4:F5:06:17:28:39:4A:5B:6C:7D:8E:9F:A0:B1:C2:D3:E4:F5:06:17:28:39:4A:5B:6C:7D:8E:9F"},
	}
}

// Two machines agree on a call. The texts between them would travel in the
// bodies of an INVITE and its 200.
func Example() {
	alice, bob := negotiate.New(config(), 1), negotiate.New(config(), 2)
	offer, err := alice.Offer(local("192.0.2.1:40000"), negotiate.DTLS)
	if err != nil {
		log.Fatal(err)
	}
	wanted, err := bob.Receive(offer)
	if err != nil {
		log.Fatal(err) // a *Refused: the response to send
	}
	fmt.Println("bob is offered", wanted.Profile)
	answer, _, err := bob.Accept(local("198.51.100.2:50000"))
	if err != nil {
		log.Fatal(err)
	}
	plan, err := alice.Answer(answer)
	if err != nil {
		log.Fatal(err)
	}
	line, _ := plan.Audio()
	fmt.Println("alice sends", line.Send.Name, "to", line.Remote, "over", line.Profile)
	fmt.Println("RTCP on the same port:", line.Mux, "DTLS client:", line.DTLSClient)
	// Output:
	// bob is offered DTLS-SRTP
	// alice sends G722 to 198.51.100.2:50000 over DTLS-SRTP
	// RTCP on the same port: true DTLS client: false
}

// BenchmarkExchange is the whole offer/answer of one call, both sides.
func BenchmarkExchange(b *testing.B) {
	b.ReportAllocs()
	x, y := local("192.0.2.1:40000"), local("198.51.100.2:50000")
	for b.Loop() {
		alice, bob := negotiate.New(config(), 1), negotiate.New(config(), 2)
		offer, err := alice.Offer(x, negotiate.DTLS)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = bob.Receive(offer); err != nil {
			b.Fatal(err)
		}
		answer, _, err := bob.Accept(y)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = alice.Answer(answer); err != nil {
			b.Fatal(err)
		}
	}
}
