package ice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	gatherTimeout = 3 * time.Second
	stunTimeout   = 2 * time.Second
	maxServers    = 8
	defaultPort   = 3478 // RFC 8489 section 18.6, RFC 8656
)

// gather asks the servers, all at once, and then makes the description.
func (g *Gatherer) gather(ctx context.Context) {
	g.askAll(ctx)
	g.describeLocal()
	close(g.gathered)
	g.keepAlive()
}

// askAll asks every server, at most for gatherTimeout, and ends when the gatherer
// closes.
func (g *Gatherer) askAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	stop := make(chan struct{})
	var watch, wg sync.WaitGroup
	watch.Go(func() {
		select {
		case <-g.closing:
			cancel()
		case <-stop:
		}
	})
	for _, s := range g.cfg.Servers[:min(len(g.cfg.Servers), maxServers)] {
		wg.Go(func() { g.ask(ctx, s) })
	}
	wg.Wait()
	close(stop)
	watch.Wait()
}

// ask gathers the candidates that one server can give.
func (g *Gatherer) ask(ctx context.Context, s Server) {
	uri, err := parseServer(s.URL)
	if err != nil {
		g.fail(&ServerError{URL: s.URL, Err: err})
		return
	}
	addrs, err := g.resolve(ctx, uri.host)
	if err != nil {
		g.fail(&ServerError{URL: s.URL, Err: err})
		return
	}
	var wg sync.WaitGroup
	served := false
	for _, a := range addrs { // one address per family
		server := netip.AddrPortFrom(a, uri.port)
		allocated := false
		for _, b := range g.sockets() {
			if here := b.addr.Addr(); here.Is4() != a.Is4() || here.IsLoopback() && !a.IsLoopback() {
				continue
			}
			served = true
			if !g.cfg.RelayOnly {
				wg.Go(func() { g.askReflexive(ctx, b, server, s, uri.turn) })
			}
			if uri.turn && !allocated && b != g.rtcp {
				allocated = true
				wg.Go(func() { g.askRelay(ctx, b, server, s) })
			}
		}
	}
	if !served {
		g.fail(&ServerError{URL: s.URL, Err: errors.New("no socket can reach its addresses")})
	}
	wg.Wait()
}

// sockets are the bases that ask servers; the RTCP socket asks for its own
// default address.
func (g *Gatherer) sockets() []*base {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rtcp != nil {
		return append(slices.Clone(g.bases), g.rtcp)
	}
	return g.bases
}

func (g *Gatherer) askReflexive(ctx context.Context, b *base, server netip.AddrPort, s Server, turn bool) {
	mapped, err := b.bindingRequest(ctx, server)
	if err != nil {
		if !turn && !errors.Is(err, context.Canceled) { // a TURN server's reason comes with its allocation
			g.fail(serverError(s.URL, err))
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, r := range g.reflexive {
		if r.b == b && r.server == server {
			g.reflexive[i].mapped = mapped // asked again, see Renew
			return
		}
	}
	g.reflexive = append(g.reflexive, reflexive{b, server, mapped, s.URL})
}

func (g *Gatherer) askRelay(ctx context.Context, b *base, server netip.AddrPort, s Server) {
	r, err := b.allocate(ctx, server, s)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			g.fail(serverError(s.URL, err))
		}
		return
	}
	r.server, r.pref = s.URL, b.pref
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, o := range g.relays {
		if o.host == b && o.turnServer == server {
			o.mute() // or its last Refresh would end the new one
			g.relays[i], g.stale = r, append(g.stale, o)
			return
		}
	}
	g.relays = append(g.relays, r)
}

func serverError(url string, err error) *ServerError {
	if se, ok := errors.AsType[*ServerError](err); ok {
		se.URL = url
		return se
	}
	return &ServerError{URL: url, Err: err}
}

type serverURI struct {
	turn bool
	host string
	port uint16
}

// parseServer reads a URI of RFC 7064 or RFC 7065.
func parseServer(url string) (serverURI, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	u := serverURI{turn: strings.EqualFold(scheme, "turn"), port: defaultPort}
	if !ok || !u.turn && !strings.EqualFold(scheme, "stun") {
		return u, fmt.Errorf("scheme %q is not supported", scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	if query != "" && !(u.turn && strings.EqualFold(query, "transport=udp")) {
		return u, fmt.Errorf("%q is not supported", query)
	}
	if len(rest) > maxHost+8 {
		return u, errors.New("host name too long")
	}
	u.host = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]")
	if h, p, err := net.SplitHostPort(rest); err == nil {
		port, err := strconv.ParseUint(p, 10, 16)
		if err != nil || port == 0 {
			return u, fmt.Errorf("bad port %q", p)
		}
		u.host, u.port = h, uint16(port)
	}
	if u.host == "" {
		return u, errors.New("no host")
	}
	return u, nil
}

// resolve gives the first address of each family.
func (g *Gatherer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	all, err := g.net.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var one []netip.Addr
	for _, a := range all {
		a = a.Unmap()
		if !slices.ContainsFunc(one, func(b netip.Addr) bool { return a.Is4() == b.Is4() }) {
			one = append(one, a)
		}
	}
	if len(one) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	return one, nil
}
