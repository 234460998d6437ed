//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// The two ends of the wire. The addresses exist in the namespaces only.
const (
	ourAddr  = "10.99.0.1"
	peerAddr = "10.99.0.2"
)

const insideEnv = "PEERCALL_INTEROP_PEER_NS"

// TestMain makes the namespaces and runs the test binary again inside the first.
func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) != "" {
		os.Exit(m.Run())
	}
	if os.Getuid() != 0 {
		fmt.Println("interop: network namespaces need root")
		os.Exit(1)
	}
	os.Exit(outside())
}

func outside() int {
	ours, peer := fmt.Sprintf("pc%da", os.Getpid()), fmt.Sprintf("pc%db", os.Getpid())
	defer func() {
		_ = ip("netns", "del", ours)
		_ = ip("netns", "del", peer)
	}()
	for _, args := range [][]string{
		{"netns", "add", ours},
		{"netns", "add", peer},
		{"-n", ours, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", peer},
		{"-n", ours, "addr", "add", ourAddr + "/24", "dev", "wire0"},
		{"-n", peer, "addr", "add", peerAddr + "/24", "dev", "wire0"},
		{"-n", ours, "link", "set", "wire0", "up"},
		{"-n", peer, "link", "set", "wire0", "up"},
		{"-n", ours, "link", "set", "lo", "up"},
		{"-n", peer, "link", "set", "lo", "up"},
	} {
		if err := ip(args...); err != nil {
			fmt.Println("interop: make the namespaces:", err)
			return 1
		}
	}
	self := exec.Command("ip", append([]string{"netns", "exec", ours}, os.Args...)...)
	self.Env = append(os.Environ(), insideEnv+"="+peer)
	self.Stdout, self.Stderr = os.Stdout, os.Stderr
	if err := self.Run(); err != nil {
		return 1
	}
	return 0
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// inPeerNS is a command that will run in the peer's namespace.
func inPeerNS(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", os.Getenv(insideEnv), name}, args...)...)
}
