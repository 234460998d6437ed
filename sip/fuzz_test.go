package sip

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// deaf is a network that delivers nothing.
type deaf struct{}

func (deaf) ListenPacket(context.Context, string, string) (net.PacketConn, error) {
	a, _ := net.Pipe()
	return &deafConn{Conn: a}, nil
}

func (deaf) Listen(context.Context, string, string) (net.Listener, error) { return nil, net.ErrClosed }

func (deaf) Dial(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }

func (deaf) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, net.ErrClosed
}
func (deaf) InterfaceAddrs() ([]netip.Prefix, error) { return nil, nil }

type deafConn struct{ net.Conn }

func (c *deafConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5060} }

func (c *deafConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, err := c.Read(p)
	return n, c.LocalAddr(), err
}
func (c *deafConn) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }

// FuzzMessage builds dialogs, responses and further requests from whatever sipgo
// parses and has the headers that the transport insists on: nothing may panic,
// and what we write must parse again.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		"INVITE sip:bob@b SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nFrom: A <sip:a@a;x=y>;tag=1\nTo: \"B \\\"\" <sip:b@b>\nCall-ID: c\nCSeq: 1 INVITE\nContact: <sip:a@[::1]:5;ob>\nRecord-Route: <sip:p;lr>, <sip:q>\n\n",
		"SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;received=1.2.3.4;rport=5\nFrom: <tel:1>;tag=1\nTo: <sip:b@b>;tag=2\nCall-ID: c\nCSeq: 1 INVITE\nContact: *\nWarning: 1 a \"x\"\nRetry-After: 5 (x)\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(s, "\n", "\r\n")))
	}
	a, err := Listen(context.Background(), &Config{Network: deaf{}, Listen: []string{"udp://127.0.0.1:5060"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = a.Close() })
	parser := sipmsg.NewParser()
	reparse := func(t *testing.T, m sipmsg.Message) {
		if _, err := parser.ParseSIP([]byte(m.String())); err != nil {
			t.Fatalf("we wrote %q: %v", m.String(), err)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parser.ParseSIP(raw)
		if err != nil || m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
			return
		}
		fromOf(m).Tag()
		toOf(m).Tag()
		switch m := m.(type) {
		case *Request:
			a.response(m, &answer{code: 180, tag: "t", contact: "<sip:x@y>"})
			a.isMerged(m)
			if d, ok := calledDialog(m, "ours"); ok {
				way := d.next()
				_ = way.uri.String()
				if isURI(way.uri) && isURI(d.remote.URI) && isURI(d.local.URI) {
					reparse(t, a.build(&draft{method: "BYE", uri: way.uri, from: d.local, to: d.remote, callID: "x", seq: way.seq}))
				}
			}
		case *Response:
			_ = statusError(m, "x").Error()
			d := callingDialog(invite(t, ""), m)
			d.confirm(m)
			d.next()
			viaAddr("x", "y", m.Via().Host, m.Via().Port)
		}
	})
}

// isURI says that a URI taken from a message is one that ParseURI takes too:
// sipgo's parser is more lenient.
func isURI(u URI) bool {
	_, err := ParseURI(u.String())
	return err == nil
}
