package transaction

import (
	"strconv"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/peercall/peercall/sip/internal/transport"
)

// BenchmarkInvite is an INVITE, its 200 and their two transactions without parser and
// sockets.
func BenchmarkInvite(b *testing.B) {
	b.ReportAllocs()
	w := &sink{}
	l := New(Config{MaxServer: -1, MaxClient: -1, Request: func(in transport.Inbound, tx *Server) {
		_ = tx.send(in.Flow.(*sink).ok, response2xx)
	}})
	defer l.Close()
	req := newRequest("INVITE", branch)
	res := sipmsg.NewResponseFromRequest(req, 200, "OK", nil)
	w.ok = transport.Bytes(res)
	n := 0
	for b.Loop() {
		n++
		br := cookie + strconv.Itoa(n)
		req.Via().Params.Add("branch", br)
		res.Via().Params.Add("branch", br)
		c, err := l.Client(req, w, func(Event) {})
		if err != nil {
			b.Fatal(err)
		}
		l.Receive(transport.Inbound{Msg: req, Flow: w})
		l.Receive(transport.Inbound{Msg: res, Flow: w})
		c.Terminate()
	}
}

type sink struct {
	wire
	ok []byte
}

func (*sink) Write([]byte) error { return nil }
