package digest_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/peercall/peercall/sip/internal/digest"
)

// A server challenges; the client's answer is granted once.
func Example() {
	server := digest.NewServer("example.org", 0)
	now, source := time.Now(), netip.MustParseAddr("192.0.2.1")
	challenge := server.Challenges(now, source, false)[0]

	answer, _ := digest.Answer(challenge, "bob", "zanzibar", "REGISTER", "sip:example.org", "0a4f113b", 1)

	password := func(string) (string, bool) { return "zanzibar", true }
	for range 2 {
		user, verdict := server.Check(now, source, answer.String(), "REGISTER", "sip:example.org", password)
		fmt.Printf("%q %v\n", user, verdict)
	}
	// Output:
	// "bob" granted
	// "" stale
}
