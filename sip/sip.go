package sip

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Messages are sipgo's types, so that programs that already use its parser can
// read ours.
type (
	// Request is a SIP request as it was received or will be sent.
	Request = sipmsg.Request
	// Response is a SIP response as it was received or will be sent.
	Response = sipmsg.Response
	// Header is one header field of a message.
	Header = sipmsg.Header
)

// NewHeader makes a header field. Line breaks and other control characters in
// name or value are replaced by spaces, so that a value taken from elsewhere
// cannot add header fields of its own.
func NewHeader(name, value string) Header {
	return sipmsg.NewHeader(oneLine(name), oneLine(value))
}

// oneLine replaces control characters by spaces.
func oneLine(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, s)
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// Network is where an Agent gets its sockets and looks up names. The real
// network is the default; tests pass a simulated one.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	InterfaceAddrs() ([]netip.Prefix, error)
}

// Config says how an Agent listens and what it does with what comes in. The
// zero value listens on an ephemeral port of UDP and TCP and refuses calls.
// Listen copies it.
type Config struct {
	// Network gives sockets and names; nil is the machine's own network.
	Network Network

	// Listen lists the addresses to bind, such as "udp://127.0.0.1:0",
	// "tcp://[::1]:5060" or "tls://192.0.2.1:5061". A TCP and a UDP entry with port
	// 0 share one port number. Nil is "udp://:0" and "tcp://:0".
	Listen []string

	// TLS is for requests to URIs with ";transport=tls", which need no entry in
	// Listen, and for "tls://" entries, which need a certificate in it. It is copied;
	// nil trusts the machine's roots. Nothing older than TLS 1.2 is spoken. A server's
	// certificate must be for the host of the URI that was asked for, whatever
	// address that was found at (RFC 5922; ServerName is ignored), unless
	// InsecureSkipVerify forbids to look. Certificates prove who we are to servers that
	// ask, too.
	TLS *tls.Config

	// UserAgent is the User-Agent and Server header field; empty is "peercall",
	// "-" sends none.
	UserAgent string

	// Log receives what an operator should know; nil is silent.
	Log *slog.Logger

	// Trace is told of each message sent or received, in order per flow. It must
	// return quickly and must not call the Agent. It never sees a body, a
	// credential or a header field other than those of Trace.
	Trace func(Trace)

	// OnInvite is told of each INVITE that would begin a dialog. It is called on
	// a serial queue of that call's own and must return quickly; what takes
	// longer belongs on a goroutine of the receiver. Nil answers 480.
	OnInvite func(*IncomingInvite)

	// OnRequest is told of other requests outside dialogs. Nil answers OPTIONS
	// with 200 and other methods with 405 and Allow.
	OnRequest func(*ServerRequest)

	// Accept, when set, is asked about each request outside a dialog before
	// OnInvite and OnRequest: 0 accepts it, a status code refuses it with that
	// status, -1 drops it silently. It must return quickly.
	Accept func(*Request, netip.AddrPort) int

	// Supported lists the option tags that the receivers of OnInvite and of dialog
	// events implement. A request that requires another one is refused with 420.
	Supported []string

	// MaxTransactions bounds the server transactions alive at once. Requests over
	// it are answered 503 with Retry-After and no state. A call over UDP takes two for
	// 32 s after its requests, so that the default bears 250 calls per second. 0 is
	// 16384, negative is no limit.
	MaxTransactions int
}

// Trace is the summary of one message sent or received.
type Trace struct {
	Time          time.Time
	Sent          bool
	Transport     string // "UDP", "TCP" or "TLS"
	Local, Remote netip.AddrPort
	Start         string // "INVITE sip:bob@example.org" or "180 Ringing"
	CSeq          string // "1 INVITE"
	CallID        string
	Size          int // bytes on the wire
}

// Account is who we are towards a registrar or a proxy.
type Account struct {
	// AOR is the address of record, such as sip:alice@example.org.
	AOR URI
	// Username is the user name of the credentials; empty is AOR.User.
	Username string
	// Password answers challenges of Registrar and OutboundProxy only.
	Password string
	// Registrar is where REGISTER goes; the zero URI is sip:AOR.Host.
	Registrar URI
	// OutboundProxy is the first hop of all requests of the account; the zero URI
	// is Registrar.
	OutboundProxy URI
	// Expires is the lifetime asked for; 0 is an hour.
	Expires time.Duration
}

// LogValue leaves the password out.
func (acct Account) LogValue() slog.Value {
	password := ""
	if acct.Password != "" {
		password = "REDACTED"
	}
	return slog.GroupValue(
		slog.String("aor", acct.AOR.String()),
		slog.String("username", acct.username()),
		slog.String("password", password),
		slog.String("registrar", acct.registrar().String()),
		slog.String("outbound_proxy", acct.proxy().String()),
	)
}

// String leaves the password out.
func (acct Account) String() string { return acct.AOR.String() }

func (acct *Account) username() string {
	if acct.Username != "" {
		return acct.Username
	}
	return acct.AOR.User
}

// registrar is the URI that REGISTER is sent to.
func (acct *Account) registrar() URI {
	if acct.Registrar != (URI{}) {
		return acct.Registrar
	}
	return URI{Scheme: acct.AOR.Scheme, Host: acct.AOR.Host, Port: acct.AOR.Port}
}

// proxy is the first hop of the account's requests.
func (acct *Account) proxy() URI {
	if acct.OutboundProxy != (URI{}) {
		return acct.OutboundProxy
	}
	return acct.registrar()
}

// OutRequest is a request to send outside a dialog. What is left empty is filled
// in: To is the URI, From the account's address of record.
type OutRequest struct {
	Method      string
	URI         URI
	To, From    Address
	Account     *Account // whose credentials and outbound proxy are used; nil: sent directly
	Route       []URI    // instead of the account's outbound proxy
	Header      []Header
	ContentType string
	Body        []byte
}
