package vectorbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peerPackage says what Python has to install for a peer.
type peerPackage struct {
	peer     string
	packages []string // as pip takes them; versions are pinned, so that figures can be compared
	module   string   // what must be importable then
}

// Peers with the packages that hold them.
func peerPackages() []peerPackage {
	return []peerPackage{
		{"hnswlib", []string{"hnswlib==0.8.0"}, "hnswlib"},
		{"faiss", []string{"faiss-cpu==1.15.1"}, "faiss"},
		{"svs", []string{"scalable-vs==0.5.0"}, "svs"},
		{"svs-lvq8", []string{"scalable-vs==0.5.0"}, "svs"},
		{"qdrant", []string{"qdrant-edge-py==0.9.0"}, "qdrant_edge"},
	}
}

func peerNames() []string {
	var out []string
	for _, p := range peerPackages() {
		out = append(out, p.peer)
	}
	return out
}

func packageOf(peer string) peerPackage {
	for _, p := range peerPackages() {
		if p.peer == peer {
			return p
		}
	}
	return peerPackage{}
}

// installLimit bounds one run of pip; hnswlib is compiled from its sources.
const installLimit = 15 * time.Minute

// environment is the virtual environment in the cache folder.
type environment struct {
	dir  string
	logf func(string, ...any)
}

func (e environment) python() string { return filepath.Join(e.dir, "bin", "python") }

// ensure makes the environment and installs a peer into it, once.
func (e environment) ensure(ctx context.Context, p peerPackage) error {
	unlock, err := e.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// A marker says that exactly these packages were installed and could be imported.
	marker := filepath.Join(e.dir, "installed-"+strings.Join(p.packages, "+"))
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	if _, err := os.Stat(e.python()); err != nil {
		e.logf("making a virtual environment in %s", e.dir)
		if err := command(ctx, "python3", "-m", "venv", e.dir); err != nil {
			return fmt.Errorf("making a virtual environment: %w; python3 with its venv module is needed", err)
		}
	}
	e.logf("installing %s", strings.Join(p.packages, " "))
	args := append([]string{"-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy"}, p.packages...)
	if err := command(ctx, e.python(), args...); err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(p.packages, " "), err)
	}
	if err := command(ctx, e.python(), "-c", "import numpy, "+p.module); err != nil {
		return fmt.Errorf("%s is installed but does not run here: %w", p.module, err)
	}
	return os.WriteFile(marker, nil, 0o644)
}

// lock keeps two runs from installing at the same time.
func (e environment) lock() (unlock func(), err error) {
	f, err := os.OpenFile(e.dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for another run to install: %w", err), f.Close())
	}
	return func() { f.Close() }, nil // closing lets go of the lock
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastLine(out.String()))
	}
	return nil
}

// lastLine is the last line that says something: Python puts the cause there.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
