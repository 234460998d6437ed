package ice

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/turn/v5"

	"github.com/peercall/peercall/ice/internal/quiet"
)

// allocate makes a TURN allocation over this base's own socket and returns it as
// a second base, shared by forks and generations exactly like a socket. An
// allocation that was made there before keeps receiving until this one stands.
func (b *base) allocate(ctx context.Context, server netip.AddrPort, s Server) (*base, error) {
	sa := net.UDPAddrFromAddrPort(server)
	tc := &turnConn{b: b}
	c, err := turn.NewClient(&turn.ClientConfig{
		Conn: tc, Net: numericNet{}, TURNServerAddr: server.String(), STUNServerAddr: server.String(),
		Username: s.Username, Password: s.Password, LoggerFactory: quiet.Factory{},
	})
	if err != nil {
		return nil, err
	}
	var refused ServerError // what the server last refused an allocation with; the reader's until AllocateWithContext returns
	var mu sync.Mutex
	var mapped netip.AddrPort
	own := turnHook{server: server, owner: tc, input: func(p []byte) {
		_, _ = c.HandleInbound(p, sa) // what it cannot use is dropped
	}}
	var before turnHook
	asking := own
	asking.input = func(p []byte) { // no Client.Listen: our reader feeds it
		if isSTUN(p) && isResponse(p) {
			mu.Lock()
			if isErrorResponse(p) {
				refused.Code, refused.Reason = errorCode(p)
			} else if a, err := mappedAddress(p); err == nil {
				mapped = a
			}
			mu.Unlock()
			own.input(p)
		}
		mu.Lock()
		h := before
		mu.Unlock()
		if h.input != nil {
			h.input(p)
		}
	}
	mu.Lock()
	before = b.hook(asking)
	mu.Unlock()
	rc, err := c.AllocateWithContext(ctx)
	if err != nil {
		if before.input != nil {
			b.hook(before)
		} else {
			b.unhook(tc)
		}
		c.Close()
		mu.Lock()
		defer mu.Unlock()
		if te, ok := errors.AsType[*stun.TurnError](err); ok {
			return nil, &ServerError{Code: int(te.ErrorCodeAttr.Code), Reason: reason(string(te.ErrorCodeAttr.Reason), int(te.ErrorCodeAttr.Code))}
		}
		if refused.Code != 0 && ctx.Err() == nil {
			return nil, &ServerError{Code: refused.Code, Reason: reason(refused.Reason, refused.Code)}
		}
		if ctx.Err() != nil {
			return nil, errNoAnswer{ctx.Err()}
		}
		return nil, err
	}
	b.hook(own)
	addr, err := addrPort(rc.LocalAddr())
	if err != nil {
		return nil, err
	}
	w := &relayWriter{pc: rc, peers: map[netip.AddrPort]*relayPeer{}, turns: map[netip.Addr]chan struct{}{}}
	var once sync.Once
	r := newBase(b.g, addr, w, func() error {
		once.Do(func() {
			_ = rc.Close() // a Refresh with lifetime zero, not waited for
			tc.muted.Store(true)
			c.Close() // ends the transactions that writers wait for
			b.unhook(tc)
			w.close()
		})
		return nil
	})
	r.settle = w.wg.Wait
	r.mute = func() { tc.muted.Store(true) }
	r.relay, r.turnServer, r.host = true, server, b
	mu.Lock()
	r.related = mapped
	mu.Unlock()
	go r.read(func(p []byte) (int, netip.AddrPort, error) { // ends in r.close, which waits
		n, from, err := rc.ReadFrom(p)
		if errors.Is(err, io.ErrShortBuffer) {
			return 0, netip.AddrPort{}, nil
		}
		if err != nil {
			return 0, netip.AddrPort{}, net.ErrClosed // turn's own error is no net.ErrClosed
		}
		a, err := addrPort(from)
		return n, a, err
	})
	return r, nil
}

// reason names the codes for servers that send none.
func reason(said string, code int) string {
	if said != "" {
		return said
	}
	switch stun.ErrorCode(code) {
	case stun.CodeUnauthorized:
		return "Unauthorized"
	case stun.CodeForbidden:
		return "Forbidden"
	case stun.CodeAllocQuotaReached:
		return "Allocation Quota Reached"
	case stun.CodeInsufficientCapacity:
		return "Insufficient Capacity"
	}
	return "refused"
}

// relayWriter sends through an allocation. The TURN client's WriteTo waits for
// CreatePermission on the first packet to an address: that must stop neither an
// agent nor a reader nor the sender of audio, so that first packets go through a
// goroutine per address, and later ones straight.
type relayWriter struct {
	pc net.PacketConn
	wg sync.WaitGroup

	mu     sync.RWMutex
	peers  map[netip.AddrPort]*relayPeer
	turns  map[netip.Addr]chan struct{}
	closed bool
}

type relayPeer struct {
	addr  *net.UDPAddr
	turn  chan struct{} // held while a permission for its IP address is asked for
	open  bool          // packets go straight
	wait  [][]byte      // while the permission is asked for; nil otherwise
	retry time.Time     // after a refusal
}

const (
	maxRelayPeers = 128
	maxRelayQueue = 8
	refusedTime   = 5 * time.Second
)

func (w *relayWriter) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	w.mu.RLock()
	peer := w.peers[to]
	open := peer != nil && peer.open
	w.mu.RUnlock()
	if open {
		return w.pc.WriteTo(p, peer.addr)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, net.ErrClosed
	}
	if peer = w.peers[to]; peer == nil {
		if len(w.peers) >= maxRelayPeers {
			return len(p), nil
		}
		turn := w.turns[to.Addr()]
		if turn == nil {
			turn = make(chan struct{}, 1)
			w.turns[to.Addr()] = turn
		}
		peer = &relayPeer{addr: net.UDPAddrFromAddrPort(to), turn: turn}
		w.peers[to] = peer
	}
	switch {
	case peer.wait != nil:
		if len(peer.wait) < maxRelayQueue {
			peer.wait = append(peer.wait, append([]byte(nil), p...))
		}
	case time.Now().Before(peer.retry): // refused a moment ago
	default:
		peer.wait = append(make([][]byte, 0, maxRelayQueue), append([]byte(nil), p...))
		w.wg.Go(func() { w.permit(peer) })
	}
	return len(p), nil
}

// permit sends the first packets to an address. It ends when the queue is empty
// or the permission was refused; Client.Close unblocks it.
func (w *relayWriter) permit(peer *relayPeer) {
	peer.turn <- struct{}{} // the client would wait for the same permission under a lock
	defer func() { <-peer.turn }()
	for {
		w.mu.Lock()
		if len(peer.wait) == 0 {
			peer.wait, peer.open = nil, !w.closed
			w.mu.Unlock()
			return
		}
		p := peer.wait[0]
		peer.wait = peer.wait[1:]
		w.mu.Unlock()
		if _, err := w.pc.WriteTo(p, peer.addr); err != nil {
			w.mu.Lock()
			peer.wait, peer.retry = nil, time.Now().Add(refusedTime)
			w.mu.Unlock()
			return
		}
	}
}

func (w *relayWriter) close() {
	w.mu.Lock()
	w.closed = true
	for _, p := range w.peers {
		p.open = false
	}
	w.mu.Unlock()
}

// turnConn lets the TURN client write through the base's socket.
type turnConn struct {
	b     *base
	muted atomic.Bool
}

func (t *turnConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, err := addrPort(to)
	if err != nil {
		return 0, err
	}
	if t.muted.Load() {
		return 0, net.ErrClosed
	}
	return t.b.out.WriteToUDPAddrPort(p, a)
}

func (t *turnConn) ReadFrom([]byte) (int, net.Addr, error) {
	<-t.b.done
	return 0, nil, net.ErrClosed
}
func (t *turnConn) Close() error                     { return nil }
func (t *turnConn) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(t.b.addr) }
func (t *turnConn) SetDeadline(time.Time) error      { return nil }
func (t *turnConn) SetReadDeadline(time.Time) error  { return nil }
func (t *turnConn) SetWriteDeadline(time.Time) error { return nil }

// numericNet is what pion's packages may ask of a network: numeric addresses
// and no interfaces. They open no socket.
type numericNet struct{ transport.Net }

func (numericNet) Interfaces() ([]*transport.Interface, error) { return nil, nil }

func (numericNet) ResolveUDPAddr(_, address string) (*net.UDPAddr, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(a), nil
}
