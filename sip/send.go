package sip

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transaction"
	"github.com/peercall/peercall/sip/internal/transport"
)

// viaAddr reads the address of received and rport; what is missing is the
// sent-by's.
func viaAddr(received, rport, host string, port int) (netip.AddrPort, bool) {
	if received == "" && rport == "" {
		return netip.AddrPort{}, false
	}
	if received == "" {
		received = host
	}
	if rport != "" {
		n, err := strconv.ParseUint(rport, 10, 16)
		if err != nil {
			return netip.AddrPort{}, false
		}
		port = int(n)
	}
	ip, err := netip.ParseAddr(strings.Trim(received, "[]"))
	if err != nil || port <= 0 || port > 0xffff {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), true
}

// resolve finds the addresses of a next hop. old, which may be nil, is the flow that
// reached it before.
func (a *Agent) resolve(ctx context.Context, hop URI, old transport.Flow) ([]transport.Target, error) {
	q := transport.Query{Scheme: hop.Scheme, Host: hop.Host, Domain: hop.Host, Port: hop.Port}
	q.Transport, _ = hop.Param("transport")
	if maddr, ok := hop.Param("maddr"); ok && maddr != "" {
		q.Host = maddr
	}
	targets, err := a.tr.Resolve(ctx, q)
	if err != nil {
		return nil, &TransportError{Target: hop.String(), Err: err}
	}
	if _, numeric := hop.addr(); numeric && old != nil && transport.DomainOf(old) != "" {
		// A proxy names itself by its address in Record-Route. It is still who it was:
		// the same domain must prove so again.
		for i := range targets {
			if targets[i].Transport == "TLS" && targets[i].Addr == old.Remote() {
				targets[i].Domain = transport.DomainOf(old)
			}
		}
	}
	return targets, nil
}

// outbound is a request and which way it goes.
type outbound struct {
	req      *Request
	hop      URI
	flow     transport.Flow // tried first when not nil
	fixed    bool           // and nothing else
	acct     *Account       // whose credentials may answer the hop; nil: nobody's
	renumber func() uint32  // the CSeq number of another attempt
}

// sending is a request on its way to a hop: it keeps the addresses that are left
// to try. It belongs to one goroutine at a time.
type sending struct {
	outbound
	a        *Agent
	targets  []transport.Target
	target   transport.Target
	resolved bool
	tried    bool  // something was written once
	err      error // of the last attempt
}

var errNoTarget = errors.New("no address is left to try")

// next sends the request to the next address. before runs when the flow is known
// and the request complete; it may forbid the sending. on gets the events of the
// transaction. Several calls use the addresses one by one.
func (s *sending) next(ctx context.Context, before func() bool, on func(transaction.Event)) (*transaction.Client, error) {
	if !s.tried && s.startsOnFlow() {
		c, err := s.start(before, on)
		if err == nil || s.fixed || isFinal(err) {
			return c, err
		}
	}
	if s.fixed {
		return nil, s.failure(errNoTarget)
	}
	if !s.resolved {
		s.resolved = true
		var err error
		if s.targets, err = s.a.resolve(ctx, s.hop, s.flow); err != nil {
			return nil, err
		}
	}
	for len(s.targets) > 0 && ctx.Err() == nil {
		s.target, s.targets = s.targets[0], s.targets[1:]
		var err error
		if s.flow, err = s.a.tr.ForRequest(ctx, s.target, s.size()); err != nil {
			s.err = err
			continue
		}
		if s.flow.Transport() != s.target.Transport {
			// A large request went to TCP. Should the connection fail now, then UDP after all.
			again := s.target
			again.Pinned = true
			s.targets = append([]transport.Target{again}, s.targets...)
		}
		c, err := s.start(before, on)
		if err == nil || isFinal(err) {
			return c, err
		}
	}
	return nil, s.failure(errNoTarget)
}

// isFinal says that no other address would help.
func isFinal(err error) bool {
	return errors.Is(err, errUnwanted) || errors.Is(err, ErrClosed) || errors.Is(err, transaction.ErrTooMany)
}

var errUnwanted = errors.New("no longer wanted")

func (s *sending) start(before func() bool, on func(transaction.Event)) (*transaction.Client, error) {
	if s.tried {
		// The first attempt may have reached the peer, which would take a second one with
		// the same number for a merged request (section 8.2.2.2).
		s.req.CSeq().SeqNo = s.renumber()
	}
	s.tried = true
	s.a.address(s.req, s.flow, s.target)
	if before != nil && !before() {
		return nil, errUnwanted
	}
	c, err := s.a.tx.Client(s.req, s.flow, on)
	if err != nil {
		s.err = err
		if errors.Is(err, transaction.ErrClosed) {
			return nil, ErrClosed
		}
		return nil, s.failure(err)
	}
	return c, nil
}

// failure is the last error as a *TransportError.
func (s *sending) failure(err error) error {
	if s.err != nil {
		err = s.err
	}
	if te, ok := errors.AsType[*TransportError](err); ok {
		return te
	}
	return &TransportError{Target: s.hop.String(), Err: err}
}

// failed turns the error of a transaction into one of the package's. A flow that
// broke leaves the other addresses to try.
func (s *sending) failed(err error) (final error, again bool) {
	switch {
	case errors.Is(err, transaction.ErrTimeout):
		return ErrTimeout, false
	case errors.Is(err, transaction.ErrClosed):
		return ErrClosed, false
	default:
		s.err = err
		return s.failure(err), !s.fixed && (!s.resolved || len(s.targets) > 0)
	}
}

// startsOnFlow says that the flow given is the first to try. A large request
// leaves it to the size rule unless it has no choice.
func (s *sending) startsOnFlow() bool {
	return s.flow != nil && (s.fixed || s.flow.Reliable() || s.size() <= maxDatagram)
}

const maxDatagram = 1300 // RFC 3261 section 18.1.1

// size is the length of the request on the wire, with the Via and Contact to come.
func (s *sending) size() int {
	var n counter
	s.req.StringWrite(&n)
	if s.req.Via() == nil {
		n += 180
	}
	return int(n)
}

type counter int

func (c *counter) WriteString(s string) (int, error) {
	*c += counter(len(s))
	return len(s), nil
}

// writeAck writes an ACK and returns its bytes to be sent again.
func (a *Agent) writeAck(req *Request, flow transport.Flow, target transport.Target) ([]byte, error) {
	a.address(req, flow, target)
	raw := transport.Bytes(req)
	return raw, flow.Write(raw)
}

// cancelOf builds the CANCEL of a request that was sent (section 9.1): same
// Request-URI, Call-ID, To, From and number, the same single Via, and the same
// Route.
func cancelOf(req *Request, reason string) *Request {
	c := sipmsg.NewRequest(sipmsg.CANCEL, req.Recipient)
	c.AppendHeader(req.Via().Clone())
	for _, h := range fields(req, "route", "") {
		c.AppendHeader(h)
	}
	mf := sipmsg.MaxForwardsHeader(maxForwards)
	c.AppendHeader(&mf)
	c.AppendHeader(req.From())
	c.AppendHeader(req.To())
	c.AppendHeader(req.CallID())
	c.AppendHeader(&sipmsg.CSeqHeader{SeqNo: req.CSeq().SeqNo, MethodName: sipmsg.CANCEL})
	if reason != "" {
		c.AppendHeader(NewHeader("Reason", reason))
	}
	c.SetBody(nil)
	return c
}
