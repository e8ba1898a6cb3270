package diskcache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
)

func open(t *testing.T, dir string, limit int64) *Cache {
	t.Helper()
	c, err := Open(Config{Dir: dir, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestBound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when needed")
	c := open(t, dir, 100)
	a, err := c.Create(60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create(41); !errs.Is(err, errs.DiskLimit) {
		t.Fatalf("a file that does not fit: %v", err)
	}
	if _, err := a.WriteAt(make([]byte, 11), 50); err == nil {
		t.Fatal("a file grows beyond what was set aside for it")
	}
	if _, err := a.WriteAt([]byte("end"), 57); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := a.ReadAt(b, 57); err != nil || string(b) != "end" {
		t.Fatalf("%q %v", b, err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(a.Path()); !os.IsNotExist(err) {
		t.Fatalf("a closed file is still there: %v", err)
	}
	if used, limit := c.Usage(); used != 0 || limit != 100 {
		t.Fatal(used, limit)
	}
	last, err := c.Create(100)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := last.Close(); err != nil { // after its cache
		t.Fatal(err)
	}
	if _, err := c.Create(1); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("a file of a closed cache: %v", err)
	}
	if n := entries(t, dir); n != 0 {
		t.Fatalf("%d entries left", n)
	}
}

// TestFoldersOfTheDead: what a process left is removed by the next one, what a live one uses is not.
func TestFoldersOfTheDead(t *testing.T) {
	dir := t.TempDir()
	dead := open(t, dir, 10)
	if _, err := dead.Create(5); err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // as the end of its process does
	live := open(t, dir, 10)
	f, err := live.Create(5)
	if err != nil {
		t.Fatal(err)
	}
	third := open(t, dir, 10)
	if n := entries(t, dir); n != 2 {
		t.Fatalf("%d folders, want those of the two that live", n)
	}
	if _, err := os.Stat(f.Path()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Cache{live, third} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if c := open(t, dir, 0); c.limit <= 0 {
		t.Fatalf("no bound by free space: %d", c.limit)
	} else if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
