package session_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/ice/relay"
	"github.com/peercall/peercall/internal/netsim"
	"github.com/peercall/peercall/internal/testca"
	"github.com/peercall/peercall/media"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/session/sessiontest"
	"github.com/peercall/peercall/sip/registrar"
)

func TestMain(m *testing.M) { sessiontest.Main(m) }

// world is a simulated network with a registrar, a STUN/TURN server, and two
// people at home behind NATs of their own.
type world struct {
	*testing.T
	sim       *netsim.Sim
	homes     map[string]*netsim.NAT
	hosts     map[string]*netsim.Host
	transport string // of the signalling
	nat       netsim.NATKind
	ca        *testca.CA // over TLS: everybody trusts it
	mu        sync.Mutex
	packets   []netsim.Packet // what was seen, when watching
	dropped   int             // by loseSIP
}

const (
	registrarIP = "203.0.113.5"
	relayIP     = "203.0.113.6"
)

var passwords = map[string]string{"alice": "a secret", "bob": "b secret", "carol": "c secret"}

// inWorld runs f in a bubble with a network whose links take 10 ms each way.
func inWorld(t *testing.T, f func(w *world)) {
	inWorldOver(t, "udp", netsim.PortRestricted, f)
}

func inWorldOver(t *testing.T, transport string, nat netsim.NATKind, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, sim: netsim.New(7), homes: map[string]*netsim.NAT{}, hosts: map[string]*netsim.Host{}, transport: transport, nat: nat}
		t.Cleanup(w.sim.Close)
		rc := &registrar.Config{
			Network: w.host("registrar", registrarIP, nil), Domain: "example.org", Users: passwords,
			Listen: []string{"udp://" + registrarIP + ":5060", "tcp://" + registrarIP + ":5060"},
		}
		if transport == "tls" {
			w.ca = testca.New(t, "the CA")
			rc.Listen, rc.TLS = append(rc.Listen, "tls://"+registrarIP+":5061"), w.ca.Server("example.org")
		}
		reg, err := registrar.Listen(t.Context(), rc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = reg.Close() })
		turn, err := relay.Listen(t.Context(), &relay.Config{
			Network: w.host("relay", relayIP, nil), Listen: []string{"udp://" + relayIP + ":3478"}, Users: passwords,
			AllowPeers: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24")},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = turn.Close() })
		w.sim.AddName("example.org", registrarIP)
		w.sim.AddName("turn.example.org", relayIP)
		f(w)
	})
}

func (w *world) host(name, ip string, nat *netsim.NAT) *netsim.Host {
	h := w.sim.NewHost(ip, nat)
	l := netsim.Link{Delay: 5 * time.Millisecond}
	h.SetLink(l, l)
	w.hosts[name] = h
	return h
}

// home is a host behind a NAT of its own.
func (w *world) home(name string) *netsim.Host {
	n := len(w.homes) + 1
	w.homes[name] = w.sim.NewNAT(w.nat, "198.51.100."+string(rune('0'+n)))
	return w.host(name, "10.0."+string(rune('0'+n))+".2", w.homes[name])
}

// person is an endpoint that registers, at home, with change applied to its Config.
func (w *world) person(name string, h session.HandlerFunc, change ...func(*session.Config)) *session.Endpoint {
	w.Helper()
	cfg := &session.Config{
		Identity: "sip:" + name + "@example.org", Password: passwords[name], Network: w.home(name),
		Registrar: "sip:example.org;transport=" + w.transport,
		Servers:   []ice.Server{{URL: "stun:turn.example.org"}, {URL: "turn:turn.example.org", Username: name, Password: passwords[name]}},
	}
	if h != nil {
		cfg.Handler = h
	}
	if w.ca != nil {
		cfg.TLS = w.ca.Client()
	}
	for _, f := range change {
		f(cfg)
	}
	ep, err := session.Listen(w.Context(), cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := ep.Close(); err != nil {
			w.Errorf("close %s: %v", name, err)
		}
	})
	return ep
}

func (w *world) registered(eps ...*session.Endpoint) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for _, ep := range eps {
		if err := ep.Registered(ctx); err != nil {
			w.Fatalf("not registered: %v", err)
		}
	}
}

// answering is a handler that answers and hands over the call, then waits.
func answering(calls chan<- *session.Call) session.HandlerFunc {
	return func(ctx context.Context, in *session.Incoming) {
		call, err := in.Answer(ctx)
		if err != nil {
			return
		}
		calls <- call
		<-ctx.Done()
	}
}

// tone is d of a sine at f Hz, 16 kHz.
func tone(f float64, d time.Duration) []int16 {
	return toneIn(media.Format{Rate: 16000, Channels: 1}, f, d)
}

func toneIn(format media.Format, f float64, d time.Duration) []int16 {
	pcm := make([]int16, int(d.Seconds()*float64(format.Rate))*format.Channels)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*f*float64(i/format.Channels)/float64(format.Rate)))
	}
	return pcm
}

// energy adds up sound, and how much of it is at one frequency. The zero value is silence.
type energy struct{ all, at float64 }

// add takes a block of mono sound with whole periods of f Hz in it.
func (e *energy) add(block []int16, f float64, rate int) {
	var re, im float64
	for i, s := range block {
		sin, cos := math.Sincos(2 * math.Pi * f * float64(i) / float64(rate))
		re, im, e.all = re+float64(s)*cos, im+float64(s)*sin, e.all+float64(s)*float64(s)
	}
	e.at += 2 * (re*re + im*im) / float64(len(block))
}

func (e *energy) share() float64 {
	if e.all < 1e6 {
		return 0 // silence
	}
	return e.at / e.all
}

// hears listens for d and returns the share of the energy that is at f Hz.
func hears(t *testing.T, call *session.Call, f float64, d time.Duration) float64 {
	t.Helper()
	return listen(t, call.Audio(), d, f)[0]
}

// listen listens for d to the first channel and returns the share of the energy at each frequency.
func listen(t *testing.T, audio *media.Audio, d time.Duration, fs ...float64) []float64 {
	t.Helper()
	if err := audio.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	format := audio.Format()
	heard := make([]energy, len(fs))
	buf, mono := make([]int16, format.Rate/50*format.Channels), make([]int16, format.Rate/50)
	for {
		n, err := audio.ReadPCM(buf)
		if n == len(buf) { // whole blocks: the frequencies used have whole periods in them
			for i := range mono {
				mono[i] = buf[i*format.Channels]
			}
			for i, f := range fs {
				heard[i].add(mono, f, format.Rate)
			}
		}
		if err != nil {
			break
		}
	}
	shares := make([]float64, len(fs))
	for i := range heard {
		shares[i] = heard[i].share()
	}
	return shares
}

// talk lets both sides of a call hear a tone of the other's.
func talk(t *testing.T, a, b *session.Call) {
	t.Helper()
	go a.Audio().WritePCM(tone(400, 2*time.Second))
	go b.Audio().WritePCM(tone(1000, 2*time.Second))
	heardA := make(chan float64, 1)
	go func() { heardA <- hears(t, a, 1000, 3*time.Second) }()
	if share := hears(t, b, 400, 3*time.Second); share < 0.9 {
		t.Errorf("the callee heard the caller's tone with %.2f of the energy, want 0.9", share)
	}
	if share := <-heardA; share < 0.9 {
		t.Errorf("the caller heard the callee's tone with %.2f of the energy, want 0.9", share)
	}
}

// watch keeps every packet that passes from now on.
func (w *world) watch() {
	w.sim.Trace(func(p netsim.Packet) {
		p.Payload = append([]byte(nil), p.Payload...)
		w.mu.Lock()
		w.packets = append(w.packets, p)
		w.mu.Unlock()
	})
}

// seen counts the packets watched that match.
func (w *world) seen(match func(netsim.Packet) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packets {
		if match(p) {
			n++
		}
	}
	return n
}

// loseSIP loses a share of the SIP datagrams, evenly by a fixed sequence.
func (w *world) loseSIP(share float64) {
	dice := rand.New(rand.NewPCG(1, 2))
	w.sim.Filter(func(_, _ netip.AddrPort, p []byte) bool {
		if len(p) < 20 || p[0] < 'A' || p[0] > 'Z' {
			return false // media; keep-alives
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if dice.Float64() >= share {
			return false
		}
		w.dropped++
		return true
	})
}

func (w *world) lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// established is an answered call between alice and bob, at home behind NATs.
func (w *world) established(change ...func(*session.Config)) (alice, bob *session.Call) {
	w.Helper()
	calls := make(chan *session.Call, 1)
	b := w.person("bob", answering(calls), change...)
	a := w.person("alice", nil, change...)
	w.registered(a, b)
	call, err := a.Dial(w.Context(), "sip:bob@example.org", nil)
	if err != nil {
		w.Fatal(err)
	}
	return call, <-calls
}
