package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/peercall/peercall/examples/call/internal/report"
	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/ice/relay"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip/registrar"
)

// party is one of the two people of the call without arguments.
type party struct {
	name string
	said []int16
	ep   *session.Endpoint
}

// demo lets alice call bob on this machine, through servers of our own.
func demo(ctx context.Context, o *options, out *report.Printer) (*report.Result, error) {
	result := &report.Result{}
	alice, bob := &party{name: "alice"}, &party{name: "bob"}
	if err := errors.Join(alice.learn(aliceWAV, o.duration), bob.learn(bobWAV, o.duration)); err != nil {
		return result, err
	}
	place, err := serve(ctx, o, out)
	if err != nil {
		return result, err
	}
	defer place.close()

	bobHeard := make(chan []int16, 1)
	bobCall := make(chan *session.Call, 1)
	answer := func(ctx context.Context, in *session.Incoming) {
		if err := in.Ring(ctx); err != nil {
			return
		}
		call, err := in.Answer(ctx)
		if err != nil {
			return
		}
		bobCall <- call
		heard, _ := talk(ctx, call, bob.said, o.duration, nil) // alice's side reports what went wrong
		bobHeard <- heard
		_ = call.Wait(ctx) // alice hangs up
	}
	if err := errors.Join(place.join(ctx, alice, nil), place.join(ctx, bob, session.HandlerFunc(answer))); err != nil {
		return result, err
	}
	defer alice.ep.Close()
	defer bob.ep.Close()
	if err := errors.Join(alice.ep.Registered(ctx), bob.ep.Registered(ctx)); err != nil {
		return result, err
	}

	clock := &report.Stopwatch{}
	clock.Start()
	call, err := alice.ep.Start(ctx, place.address("bob"), nil)
	if err != nil {
		return result, err
	}
	defer call.Close()
	go clock.Watch(ctx, call)
	go out.Follow(ctx, "alice", call)
	if err := call.Answered(ctx); err != nil {
		return result, err
	}
	answered := time.Now()
	aliceHeard, err := talk(ctx, call, alice.said, o.duration, out)
	result.Take(call)
	result.SetupMS, result.RingingMS = clock.Milliseconds(answered), clock.RingingMilliseconds()
	result.AnswerToAudioMS = report.Milliseconds(call.Stats().Stream.FirstFrame.Sub(answered))
	if err = errors.Join(err, hangUp(ctx, call)); err != nil {
		return result, err
	}
	select {
	case bc := <-bobCall:
		result.TakeOther(bc)
	default:
		return result, errors.New("bob never answered")
	}
	return result, judge(o, out, result, alice, bob, aliceHeard, <-bobHeard)
}

// judge saves what each heard and compares it with what the other said.
func judge(o *options, out *report.Printer, result *report.Result, alice, bob *party, aliceHeard, bobHeard []int16) error {
	dir := o.out
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "peercall-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("a folder for what was heard: %w", err)
	}
	result.Out = dir
	err = errors.Join(
		save(filepath.Join(dir, "alice-heard.wav"), aliceHeard, rate),
		save(filepath.Join(dir, "bob-heard.wav"), bobHeard, rate))
	if err != nil {
		return err
	}
	return errors.Join(
		result.Compare(out, "alice", rate, aliceHeard, bob.said, alice.said),
		result.Compare(out, "bob", rate, bobHeard, alice.said, bob.said))
}

func (p *party) learn(wav []byte, d time.Duration) error {
	pcm, err := decode(wav)
	if err != nil {
		return fmt.Errorf("%s.wav: %w", p.name, err)
	}
	p.said = loop(pcm, d)
	return nil
}

// place is where the two meet: the servers on loopback and their secrets, made
// anew for each run.
type place struct {
	o         *options
	out       *report.Printer
	registrar *registrar.Server
	relay     *relay.Server
	passwords map[string]string
}

// domain is what the registrar serves; the endpoints find it by Registrar, not by name.
const domain = "peercall.example"

func serve(ctx context.Context, o *options, out *report.Printer) (*place, error) {
	p := &place{o: o, out: out, passwords: map[string]string{"alice": rand.Text(), "bob": rand.Text()}}
	var err error
	p.registrar, err = registrar.Listen(ctx, &registrar.Config{
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Domain: domain, Users: p.passwords,
		Trace: out.Trace("registrar"), Log: o.log(out),
	})
	if err != nil {
		return nil, err
	}
	// Relaying to loopback is refused by default; here everyone is on loopback.
	p.relay, err = relay.Listen(ctx, &relay.Config{
		Listen: []string{"udp://127.0.0.1:0"}, Users: p.passwords,
		AllowPeers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: o.log(out),
	})
	if err != nil {
		return nil, errors.Join(err, p.registrar.Close())
	}
	out.Name(p.registrar.Addr("udp"), "registrar")
	out.Name(p.registrar.Addr("tcp"), "registrar")
	return p, nil
}

func (p *place) close() {
	_ = p.relay.Close()
	_ = p.registrar.Close()
}

func (p *place) address(user string) string {
	a := "sip:" + user + "@" + domain
	if p.o.tcp {
		a += ";transport=tcp"
	}
	return a
}

// join makes an endpoint for a party, with sockets of its own.
func (p *place) join(ctx context.Context, who *party, h session.Handler) error {
	registrar := "sip:" + p.registrar.Addr("udp").String()
	if p.o.tcp {
		registrar = "sip:" + p.registrar.Addr("tcp").String() + ";transport=tcp"
	}
	turn := p.relay.Addr().String()
	ep, err := session.Listen(ctx, &session.Config{
		Identity: "sip:" + who.name + "@" + domain, Password: p.passwords[who.name], Registrar: registrar,
		Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}, Handler: h, Log: p.o.log(p.out),
		Servers: []ice.Server{
			{URL: "stun:" + turn},
			{URL: "turn:" + turn, Username: who.name, Password: p.passwords[who.name]},
		},
		RelayOnly: p.o.relay,
		Trace:     p.out.Learn(who.name), // the registrar prints the ladder: every message passes there
	})
	if err != nil {
		return fmt.Errorf("%s: %w", who.name, err)
	}
	who.ep = ep
	return nil
}
