package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// prefix starts the import paths of the repository's packages.
const prefix = "github.com/gyr-db/gyr/"

// modules are those of go.work.
var modules = [...]string{"pkg/vector", "pkg", "services", "integration"}

// root is the repository's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil {
		t.Fatalf("the rules run from tools/house of the repository: %v", err)
	}
	return dir
}

// pack is a package as go list describes it. Path is relative to the repository: pkg/wal, services/proxy/cmd/gyr-proxy.
type pack struct {
	ImportPath, Dir, Name, Doc         string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
	Error                              *struct{ Err string }
}

func (p *pack) path() string { return strings.TrimPrefix(p.ImportPath, prefix) }

// listOnce runs go list once for all rules.
var listOnce = sync.OnceValues(list)

// packages lists every package of the workspace.
func packages(t *testing.T) []*pack {
	t.Helper()
	out, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range out {
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
	}
	return out
}

func list() ([]*pack, error) {
	args := []string{"list", "-e", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,TestImports,XTestImports,Error"}
	for _, m := range modules {
		args = append(args, "./"+m+"/...")
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = filepath.Join("..", ".."), append(os.Environ(), "GOWORK="), os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var out []*pack
	for dec := json.NewDecoder(strings.NewReader(string(raw))); ; {
		p := &pack{}
		err := dec.Decode(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		out = append(out, p)
	}
	if len(out) < 20 {
		return nil, fmt.Errorf("go list finds %d packages only: are all modules in go.work?", len(out))
	}
	return out, nil
}

// skipped are folders of what is fetched or built.
func skipped(name string) bool {
	switch name {
	case "bin", "data", "node_modules", "__pycache__", "testdata":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// eachFile calls fn with every text file of the repository, by its path in it.
func eachFile(t *testing.T, fn func(path string, text string)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != top && skipped(d.Name()) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || !isText(d.Name()) {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		fn(filepath.ToSlash(rel), string(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func isText(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".md", ".sh", ".py", ".js", ".mjs", ".ts", ".json", ".proto", ".yaml", ".yml", ".mod", ".work", ".txt", ".toml", ".s", ".html", "":
		return true
	}
	return false
}
