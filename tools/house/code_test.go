package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Bounds of the house. They keep the tails short, not the middle.
const (
	maxMain   = 40
	maxFile   = 500
	maxParams = 4
)

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 && p.path() != "pkg/rpc/pb" { // generated
			t.Errorf("%s has no package comment: say what it owns, what it does not, and its invariants", p.path())
		}
	}
}

// eachGo calls fn with every Go file outside tests, parsed.
func eachGo(t *testing.T, fn func(path string, text []byte, file *ast.File, at func(ast.Node) string)) {
	t.Helper()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(raw[:min(len(raw), 400)], []byte("Code generated")) {
				continue
			}
			fset := token.NewFileSet()
			path := p.path() + "/" + name
			file, err := parser.ParseFile(fset, path, raw, parser.SkipObjectResolution)
			if err != nil {
				t.Error(err)
				continue
			}
			fn(path, raw, file, func(n ast.Node) string { return path + ":" + itoa(fset.Position(n.Pos()).Line) })
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	eachGo(t, func(path string, text []byte, _ *ast.File, _ func(ast.Node) string) {
		lines, bound, remedy := bytes.Count(text, []byte("\n")), maxFile, "give one of its subjects a file of its own"
		if strings.HasPrefix(path, "services/") && strings.Contains(path, "/cmd/") {
			bound, remedy = maxMain, "move the rest into the service's package"
		}
		if lines > bound {
			t.Errorf("%s has %d lines, more than %d: %s", path, lines, bound, remedy)
		}
	})
}

func TestNothingRegistersItself(t *testing.T) {
	eachGo(t, func(_ string, _ []byte, file *ast.File, at func(ast.Node) string) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init: let main build the table and pass it on", at(f))
			}
		}
	})
}

func TestConstructorsTakeFewParameters(t *testing.T) {
	eachGo(t, func(_ string, _ []byte, file *ast.File, at func(ast.Node) string) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "New") {
				continue
			}
			if n := f.Type.Params.NumFields(); n > maxParams {
				t.Errorf("%s: %s takes %d parameters, more than %d: use a Config and a Deps struct", at(f), f.Name.Name, n, maxParams)
			}
		}
	})
}
