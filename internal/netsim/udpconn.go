package netsim

import (
	"net"
	"net/netip"
	"time"
)

// The methods of *net.UDPConn over receive and send.

// ReadFromUDPAddrPort waits for a datagram; what does not fit into b is lost.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) { return c.receive(b) }

// ReadFromUDP is ReadFromUDPAddrPort for those who want a *net.UDPAddr.
func (c *UDPConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.receive(b)
	if err != nil {
		return n, nil, err
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFrom implements net.PacketConn.
func (c *UDPConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadFromUDP(b)
	if err != nil {
		return n, nil, err
	}
	return n, from, nil
}

// ReadMsgUDP never has out-of-band data.
func (c *UDPConn) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, from, err = c.ReadFromUDP(b)
	return n, 0, 0, from, err
}

// Read implements net.Conn.
func (c *UDPConn) Read(b []byte) (int, error) {
	n, _, err := c.receive(b)
	return n, err
}

// WriteToUDPAddrPort sends a datagram.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.remote.IsValid() {
		return 0, c.fail("write", net.ErrWriteToConnected)
	}
	return c.write(b, to)
}

// WriteToUDP is WriteToUDPAddrPort with a *net.UDPAddr.
func (c *UDPConn) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) {
	return c.WriteToUDPAddrPort(b, to.AddrPort())
}

// WriteTo implements net.PacketConn. The address must be a *net.UDPAddr.
func (c *UDPConn) WriteTo(b []byte, to net.Addr) (int, error) {
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.fail("write", net.InvalidAddrError("not a UDP address"))
	}
	return c.WriteToUDP(b, u)
}

// WriteMsgUDP ignores out-of-band data. A connected socket takes no address.
func (c *UDPConn) WriteMsgUDP(b, _ []byte, to *net.UDPAddr) (n, oobn int, err error) {
	if to == nil {
		n, err = c.Write(b)
	} else {
		n, err = c.WriteToUDP(b, to)
	}
	return n, 0, err
}

// Write implements net.Conn.
func (c *UDPConn) Write(b []byte) (int, error) { return c.write(b, c.remote) }

func (c *UDPConn) write(b []byte, to netip.AddrPort) (int, error) {
	if err := c.send(b, to); err != nil {
		return 0, c.fail("write", err)
	}
	return len(b), nil
}

// Close ends all calls that wait on the socket with net.ErrClosed.
func (c *UDPConn) Close() error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if !c.close() {
		return c.fail("close", net.ErrClosed)
	}
	return nil
}

// LocalAddr is a *net.UDPAddr.
func (c *UDPConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.local.addr) }

// RemoteAddr is nil for a socket that is not connected.
func (c *UDPConn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.remote)
}

// SetReadDeadline applies to reads that wait now, too.
func (c *UDPConn) SetReadDeadline(t time.Time) error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	c.rd.set(c.h.s, t, &c.sig)
	return nil
}

// SetDeadline is SetReadDeadline: writing never waits.
func (c *UDPConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writing never waits.
func (c *UDPConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer works as on Linux: the size is capped, then doubled.
func (c *UDPConn) SetReadBuffer(n int) error {
	c.h.s.mu.Lock()
	defer c.h.s.mu.Unlock()
	c.limit = 2 * min(n, receiveBuffer)
	return nil
}

// SetWriteBuffer does nothing: writing never waits.
func (c *UDPConn) SetWriteBuffer(int) error { return nil }
