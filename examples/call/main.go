// Command call makes a real call with peercall.
//
//	call                          two endpoints on this machine call each other
//	call sip:bob@192.0.2.7        call a peer, play a file and record what it says
//	call -listen                  wait for a call, answer it, play and record
//
// Without arguments it starts a registrar and a STUN/TURN server on loopback and
// two endpoints, alice and bob, with sockets of their own. Alice calls bob, each
// speaks for five seconds, and what each heard is compared with what the other
// said. It exits with 0 only if both heard the other; with 1 and a sentence when
// something went wrong; with 2 when the arguments make no sense.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/peercall/peercall/examples/call/internal/report"
	"github.com/peercall/peercall/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, errHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "call:", err)
		return 2
	}
	text := stdout
	if o.json {
		text = stderr
	}
	out := report.New(text)
	var result *report.Result
	switch {
	case o.target != "":
		result, err = dial(ctx, o, out)
	case o.listen:
		result, err = listen(ctx, o, out)
	default:
		result, err = demo(ctx, o, out)
	}
	result.Finish(err)
	out.Summary(result)
	if o.json {
		if err := result.WriteJSON(stdout); err != nil {
			fmt.Fprintln(stderr, "call:", err)
			return 1
		}
	}
	if !result.OK {
		fmt.Fprintln(stderr, "call:", result.Error)
		return 1
	}
	return 0
}

// dial calls a peer, plays a file to it and records what it says.
func dial(ctx context.Context, o *options, out *report.Printer) (*report.Result, error) {
	result := &report.Result{}
	ep, err := session.Listen(ctx, o.config(out, nil))
	if err != nil {
		return result, err
	}
	defer ep.Close()
	if err := ep.Registered(ctx); err != nil {
		return result, err
	}
	began := time.Now()
	call, err := ep.Start(ctx, o.target, nil)
	if err != nil {
		return result, err
	}
	defer call.Close()
	go out.Follow(ctx, "call", call)
	if err := call.Answered(ctx); err != nil {
		return result, err
	}
	result.SetupMS = report.Milliseconds(time.Since(began))
	return result, converse(ctx, o, out, call, result)
}

// listen answers the first call, plays a file and records what the caller says.
func listen(ctx context.Context, o *options, out *report.Printer) (*report.Result, error) {
	result, done := &report.Result{}, make(chan error, 1)
	answer := func(ctx context.Context, in *session.Incoming) {
		out.Printf("call from %s at %v", in.From(), in.Remote())
		call, err := in.Answer(ctx)
		if err == nil {
			go out.Follow(ctx, "call", call)
			err = converse(ctx, o, out, call, result)
		}
		select {
		case done <- err:
		default: // a second call: the first decides
		}
	}
	ep, err := session.Listen(ctx, o.config(out, session.HandlerFunc(answer)))
	if err != nil {
		return result, err
	}
	defer ep.Close()
	if err := ep.Registered(ctx); err != nil {
		return result, err
	}
	out.Printf("waiting for a call at %v", ep.Addrs())
	select {
	case err := <-done:
		return result, err
	case <-ctx.Done():
		return result, errors.New("interrupted before a call came")
	}
}

// converse plays and records until the time is over or the peer hangs up.
func converse(ctx context.Context, o *options, out *report.Printer, call *session.Call, result *report.Result) error {
	heard, err := talk(ctx, call, o.said, o.duration, out)
	result.Take(call)
	if err = errors.Join(err, hangUp(ctx, call)); err != nil {
		return err
	}
	if o.record != "" {
		if err := save(o.record, heard, call.Audio().Format().Rate); err != nil {
			return err
		}
		out.Printf("recorded %s", o.record)
	}
	if result.Received == 0 {
		return errors.New("nothing was heard: no packet came from the peer")
	}
	return nil
}

// hangUp ends the call, also when ctx was interrupted.
func hangUp(ctx context.Context, call *session.Call) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	return call.Hangup(ctx)
}
