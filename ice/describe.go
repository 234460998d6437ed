package ice

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

// describeLocal makes the candidates of what was gathered.
func (g *Gatherer) describeLocal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := foundations{}
	d := Description{}
	if !g.cfg.RelayOnly {
		for _, b := range g.bases {
			d.Candidates = append(d.Candidates, b.candidate(f))
		}
		for i, r := range g.reflexive {
			same := func(o reflexive) bool { return o.b == r.b && o.mapped == r.mapped }
			if r.b == g.rtcp || r.mapped == r.b.addr || slices.ContainsFunc(g.reflexive[:i], same) {
				// "a candidate is redundant if and only if its transport
				// address and base equal those of another candidate" (RFC 8445
				// section 5.1.3).
				continue
			}
			d.Candidates = append(d.Candidates, Candidate{
				Foundation: f.of(ServerReflexive, r.b.addr.Addr(), r.url), Component: 1, Transport: "UDP",
				Priority: priority(ServerReflexive, r.b.pref, 1), Addr: r.mapped, Type: ServerReflexive, Related: r.b.addr,
			})
		}
		d.Default = g.defaultOf(g.bases[0])
		if g.rtcp != nil {
			d.DefaultRTCP = g.defaultOf(g.rtcp)
		}
	}
	for _, b := range g.relays {
		d.Candidates = append(d.Candidates, b.candidate(f))
	}
	if g.cfg.RelayOnly && len(g.relays) > 0 {
		d.Default = g.relays[0].addr
	}
	slices.SortStableFunc(d.Candidates, func(a, b Candidate) int { return cmp.Compare(b.Priority, a.Priority) })
	g.local = d
}

// defaultOf is where a peer without ICE finds a socket: the mapped address, or
// the host's. RFC 8445 section 5.1.4 would rather have the relayed one; that
// would send calls through a relay that do not need it (a deviation).
func (g *Gatherer) defaultOf(b *base) netip.AddrPort {
	for _, r := range g.reflexive {
		if r.b == b {
			return r.mapped
		}
	}
	return b.addr
}

// candidate is what a base itself is told as.
func (b *base) candidate(f foundations) Candidate {
	c := Candidate{Component: 1, Transport: "UDP", Addr: b.addr, Type: Host}
	if b.relay {
		c.Type = Relayed
		if !b.g.cfg.RelayOnly { // else the mapped address is not told
			c.Related = b.related
		}
	}
	c.Priority = priority(c.Type, b.pref, 1)
	c.Foundation = f.of(c.Type, b.addr.Addr(), b.server)
	return c
}

// foundations numbers what must differ: two candidates share a foundation if they
// have the same type, base address, server and transport (RFC 8445 section
// 5.1.1.3).
type foundations map[foundation]int

type foundation struct {
	t      CandidateType
	base   netip.Addr
	server string
}

func (f foundations) of(t CandidateType, base netip.Addr, server string) string {
	k := foundation{t, base, server}
	if f[k] == 0 {
		f[k] = len(f) + 1
	}
	return strconv.Itoa(f[k])
}
