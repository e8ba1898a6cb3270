package file

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/objtest"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	objtest.Run(t, objtest.Suite{New: func(t *testing.T) objstore.Store { return open(t, t.TempDir()) }})
}

// TestTwoStores: two processes on one folder, of which one prunes folders that the other knows.
func TestTwoStores(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	for range 3 {
		if err := a.Put(t.Context(), "x/y/z", bytes.NewReader(nil), 0, objstore.PutOptions{IfAbsent: true}); err != nil {
			t.Fatal(err)
		}
		if err := b.Delete(t.Context(), "x/y/z"); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Put(t.Context(), "a", bytes.NewReader([]byte("x")), 1, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_ = s.Put(t.Context(), "b", bytes.NewReader(nil), 1, objstore.PutOptions{})
	_ = s.Put(t.Context(), "a", bytes.NewReader([]byte("x")), 1, objstore.PutOptions{IfAbsent: true})
	temp := filepath.Join(dir, tempName)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("Put leaves %v", left)
	}
	for name, age := range map[string]time.Duration{"old": 2 * staleTemp, "new": 0} {
		path := filepath.Join(temp, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	if left, _ := os.ReadDir(temp); len(left) != 1 || left[0].Name() != "new" {
		t.Errorf("Open leaves %v", left)
	}
	if err := s.Put(t.Context(), tempName+"/x", bytes.NewReader(nil), 0, objstore.PutOptions{}); err == nil {
		t.Error("a key among the temporary files was taken")
	}
}

// TestFull fills a small file system, where the test may mount one.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %s", out)
	}
	defer exec.Command("umount", dir).Run()
	s := open(t, dir)
	err := s.Put(t.Context(), "big", bytes.NewReader(make([]byte, 2<<20)), 2<<20, objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrFull) {
		t.Errorf("a full disk: %v", err)
	}
	if err := s.Put(t.Context(), "small", bytes.NewReader(nil), 0, objstore.PutOptions{}); err != nil {
		t.Errorf("the failed Put still takes the room: %v", err)
	}
}
