//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// baresip is one running baresip. It plays a WAV file and records what it hears.
type baresip struct {
	t    *testing.T
	dir  string
	conn net.Conn
	mu   sync.Mutex
	log  bytes.Buffer
	evs  chan map[string]any
}

const baresipConfig = `poll_method epoll
sip_listen %[1]s:5060
call_local_timeout 30
call_max_calls 4
audio_player aubridge,null
audio_source aufile,%[2]s
audio_alert aufile,/dev/null
ausrc_srate %[4]d
auplay_srate %[4]d
ausrc_channels 1
auplay_channels 1
audio_level no
audio_buffer 20-160
rtp_ports 21000-21100
rtcp_mux yes
rtp_stats yes
statmode_default off
module_path /usr/lib/baresip/modules
module g722.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module ice.so
module srtp.so
module dtls_srtp.so
module uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen %[1]s:24440
snd_path %[3]s
`

// startBaresip runs baresip with one account until the test ends. play is a mono
// WAV file of srate, which must be the codec's: baresip's resampler has no filter.
func startBaresip(t *testing.T, account, play string, srate int) *baresip {
	t.Helper()
	if _, err := exec.LookPath("baresip"); err != nil {
		t.Fatal("baresip is not installed: apt-get install --no-install-recommends baresip-core")
	}
	b := &baresip{t: t, dir: t.TempDir(), evs: make(chan map[string]any, 256)}
	rec := filepath.Join(b.dir, "rec")
	if err := os.Mkdir(rec, 0o755); err != nil {
		t.Fatal(err)
	}
	b.write("config", fmt.Sprintf(baresipConfig, peerAddr, play, rec, srate))
	b.write("accounts", account+"\n")
	b.write("uuid", "8b6d2c4e-1111-4222-8333-944455556666\n")
	cmd := inPeerNS("baresip", "-f", b.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = b, b
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.conn != nil {
			_ = b.conn.Close()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Logf("baresip said:\n%s", b.log.String())
		}
	})
	b.dial()
	return b
}

func (b *baresip) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *baresip) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// dial connects the control connection, once baresip is up.
func (b *baresip) dial() {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", peerAddr+":24440", time.Second)
		if err == nil {
			b.conn = c
			go b.read()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("baresip does not come up: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// read takes baresip's netstrings: events and answers to commands.
func (b *baresip) read() {
	r := bufio.NewReader(b.conn)
	for {
		head, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(head, ":"))
		if err != nil || n < 0 || n > 1<<20 {
			return
		}
		buf := make([]byte, n+1) // and a comma
		if _, err := io.ReadFull(r, buf); err != nil {
			return
		}
		var ev map[string]any
		if json.Unmarshal(buf[:n], &ev) == nil {
			select {
			case b.evs <- ev:
			default: // a test that does not wait for events
			}
		}
	}
}

// do gives baresip a command.
func (b *baresip) do(command, params string) {
	b.t.Helper()
	m, err := json.Marshal(map[string]string{"command": command, "params": params, "token": "t"})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(m), m); err != nil {
		b.t.Fatal(err)
	}
}

// wait waits for an event such as CALL_ESTABLISHED.
func (b *baresip) wait(typ string) {
	b.t.Helper()
	timeout := time.After(15 * time.Second)
	var seen []string
	for {
		select {
		case ev := <-b.evs:
			if ev["type"] == typ {
				return
			}
			if ev["type"] != nil {
				seen = append(seen, fmt.Sprint(ev["type"], " ", ev["param"]))
			}
		case <-timeout:
			b.t.Fatalf("baresip did not report %s; it reported %q", typ, seen)
		}
	}
}

// heard is the recording of what baresip heard.
func (b *baresip) heard() string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "rec", "*-dec.wav"))
	if err != nil || len(files) != 1 {
		b.t.Fatalf("recordings of what baresip heard: %v (%v), want one", files, err)
	}
	return files[0]
}
