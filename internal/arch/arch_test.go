package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRepository holds the rules against the tree we are in.
func TestRepository(t *testing.T) {
	tree := os.DirFS("../..")
	module, _, err := requirements(tree)
	if err != nil {
		t.Fatal(err)
	}
	if module != self {
		t.Fatalf("go.mod is %q, the rules are for %q", module, self)
	}
	files, err := goFiles(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			found, err := r.check(tree, files)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				t.Error(f)
			}
		})
	}
}

// sample makes a tree of one file per "-- name --" line.
func sample(text string) fstest.MapFS {
	tree := fstest.MapFS{}
	name := ""
	for line := range strings.Lines(text) {
		if s, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(s), " --")
			tree[name] = &fstest.MapFile{}
			continue
		}
		tree[name].Data = append(tree[name].Data, line...)
	}
	return tree
}

// file is a Go file that imports one thing.
func file(name, pkg, imported string) string {
	return "-- " + name + " --\npackage " + pkg + "\n\nimport _ \"" + imported + "\"\n"
}

// TestRules shows that each rule can fail, and lets the decent pass.
func TestRules(t *testing.T) {
	const mod = "-- go.mod --\nmodule example.org/x\n\nrequire example.org/one v1.0.0\n\nrequire (\n" +
		"\texample.org/two v1.0.0 // indirect\n\texample.org/three/v2 v2.0.0\n\texample.org/four v1.0.0 // indirect\n)\n"
	long := strings.Repeat("// line\n", 500)
	for _, tt := range []struct {
		rule, tree string
		want       []string // one part of each finding, in order
	}{
		{"rooms", file("sip/a.go", "sip", self+"/ice"), []string{"sip/a.go:3: imports ice"}},
		{"rooms", file("sip/a_test.go", "sip", self+"/media/jitter"), []string{"imports media/jitter"}},
		{"rooms", file("sip/registrar/a.go", "registrar", self+"/session"), []string{"imports session"}},
		{"rooms", file("ice/a.go", "ice", self+"/sip"), []string{"imports sip"}},
		{"rooms", file("media/g711/a.go", "g711", self+"/ice/relay"), []string{"imports ice/relay"}},
		{"rooms", file("internal/netsim/a.go", "netsim", self+"/sip"), []string{"imports sip"}},
		{"rooms", file("session/internal/negotiate/a.go", "negotiate", self+"/media"), []string{"imports media"}},
		{"rooms", file("session/a.go", "session", self+"/examples/call"), []string{"imports examples/call"}},
		{"rooms", file("doc.go", "peercall", self+"/session"), []string{"documentation only"}},
		{"rooms", file("examples/call/main.go", "main", self+"/internal/sysnet"), []string{"imports internal/sysnet"}},
		{"rooms", file("media/a.go", "media", "github.com/pion/sdp/v3"), []string{"only session speaks SDP"}},
		{"rooms", file("sip/a.go", "sip", "github.com/pion/stun/v4"), []string{"sip is useful without media"}},
		{"rooms", file("session/a.go", "session", self+"/internal/netsim"), []string{"simulated network"}},
		{"rooms", file("session/a.go", "session", self+"/sip") + file("session/internal/negotiate/a.go", "negotiate", "github.com/pion/sdp/v3") +
			file("session/sessiontest/a.go", "sessiontest", self+"/internal/netsim") + file("sip/a_test.go", "sip", self+"/internal/netsim") +
			file("sip/a.go", "sip", self+"/sip/internal/transport") + file("examples/call/main.go", "main", self+"/session") +
			file("media/a.go", "media", self+"/media/jitter") + file("ice/a.go", "ice", self+"/internal/sysnet") +
			file("siphon/a.go", "siphon", self+"/ice"), nil},

		{"pion majors", file("ice/a.go", "ice", "github.com/pion/ice/v3"), []string{"of pion/ice we use v4"}},
		{"pion majors", file("ice/a_test.go", "ice", "github.com/pion/stun"), []string{"of pion/stun we use v4"}},
		{"pion majors", file("ice/a.go", "ice", "github.com/pion/transport/v4/vnet"), []string{"of pion/transport we use v5"}},
		{"pion majors", file("interop/a.go", "interop", "github.com/pion/webrtc/v4"), []string{"not in the library"}},
		{"pion majors", file("ice/a.go", "ice", "github.com/pion/turn/v5") + file("media/a.go", "media", "github.com/pion/rtp"), nil},

		{"file length", "-- a/a.go --\npackage a\n" + long, []string{"a/a.go: 501 lines"}},
		{"file length", "-- a/a.go --\npackage a\n// Over 500 lines:\n" + long, []string{"a/a.go: 502 lines"}},
		{"file length", "-- a/a.go --\npackage a\n// Over 500 lines: one table.\n" + long, nil},
		{"file length", "-- a/a.go --\npackage a\n" + long[8:], nil},

		{"sockets", "-- sip/a.go --\npackage sip\nimport \"net\"\nfunc f() { net.Dial(\"udp\", \"\") }\n", []string{"sip/a.go:3: net.Dial"}},
		{"sockets", "-- sip/a.go --\npackage sip\nimport \"net\"\nvar a, b, c = net.DefaultResolver, net.Resolver{}, net.ListenConfig{}\n", []string{"net.DefaultResolver", "net.Resolver", "net.ListenConfig"}},
		{"sockets", "-- sip/a.go --\npackage sip\nimport n \"net\"\nvar a = n.ListenUDP\n", []string{"n.ListenUDP"}},
		{"sockets", "-- sip/a.go --\npackage sip\nimport . \"net\"\nvar a = ListenUDP\n", []string{"dot import"}},
		{"sockets", "-- sip/a.go --\npackage sip\nimport \"crypto/tls\"\nvar a = tls.Dial\n", []string{"tls.Dial"}},
		{"sockets", "-- sip/a.go --\npackage sip\nimport \"net\"\nvar a net.Listener\nvar b net.Addr\nfunc f(x interface{ Dial() }) { x.Dial() }\n" +
			"-- sip/a_test.go --\npackage sip\nimport \"net\"\nvar _ = net.Dial\n" +
			"-- internal/sysnet/a.go --\npackage sysnet\nimport \"net\"\nvar _ = net.Dialer{}\n" +
			"-- examples/x/main.go --\npackage main\nimport \"net\"\nvar _ = net.Listen\n", nil},

		{"init", "-- a/a.go --\npackage a\nfunc init() {}\n", []string{"a/a.go:2: an init function"}},
		{"init", "-- a/a.go --\npackage a\ntype t int\nfunc (t) init() {}\n", nil},

		{"cgo", file("a/a.go", "a", "C"), []string{"a/a.go:3: cgo"}},

		{"unfinished work", "-- a/a.go --\npackage a\n\n/* x\n" + "TO" + "DO: y */\n", []string{"a/a.go:3"}},
		{"unfinished work", "-- a/a.go --\npackage a\n// FIX" + "ME\n", []string{"a/a.go:2"}},
		{"unfinished work", "-- a/a.go --\npackage a\nvar s = \"TO" + "DO\" // a word of the game\n", nil},

		{"package names", "-- sip/util/a.go --\npackage siputil\n", []string{"sip/util"}},
		{"package names", "-- sip/x/a_test.go --\npackage helpers_test\n", []string{"package helpers"}},
		{"package names", "-- sip/a.go --\npackage sip\n", nil},

		{"dependency table", mod, []string{"docs/ARCHITECTURE.md is missing: it holds the table of dependencies, one row each for example.org/one, example.org/three/v2"}},
		{
			"dependency table", mod + file("a/a.go", "a", "example.org/four/sub") + "-- docs/ARCHITECTURE.md --\n| example.org/one v1.0.0 | x |\nexample.org/three/v2\n| example.org/fourth | |\n",
			[]string{"names example.org/four,", "names example.org/three/v2,"},
		},
		{"dependency table", mod + "-- docs/ARCHITECTURE.md --\n| what | module |\n| - | - |\n| x | `example.org/one` |\n| y | [three](https://example.org/three/v2) |\n", nil},

		{"binaries", "-- a.bin --\n\x00" + strings.Repeat("x", 300<<10), []string{"a.bin: a binary of 300 KiB"}},
		{"binaries", "-- a.txt --\n" + strings.Repeat("x", 301<<10) + "\n-- b.bin --\n\x00" + strings.Repeat("x", 299<<10) +
			"\n-- .git/pack --\n\x00" + strings.Repeat("x", 400<<10), nil},
	} {
		tree := sample(tt.tree)
		files, err := goFiles(tree)
		if err != nil {
			t.Fatal(err)
		}
		found := run(t, tt.rule, tree, files)
		ok := len(found) == len(tt.want)
		for i := range found {
			ok = ok && strings.Contains(found[i], tt.want[i])
		}
		if !ok {
			t.Errorf("%s: got %q, want %q, in\n%.300s", tt.rule, found, tt.want, tt.tree)
		}
	}
}

func run(t *testing.T, name string, tree fstest.MapFS, files []*goFile) []string {
	t.Helper()
	for _, r := range rules() {
		if r.name == name {
			found, err := r.check(tree, files)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
	}
	t.Fatalf("no rule %q", name)
	return nil
}
