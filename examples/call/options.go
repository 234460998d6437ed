package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/peercall/peercall/examples/call/internal/report"
	"github.com/peercall/peercall/ice"
	"github.com/peercall/peercall/media/resample"
	"github.com/peercall/peercall/media/wav"
	"github.com/peercall/peercall/session"
	"github.com/peercall/peercall/sip"
)

//go:embed alice.wav
var aliceWAV []byte

//go:embed bob.wav
var bobWAV []byte

// rate of all sound in this program, in Hz.
const rate = 16000

type options struct {
	target   string
	listen   bool
	json     bool
	relay    bool
	plain    bool
	verbose  bool
	duration time.Duration
	out      string
	tcp      bool

	identity, password, registrar string
	bind                          string
	tlsCA                         string
	roots                         *x509.CertPool // of tlsCA
	servers                       []ice.Server
	record                        string
	said                          []int16 // what we play
}

var errHelp = errors.New("help was asked for")

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	var server, serverUser, serverPassword, play string
	f := flag.NewFlagSet("call", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.listen, "listen", false, "wait for a call, answer it, play and record")
	f.BoolVar(&o.json, "json", false, "print one JSON object on standard output at the end, all else on standard error")
	f.BoolVar(&o.relay, "relay", false, "send media through the relay")
	f.BoolVar(&o.plain, "plain", false, "allow unencrypted RTP")
	f.BoolVar(&o.tcp, "tcp", false, "without arguments: signal over TCP")
	f.BoolVar(&o.verbose, "v", false, "log what the library does")
	f.DurationVar(&o.duration, "duration", 5*time.Second, "how long to talk")
	f.StringVar(&o.out, "out", "", "without arguments: `directory` for what each side heard (default a new temporary one)")
	f.StringVar(&o.identity, "identity", "", "our address, such as sip:alice@example.org")
	f.StringVar(&o.password, "password", os.Getenv("CALL_PASSWORD"), "password of the identity (better in CALL_PASSWORD: arguments are visible)")
	f.StringVar(&o.registrar, "registrar", "", "SIP URI of the registrar (default the identity's domain, with a password)")
	f.StringVar(&o.bind, "bind", "", "IP address, or address:port, for signalling and media (default every interface)")
	f.StringVar(&o.tlsCA, "tls-ca", "", "PEM `file` of the authority to trust for ;transport=tls (default the machine's)")
	f.StringVar(&server, "servers", "", "STUN and TURN URLs, separated by commas, such as turn:turn.example.org")
	f.StringVar(&serverUser, "server-user", "", "TURN user name")
	f.StringVar(&serverPassword, "server-password", os.Getenv("CALL_SERVER_PASSWORD"), "TURN password")
	f.StringVar(&play, "play", "", "WAV `file` to play (default a built-in sentence)")
	f.StringVar(&o.record, "record", "", "WAV `file` to write what the peer says to")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "usage: call [flags] [sip:user@host]")
			f.SetOutput(stderr)
			f.PrintDefaults()
			return nil, errHelp
		}
		return nil, err
	}
	for _, u := range strings.FieldsFunc(server, func(r rune) bool { return r == ',' }) {
		o.servers = append(o.servers, ice.Server{URL: strings.TrimSpace(u), Username: serverUser, Password: serverPassword})
	}
	return o, o.check(f.Args(), play)
}

// check finds what does not fit together, and reads the file to play.
func (o *options) check(args []string, play string) error {
	real := o.listen || len(args) == 1
	switch {
	case len(args) > 1:
		return fmt.Errorf("too many arguments: %q; flags go before the address", args[1:])
	case o.listen && len(args) == 1:
		return fmt.Errorf("-listen waits for a call: it does not go with the address %q", args[0])
	case o.duration < time.Second || o.duration > time.Hour || !real && o.duration < 3*time.Second:
		return fmt.Errorf("-duration %v: want up to 1h, and at least 1s with a real peer, 3s without", o.duration)
	case real && o.relay && len(o.servers) == 0:
		return errors.New("-relay needs a TURN server: -servers turn:host")
	case real && (o.out != "" || o.tcp):
		return errors.New("-out and -tcp are for the call without arguments; a real call has -record, and ;transport=tcp in its address")
	case !real && (o.identity != "" || o.password != "" && os.Getenv("CALL_PASSWORD") == "" || o.registrar != "" || o.bind != "" || len(o.servers) > 0 || o.record != "" || play != "" || o.plain || o.tlsCA != ""):
		return errors.New("-identity, -password, -registrar, -bind, -tls-ca, -servers, -play, -record and -plain need an address to call or -listen")
	}
	if len(args) == 1 {
		o.target = args[0]
		if u, err := sip.ParseURI(o.target); err != nil || u.Scheme != "sip" || u.Host == "" {
			return fmt.Errorf("%q is not an address to call, such as sip:bob@192.0.2.7", o.target)
		}
	}
	if u, err := sip.ParseURI(o.identity); o.identity != "" && (err != nil || u.User == "" || u.Host == "") {
		return fmt.Errorf("-identity %q: want an address such as sip:alice@example.org", o.identity)
	}
	if u, err := sip.ParseURI(o.registrar); o.registrar != "" && (err != nil || u.Host == "") {
		return fmt.Errorf("-registrar %q: want a URI such as sip:192.0.2.1", o.registrar)
	}
	if o.identity == "" && (o.registrar != "" || real && o.password != "" && os.Getenv("CALL_PASSWORD") == "") {
		return errors.New("-registrar and -password need -identity")
	}
	for _, s := range o.servers {
		if err := s.Check(); err != nil {
			return fmt.Errorf("-servers: %w", err)
		}
	}
	if err := o.checkBind(); err != nil {
		return err
	}
	if o.tlsCA != "" {
		pem, err := os.ReadFile(o.tlsCA)
		if err != nil {
			return fmt.Errorf("-tls-ca: %w", err)
		}
		if o.roots = x509.NewCertPool(); !o.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("-tls-ca %s: there is no PEM certificate in it", o.tlsCA)
		}
	}
	data := aliceWAV
	if play != "" {
		var err error
		if data, err = os.ReadFile(play); err != nil {
			return fmt.Errorf("-play: %w", err)
		}
	}
	var err error
	if o.said, err = decode(data); err != nil {
		return fmt.Errorf("-play %s: %w", play, err)
	}
	return nil
}

// checkBind completes -bind: the port is 5060 where a peer that knows only our
// host must find us, and any otherwise.
func (o *options) checkBind() error {
	if o.bind == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(o.bind); err == nil {
		port := uint16(0)
		if o.listen && o.identity == "" {
			port = 5060
		}
		o.bind = netip.AddrPortFrom(ip, port).String()
	}
	if _, err := netip.ParseAddrPort(o.bind); err != nil {
		return fmt.Errorf("-bind %q: want an IP address such as 192.0.2.1 or ::1, or one with a port such as 192.0.2.1:5060", o.bind)
	}
	return nil
}

// config is the Config of a call with a real peer.
func (o *options) config(out *report.Printer, h session.Handler) *session.Config {
	cfg := &session.Config{
		Identity: o.identity, Password: o.password, Registrar: o.registrar, Handler: h,
		Servers: o.servers, RelayOnly: o.relay, Trace: out.Trace("here"), Log: o.log(out),
	}
	if o.bind != "" {
		cfg.Listen = []string{"udp://" + o.bind, "tcp://" + o.bind}
	}
	if o.roots != nil {
		cfg.TLS = &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12}
	}
	if o.plain {
		cfg.Security = session.AllowPlain
	}
	return cfg
}

func (o *options) log(out *report.Printer) *slog.Logger {
	if !o.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// decode reads a WAV file as mono sound of our rate.
func decode(data []byte) ([]int16, error) {
	r, err := wav.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var pcm []int16
	buf := make([]int16, 4096*r.Channels())
	for {
		n, err := r.ReadPCM(buf)
		for i := 0; i+r.Channels() <= n; i += r.Channels() {
			pcm = append(pcm, buf[i])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if r.Rate() == rate {
		return pcm, nil
	}
	rs, err := resample.New(r.Rate(), rate)
	if err != nil {
		return nil, err
	}
	return rs.Append(nil, pcm), nil
}
