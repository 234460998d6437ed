package peercall_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadmeProgram builds and runs the README's first program exactly as printed.
func TestReadmeProgram(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n```go\n")
	program, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatal("README.md has no ```go block")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "run", file).CombinedOutput()
	if err != nil {
		t.Fatalf("go run: %v\n%s", err, out)
	}
	const want = "heard half a second over DTLS-SRTP AEAD_AES_128_GCM\n"
	if string(out) != want {
		t.Errorf("the README's program printed %q, want %q", out, want)
	}
}

// TestReadmeTests: every test that the README's tables name exists.
func TestReadmeTests(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" `|,\n()", r) }) {
		if len(word) > 4 && word[4] < 'a' && (strings.HasPrefix(word, "Test") || strings.HasPrefix(word, "Fuzz")) {
			named[strings.TrimSuffix(word, "...")] = false
		}
	}
	if len(named) < 20 {
		t.Errorf("README.md names %d tests, want a test for each row of its tables", len(named))
	}
	err = filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name, found := range named {
			if !found && strings.Contains(string(src), "\nfunc "+name) {
				named[name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, found := range named {
		if !found {
			t.Errorf("README.md names %s, and there is no such test", name)
		}
	}
}
