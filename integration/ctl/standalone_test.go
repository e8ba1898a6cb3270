package ctl

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

// TestDiskAlmostFull: a disk that is 90 % full is named with its folder, and forgotten when there is room. It needs root,
// since it mounts a disk of its own.
func TestDiskAlmostFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=300m"); err != nil {
		t.Fatalf("this test mounts a small tmpfs on a folder of its own and must run as root: mount: %v", err)
	}
	t.Cleanup(func() { // runs after the process's end, which is registered later
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", disk, err)
		}
	})
	t.Setenv("GYR_COORDINATOR_PROBE_INTERVAL", "300ms")
	data := filepath.Join(disk, "data")
	s := harness.StartStandalone(t, data)
	untilWell(t, s.Addr, healed)
	ballast := filepath.Join(disk, "ballast")
	fill(t, disk, ballast, 91)
	a := untilSays(t, s.Addr, noticed, "the disk under "+data)
	if !regexp.MustCompile(`is 9\d % full \(\d+ MiB of 300 MiB are free\): writes are refused when it is full`).MatchString(a.out) {
		t.Errorf("the sentence lacks numbers: %s", a)
	}
	if n := len(a.problems()); n != 1 {
		t.Errorf("%d sentences, want one: %s", n, a)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	untilWell(t, s.Addr, healed)
}

// fill makes a disk some percent full.
func fill(t *testing.T, disk, ballast string, percent uint64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := (st.Blocks*percent/100 - (st.Blocks - st.Bfree)) * uint64(st.Bsize)
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(size)); err != nil {
		t.Fatalf("fill the disk: %v", err)
	}
}

// TestGarbageDryRun: every object is listed with what is to happen to it and why, and nothing is removed.
func TestGarbageDryRun(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Create(ctx, client.Spec{Name: "kept", Dim: 8}); err != nil {
		t.Fatal(err)
	}
	m := crash.NewModel(8)
	var rows []client.Row
	for k := range int64(100) {
		rows = append(rows, m.Row(k, 1))
	}
	if err := c.InsertRows(ctx, "kept", rows); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteWhere(ctx, "kept", "key < 10"); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushWait(ctx, "kept"); err != nil {
		t.Fatal(err)
	}
	young, old := stray(t, s.Dir, "young", 0), stray(t, s.Dir, "old", 2*time.Hour)
	a := run(t, "gc", "--dry-run", "--address", s.Addr)
	if a.code != 0 || a.err != "" {
		t.Fatal(a)
	}
	objects := objectsOf(t, s.Dir)
	for _, key := range objects {
		want := `keep +\d+ KiB +` + regexp.QuoteMeta(key) + ` +the manifest of collection \d+ shard 0 names it`
		switch key {
		case young:
			want = `keep +1 KiB +` + regexp.QuoteMeta(key) + ` +nothing names it, but it is younger than 1h0m0s`
		case old:
			want = `remove +1 KiB +` + regexp.QuoteMeta(key) + ` +nothing names it`
		}
		if !regexp.MustCompile(`(?m)^` + want + ` *$`).MatchString(a.out) {
			t.Errorf("no line %q in\n%s", want, a.out)
		}
	}
	if len(objects) < 4 { // rows, deltas, two strays
		t.Errorf("only %d objects: %q", len(objects), objects)
	}
	if want := fmt.Sprintf("1 objects (1 KiB) would be removed, %d objects", len(objects)-1); !strings.Contains(a.out, want) {
		t.Errorf("no %q in\n%s", want, a.out)
	}
	if after := objectsOf(t, s.Dir); len(after) != len(objects) {
		t.Errorf("a dry run changed the objects from %q to %q", objects, after)
	}
	if a := run(t, "gc", "--address", s.Addr); a.code != 2 || !strings.Contains(a.err, "--dry-run") {
		t.Errorf("gc without --dry-run: %s", a)
	}
}

// stray writes an object of some age that nothing names.
func stray(t *testing.T, dir, name string, age time.Duration) string {
	t.Helper()
	key := "segments/999/0/" + name + "/rows.parquet"
	path := filepath.Join(dir, "objects", filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("stray"), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	return key
}

// objectsOf lists the keys in the folders of garbage collection.
func objectsOf(t *testing.T, dir string) []string {
	t.Helper()
	root := filepath.Join(dir, "objects")
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(root, path) // path is below root
			for _, folder := range []string{"segments", "deltas", "indexes"} {
				if strings.HasPrefix(rel, folder+"/") {
					out = append(out, filepath.ToSlash(rel))
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestConfigShow: each value has its origin, down to the line of a file.
func TestConfigShow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gyr.yaml")
	text := "# settings\nlog:\n  level: debug\ncoordinator:\n  gc:\n    grace: 90m\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GYR_COORDINATOR_GC_INTERVAL", "7m")
	a := run(t, "config", "show", "--role", "standalone", "--config", file, "--log-format", "json")
	if a.code != 0 {
		t.Fatal(a)
	}
	for key, want := range map[string]string{
		"log.level":               `debug +# ` + regexp.QuoteMeta(file) + ":3",
		"coordinator.gc.grace":    `1h30m0s +# ` + regexp.QuoteMeta(file) + ":6",
		"coordinator.gc.interval": "7m0s +# env GYR_COORDINATOR_GC_INTERVAL",
		"log.format":              "json +# flag --log-format",
		"dataDir":                 "./data +# default",
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(key) + ` +` + want + `$`).MatchString(a.out) {
			t.Errorf("no %s with %q in\n%s", key, want, a.out)
		}
	}
	if err := os.WriteFile(file, []byte("coordinator:\n  gc:\n    grase: 90m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := run(t, "config", "show", "--role", "standalone", "--config", file); a.code != 2 || !strings.Contains(a.err, file+":3") || !strings.Contains(a.err, "grase") {
		t.Errorf("a misspelt key: %s", a)
	}
	if a := run(t, "config", "show", "--role", "nobody"); a.code != 2 || !strings.Contains(a.err, "datanode") {
		t.Errorf("a role that is not there: %s", a)
	}
}
