package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

const self = "github.com/peercall/peercall"

// rule looks at a tree and returns what is wrong with it, one finding each.
type rule struct {
	name  string
	check func(tree fs.FS, files []*goFile) ([]string, error)
}

func rules() []rule {
	return []rule{
		{"rooms", eachFile(rooms)},
		{"pion majors", eachFile(majors)},
		{"file length", eachFile(length)},
		{"sockets", eachFile(sockets)},
		{"init", eachFile(noInit)},
		{"cgo", eachFile(noCgo)},
		{"unfinished work", eachFile(unfinished)},
		{"package names", eachFile(packageNames)},
		{"dependency table", dependencyTable},
		{"binaries", binaries},
	}
}

func eachFile(check func(*goFile) []string) func(fs.FS, []*goFile) ([]string, error) {
	return func(_ fs.FS, files []*goFile) ([]string, error) {
		var found []string
		for _, f := range files {
			found = append(found, check(f)...)
		}
		return found, nil
	}
}

// mayNotEnter says which rooms of ours the packages of a directory may not
// import, tests included: what is meant to be useful alone is tested alone.
func mayNotEnter(dir string) []string {
	switch {
	case under(dir, "sip"):
		return []string{"ice", "media", "session", "examples", "interop"}
	case under(dir, "ice"):
		return []string{"sip", "media", "session", "examples", "interop"}
	case under(dir, "media"):
		return []string{"sip", "ice", "session", "examples", "interop"}
	case under(dir, "session/internal"):
		// Pure: what these packages decide is carried out by session.
		return []string{"sip", "ice", "media", "examples", "interop"}
	case under(dir, "session"):
		return []string{"examples", "interop"}
	case under(dir, "internal"):
		return []string{"sip", "ice", "media", "session", "examples", "interop"}
	case under(dir, "examples") && !strings.Contains(dir+"/", "/internal/"):
		// What an example does, an application can do.
		return []string{"internal", "session/internal", "sip/internal", "ice/internal", "media/internal"}
	}
	return nil
}

// rooms holds the map of the packages.
func rooms(f *goFile) []string {
	var found []string
	for p, spec := range f.imports {
		if p == "github.com/pion/sdp/v3" && !f.in("session", "interop") {
			found = append(found, f.at(spec.Pos(), "imports %s: only session speaks SDP", p))
		}
		if under(p, "github.com/pion") && f.in("sip") {
			found = append(found, f.at(spec.Pos(), "imports %s: sip is useful without media", p))
		}
		if !under(p, self) {
			continue
		}
		target := strings.TrimPrefix(strings.TrimPrefix(p, self), "/")
		if f.dir() == "." && !f.isTest() {
			found = append(found, f.at(spec.Pos(), "the root package is documentation only, but imports %s", target))
		}
		if f.in("examples") && f.isTest() {
			continue
		}
		for _, room := range mayNotEnter(f.dir()) {
			if under(target, room) {
				found = append(found, f.at(spec.Pos(), "imports %s: %s may not enter %s", target, f.dir(), room))
			}
		}
		if under(target, "internal/netsim") && !f.isTest() && !f.in("session/sessiontest", "internal/netsim") {
			found = append(found, f.at(spec.Pos(), "imports the simulated network outside tests and session/sessiontest"))
		}
	}
	return found
}

// major is the one major version of each pion module that we use.
func major(name string) string {
	return map[string]string{
		"dtls": "v3", "ice": "v4", "sdp": "v3", "srtp": "v3", "stun": "v4", "transport": "v5", "turn": "v5",
	}[name]
}

// majors: two majors of one module have two sets of types and twice the code.
func majors(f *goFile) []string {
	var found []string
	for p, spec := range f.imports {
		rest, ok := strings.CutPrefix(p, "github.com/pion/")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, "/")
		if name == "webrtc" {
			found = append(found, f.at(spec.Pos(), "imports %s: not in the library", p))
		}
		got, _, _ := strings.Cut(rest, "/")
		if want := major(name); want != "" && got != want {
			found = append(found, f.at(spec.Pos(), "imports %s: of pion/%s we use %s", p, name, want))
		}
	}
	return found
}

const longest = 500

var excuse = regexp.MustCompile(`(?m)^// Over 500 lines: \S`)

func length(f *goFile) []string {
	n := bytes.Count(f.src, []byte("\n"))
	if n <= longest || excuse.Match(f.src) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines, at most %d without a comment line \"// Over 500 lines: <reason>\"", f.path, n, longest)}
}

// opens reports whether a function or type of a package opens sockets or asks
// the name service behind the back of Network.
func opens(pkg, name string) bool {
	switch pkg {
	case "net":
		return strings.HasPrefix(name, "Dial") || strings.HasPrefix(name, "Listen") && name != "Listener" ||
			strings.HasPrefix(name, "Lookup") || strings.HasPrefix(name, "Resolve") ||
			slices.Contains([]string{
				"Resolver", "DefaultResolver", "Interfaces", "InterfaceAddrs",
				"InterfaceByName", "FileConn", "FilePacketConn", "FileListener",
			}, name)
	case "crypto/tls":
		return strings.HasPrefix(name, "Dial") || name == "Listen"
	}
	return false
}

// sockets: every socket, dial, listen and name look-up goes through Network.
// internal/netsim names net's types because pion's interface does; the rule for rooms
// keeps it out of applications.
func sockets(f *goFile) []string {
	if f.isTest() || f.in("internal/sysnet", "internal/netsim", "examples", "interop") {
		return nil
	}
	names := map[string]string{} // local name -> import path
	for p, spec := range f.imports {
		if p != "net" && p != "crypto/tls" {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	var found []string
	if p, ok := names["."]; ok {
		found = append(found, f.path+": dot import of "+p)
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && opens(names[x.Name], sel.Sel.Name) {
			found = append(found, f.at(sel.Pos(), "%s.%s outside internal/sysnet: go through Network", x.Name, sel.Sel.Name))
		}
		return true
	})
	return found
}

func noInit(f *goFile) []string {
	var found []string
	for _, d := range f.ast.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.at(fn.Pos(), "an init function"))
		}
	}
	return found
}

func noCgo(f *goFile) []string {
	var found []string
	for p, spec := range f.imports {
		if p == "C" {
			found = append(found, f.at(spec.Pos(), "cgo"))
		}
	}
	return found
}

var mark = regexp.MustCompile(`\b(TODO|FIXME)\b`)

func unfinished(f *goFile) []string {
	var found []string
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			if m := mark.FindString(c.Text); m != "" {
				found = append(found, f.at(c.Pos(), "%s in a comment: do it, or write an issue", m))
			}
		}
	}
	return found
}

var shapeless = regexp.MustCompile(`^(utils?|common|helpers?|types)$`)

// packageNames: a package is named for the thing it is.
func packageNames(f *goFile) []string {
	name := strings.TrimSuffix(f.ast.Name.Name, "_test")
	if shapeless.MatchString(name) || shapeless.MatchString(path.Base(f.dir())) {
		return []string{f.at(f.ast.Package, "package %s in %s says nothing by its name", name, f.dir())}
	}
	return nil
}

const architecture = "docs/ARCHITECTURE.md"

// dependencyTable: each module that we import, or that go.mod calls direct, has a row
// that says what it is for.
func dependencyTable(tree fs.FS, files []*goFile) ([]string, error) {
	_, required, err := requirements(tree)
	if err != nil {
		return nil, err
	}
	direct := map[string]bool{}
	for _, m := range required {
		if !m.indirect {
			direct[m.path] = true
		}
	}
	for _, f := range files {
		for p := range f.imports {
			for _, m := range required {
				if under(p, m.path) {
					direct[m.path] = true
				}
			}
		}
	}
	text, err := fs.ReadFile(tree, architecture)
	if err != nil {
		return []string{fmt.Sprintf("%s is missing: it holds the table of dependencies, one row each for %s",
			architecture, strings.Join(slices.Sorted(maps.Keys(direct)), ", "))}, nil
	}
	var found []string
	for _, p := range slices.Sorted(maps.Keys(direct)) {
		row := regexp.MustCompile(`(?m)^\|.*[^\w.\n-]` + regexp.QuoteMeta(p) + `([^\w./-]|$)`)
		if !row.Match(text) {
			found = append(found, fmt.Sprintf("%s: no table row names %s, a direct dependency", architecture, p))
		}
	}
	return found, nil
}

const largest = 300 << 10

func binaries(tree fs.FS, _ []*goFile) ([]string, error) {
	var found []string
	err := walk(tree, func(p string, size int64) error {
		if size <= largest {
			return nil
		}
		binary, err := isBinary(tree, p)
		if binary {
			found = append(found, fmt.Sprintf("%s: a binary of %d KiB, at most %d", p, size>>10, largest>>10))
		}
		return err
	})
	return found, err
}
