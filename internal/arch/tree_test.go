package arch

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// goFile is one parsed Go file of the tree.
type goFile struct {
	path string // from the root, with slashes
	src  []byte
	fset *token.FileSet
	ast  *ast.File
}

func (f *goFile) dir() string  { return path.Dir(f.path) }
func (f *goFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// in reports whether the file is in one of the directories or under it.
func (f *goFile) in(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return under(f.dir(), d) })
}

// at formats a finding of this file.
func (f *goFile) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, f.fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// imports yields the import specs by path.
func (f *goFile) imports(yield func(string, *ast.ImportSpec) bool) {
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil && !yield(p, spec) {
			return
		}
	}
}

// under reports whether p is dir or lies in it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// walk calls f for each file of the tree but those of version control.
func walk(tree fs.FS, f func(p string, size int64) error) error {
	return fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went while we looked
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		return f(p, info.Size())
	})
}

// goFiles parses the Go files of the tree; a file that does not parse is an error.
func goFiles(tree fs.FS) ([]*goFile, error) {
	var files []*goFile
	err := walk(tree, func(p string, _ int64) error {
		if path.Ext(p) != ".go" || slices.Contains(strings.Split(p, "/"), "testdata") {
			return nil
		}
		src, err := fs.ReadFile(tree, p)
		if err != nil {
			return fmt.Errorf("arch: read %s: %w", p, err)
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("arch: %w", err)
		}
		files = append(files, &goFile{path: p, src: src, fset: fset, ast: parsed})
		return nil
	})
	return files, err
}

// isBinary looks for a NUL in the file's beginning, as git does.
func isBinary(tree fs.FS, p string) (bool, error) {
	f, err := tree.Open(p)
	if err != nil {
		return false, fmt.Errorf("arch: open %s: %w", p, err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 8000))
	if err != nil {
		return false, fmt.Errorf("arch: read %s: %w", p, err)
	}
	return bytes.IndexByte(head, 0) >= 0, nil
}

// module is a line of go.mod's require blocks.
type module struct {
	path     string
	indirect bool
}

// requirements reads go.mod's module path and what it requires.
func requirements(tree fs.FS) (self string, required []module, err error) {
	text, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		return "", nil, fmt.Errorf("arch: read go.mod: %w", err)
	}
	block := ""
	for line := range strings.Lines(string(text)) {
		code, comment, _ := strings.Cut(line, "//")
		f := strings.Fields(code)
		verb := block
		switch {
		case len(f) == 0:
			continue
		case f[0] == ")":
			block = ""
			continue
		case len(f) == 2 && f[1] == "(":
			block = f[0]
			continue
		case block == "":
			verb, f = f[0], f[1:]
		}
		switch {
		case verb == "module" && len(f) == 1:
			self = f[0]
		case verb == "require" && len(f) == 2:
			required = append(required, module{path: f[0], indirect: strings.TrimSpace(comment) == "indirect"})
		}
	}
	return self, required, nil
}
