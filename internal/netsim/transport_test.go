package netsim

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// pion's ICE and TURN run on the simulated network: behind symmetric NATs by
// the relay only.
func TestPionICE(t *testing.T) {
	for _, tc := range []struct {
		kind    NATKind
		relayed bool
	}{{PortRestricted, false}, {Symmetric, true}} {
		t.Run(tc.kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *Sim) {
				s.AddName("turn.example", "192.0.2.1")
				l := Link{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.02}
				server := s.NewHost("192.0.2.1", nil)
				server.SetLink(l, l)
				defer startTURN(t, server).Close()

				var agents [2]*ice.Agent
				for i, public := range []string{"198.51.100.1", "198.51.100.2"} {
					// Not the same address for both: checks that a host sends to itself
					// reach the socket of pion's TURN client, whose loop ends at any
					// STUN request.
					h := s.NewHost(fmt.Sprintf("10.0.%d.2", i+1), s.NewNAT(tc.kind, public))
					h.SetLink(l, l)
					agents[i] = newAgent(t, h)
					defer agents[i].Close()
				}
				exchange(t, agents[0], agents[1])
				exchange(t, agents[1], agents[0])
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				conns := make(chan *ice.Conn, 2)
				for i, a := range agents {
					go func() {
						ufrag, pwd, err := agents[1-i].GetLocalUserCredentials()
						connect := a.Dial
						if i == 1 {
							connect = a.Accept
						}
						var c *ice.Conn
						if err == nil {
							c, err = connect(ctx, ufrag, pwd)
						}
						if err != nil {
							t.Error(err)
						}
						conns <- c
					}()
				}
				if c0, c1 := <-conns, <-conns; c0 == nil || c1 == nil {
					t.FailNow()
				}
				time.Sleep(5 * time.Second)
				pair, err := agents[0].GetSelectedCandidatePair()
				if err != nil || pair == nil {
					t.Fatal(pair, err)
				}
				relayed := pair.Local.Type() == ice.CandidateTypeRelay || pair.Remote.Type() == ice.CandidateTypeRelay
				if relayed != tc.relayed {
					t.Errorf("selected %v", pair)
				}
			})
		})
	}
}

func startTURN(t *testing.T, h *Host) *turn.Server {
	t.Helper()
	pc, err := h.ListenPacket(t.Context(), "udp4", h.name+":3478")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := turn.NewServer(turn.ServerConfig{
		Realm: "example",
		AuthHandler: func(*turn.RequestAttributes) (string, []byte, bool) {
			return "u", turn.GenerateAuthKey("u", "example", "p"), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            pc,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.ParseIP(h.name), Address: h.name, Net: h.Transport()},
		}},
		LoggerFactory: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return srv
}

func quiet() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}

func newAgent(t *testing.T, h *Host) *ice.Agent {
	t.Helper()
	var urls []*stun.URI
	for _, raw := range []string{"stun:turn.example:3478", "turn:turn.example:3478?transport=udp"} {
		u, err := stun.ParseURI(raw)
		if err != nil {
			t.Fatal(err)
		}
		u.Username, u.Password = "u", "p"
		urls = append(urls, u)
	}
	a, err := ice.NewAgentWithOptions(ice.WithNet(h.Transport()), ice.WithUrls(urls),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithDisableActiveTCP(), ice.WithLoggerFactory(quiet()))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// exchange gathers the candidates of one agent and gives them to the other.
func exchange(t *testing.T, from, to *ice.Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	gathered := make(chan ice.Candidate, 20)
	if err := from.OnCandidate(func(c ice.Candidate) { gathered <- c }); err != nil {
		t.Fatal(err)
	}
	if err := from.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case <-ctx.Done():
			t.Fatal("gathering takes a minute")
		case c := <-gathered:
			if c == nil {
				return
			}
			remote, err := ice.UnmarshalCandidate(c.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if err := to.AddRemoteCandidate(remote); err != nil {
				t.Fatal(err)
			}
		}
	}
}
