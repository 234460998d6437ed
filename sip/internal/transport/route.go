package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
)

const (
	udpMax      = 1300             // RFC 3261 section 18.1.1
	connectTry  = time.Second      // how long TCP may take when UDP would do
	denyFor     = 10 * time.Minute // a target without TCP is not asked again
	denyEntries = 1024
	sipPort     = 5060
	sipsPort    = 5061 // "5061 for TLS" (RFC 3261 section 18.2.1)
)

// Target is a next hop with its address resolved.
type Target struct {
	Addr      netip.AddrPort
	Transport string // "UDP", "TCP" or "TLS"
	// Pinned forbids the change from UDP to TCP for large requests: the URI
	// says transport=udp, or the flow is an outbound or NATed one.
	Pinned bool
	Domain string // over TLS: whom the certificate must name
}

// Query is what of a URI decides where a request goes.
type Query struct {
	Scheme    string // "sip" when empty
	Host      string // name or address, IPv6 with or without brackets
	Domain    string // over TLS: whom the certificate must name, when it is not Host
	Port      uint16 // 0: the default of the transport
	Transport string // the transport parameter, or empty
}

// Flow gives a flow to target; its Transport may be in any case. A connection is used
// again or made; ctx bounds the connect.
func (t *Transport) Flow(ctx context.Context, target Target) (Flow, error) {
	switch {
	case !target.Addr.IsValid():
		return nil, errors.New("sip: a flow to no address")
	case strings.EqualFold(target.Transport, "UDP"):
		return t.udpTo(target.Addr)
	case strings.EqualFold(target.Transport, "TCP"):
		return t.tcpTo(ctx, target.Addr)
	case strings.EqualFold(target.Transport, "TLS"):
		return t.connTo(ctx, connKey{unmap(target.Addr), true, strings.ToLower(target.Domain)})
	default:
		return nil, fmt.Errorf("sip: transport %q is not supported", target.Transport)
	}
}

// fallback remembers the targets that took no TCP.
type fallback struct {
	mu    sync.Mutex
	until map[netip.AddrPort]time.Time
}

func (b *fallback) denied(a netip.AddrPort, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.until[a]
	if ok && !now.Before(until) {
		delete(b.until, a)
		return false
	}
	return ok
}

func (b *fallback) deny(a netip.AddrPort, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = make(map[netip.AddrPort]time.Time)
	}
	if len(b.until) >= denyEntries {
		for a, until := range b.until {
			if !now.Before(until) {
				delete(b.until, a)
			}
		}
		if len(b.until) >= denyEntries {
			clear(b.until)
		}
	}
	b.until[a] = now.Add(denyFor)
}

// ForRequest gives the flow for a request of size bytes. "If a request is within
// 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU
// is unknown, the request MUST be sent using an RFC 2914 congestion controlled
// transport protocol, such as TCP" (RFC 3261 section 18.1.1): such a request to a
// UDP target that is not Pinned goes by TCP when that connects within a second,
// else by UDP after all, for ten minutes without another try.
func (t *Transport) ForRequest(ctx context.Context, target Target, size int) (Flow, error) {
	if size <= udpMax || target.Pinned || !strings.EqualFold(target.Transport, "UDP") || t.fallback.denied(target.Addr, time.Now()) {
		return t.Flow(ctx, target)
	}
	short, cancel := context.WithTimeout(ctx, connectTry)
	defer cancel()
	f, err := t.tcpTo(short, target.Addr)
	if err == nil {
		return f, nil
	}
	if ctx.Err() != nil || t.closed() {
		return nil, err // the caller's end says nothing about the target
	}
	t.fallback.deny(target.Addr, time.Now())
	return t.udpTo(target.Addr)
}

// ForResponse gives the flow for a response to in: in.Flow, or, when that was a
// connection that is gone, one to the top Via's received address and sent-by
// port (RFC 3261 section 18.2.2).
func (t *Transport) ForResponse(ctx context.Context, in Inbound) (Flow, error) {
	f, ok := in.Flow.(*tcpFlow)
	if !ok || f.open() {
		return in.Flow, nil
	}
	key := connKey{secure: f.key.secure}
	port := sipPort
	if key.secure {
		port = sipsPort
	}
	if req, ok := in.Msg.(*sipmsg.Request); ok && req.Via() != nil {
		key.domain = domainOf(req.Via().Host)
		if req.Via().Port > 0 {
			port = req.Via().Port
		}
	}
	if !key.secure {
		key.domain = ""
	}
	key.remote = unmap(netip.AddrPortFrom(in.Source.Addr(), uint16(port)))
	return t.connTo(ctx, key)
}

// Resolve lists the addresses of a next hop in the order to try, at least one:
// numeric hosts, else Network.LookupNetIP; addresses of a family we have no
// socket for are left out.
func (t *Transport) Resolve(ctx context.Context, q Query) ([]Target, error) {
	if q.Scheme != "" && !strings.EqualFold(q.Scheme, "sip") {
		if strings.EqualFold(q.Scheme, "sips") {
			return nil, errors.New(`sip: sips: is not supported, as nobody can promise TLS on the hops beyond the next; write sip: and ";transport=tls"`)
		}
		return nil, fmt.Errorf("sip: scheme %q is not supported", q.Scheme)
	}
	target := Target{Transport: strings.ToUpper(q.Transport)}
	switch target.Transport {
	case "UDP":
		target.Pinned = true
	case "TCP":
	case "TLS":
		target.Domain = domainOf(cmp.Or(q.Domain, q.Host))
	case "":
		// "If the TARGET is a numeric IP address ... the client SHOULD use UDP for a SIP
		// URI" (RFC 3263 section 4.1); so it is without NAPTR.
		target.Transport = "UDP"
		if len(t.udp) == 0 {
			target.Transport = "TCP"
		}
	default:
		return nil, fmt.Errorf("sip: transport %q is not supported", q.Transport)
	}
	port := q.Port
	if port == 0 {
		port = sipPort
		if target.Transport == "TLS" {
			port = sipsPort
		}
	}
	host := q.Host
	if strings.HasPrefix(host, "[") {
		host = strings.Trim(host, "[]")
	}
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if host == "" {
		return nil, errors.New("sip: resolve: no host")
	} else if addrs, err = t.cfg.Network.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, ".")); err != nil {
		return nil, fmt.Errorf("sip: resolve %s: %w", host, err)
	}
	var targets []Target
	for _, a := range addrs {
		if a = a.Unmap(); t.reaches(target.Transport, a) {
			target.Addr = netip.AddrPortFrom(a, port)
			targets = append(targets, target)
		}
	}
	if len(targets) == 0 {
		return nil, fmt.Errorf("sip: resolve %s: none of %v can be reached over %s from here", host, addrs, target.Transport)
	}
	return targets, nil
}

// reaches tells whether we have a socket for the family of a; a connection needs none.
func (t *Transport) reaches(transport string, a netip.Addr) bool {
	some := transport == "UDP"
	for _, l := range t.listeners {
		if l.name() != transport {
			continue
		}
		some = true
		if serves(l.local.Addr(), a) > 0 {
			return true
		}
	}
	if !some {
		return true
	}
	for _, s := range t.udp {
		if serves(s.local.Addr(), a) > 0 {
			return true
		}
	}
	return false
}

// SentBy is the address for the Via (and Contact) of what goes out on f: our
// address on the flow, with the port we listen on for that transport.
func (t *Transport) SentBy(f Flow) netip.AddrPort {
	local := f.Local()
	if !f.Reliable() {
		return local
	}
	var best netip.AddrPort
	score := 0
	for _, l := range t.listeners {
		if l.name() != f.Transport() {
			continue
		}
		n := serves(l.local.Addr(), local.Addr())
		if l.local.Addr() == local.Addr() {
			n = 4
		}
		if n > score {
			best, score = l.local, n
		}
	}
	if score < 2 {
		return local
	}
	return netip.AddrPortFrom(local.Addr(), best.Port())
}

// localAddrs remembers which of our addresses the machine uses towards a remote one, for
// sockets bound to the unspecified address.
type localAddrs struct {
	mu    sync.Mutex
	known map[netip.Addr]localAddr
}

type localAddr struct {
	addr netip.Addr
	at   time.Time
}

const (
	localFor     = 5 * time.Second // networks change
	localEntries = 256
)

// find asks the machine's routes by connecting a datagram socket, which sends nothing.
func (l *localAddrs) find(t *Transport, remote netip.AddrPort) netip.Addr {
	now := time.Now()
	l.mu.Lock()
	known, ok := l.known[remote.Addr()]
	l.mu.Unlock()
	if ok && now.Sub(known.at) < localFor {
		return known.addr
	}
	c, err := t.cfg.Network.Dial(context.Background(), "udp", remote.String())
	if err != nil {
		t.log("find the local address", "remote", remote, "err", err)
		return netip.Addr{}
	}
	addr := addrPort(c.LocalAddr()).Addr()
	_ = c.Close()
	if addr.IsUnspecified() {
		return netip.Addr{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= localEntries {
		l.known = make(map[netip.Addr]localAddr)
	}
	l.known[remote.Addr()] = localAddr{addr, now}
	return addr
}
