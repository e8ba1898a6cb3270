package woodpecker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/mqtest"
)

func TestLocalConformance(t *testing.T) {
	for name, fileBytes := range map[string]int64{"woodpecker/local": 1 << 20, "woodpecker/local-small-files": 1024} {
		mqtest.Run(t, mqtest.Harness{Name: name, Exclusive: true, New: func(t *testing.T) mqtest.Connect {
			dir := t.TempDir()
			return func(t *testing.T) mq.Queue {
				q, err := OpenLocal(LocalConfig{Dir: dir, FileBytes: fileBytes}, LocalDeps{})
				if errors.Is(err, errLocked) {
					return nil
				}
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
		}})
	}
}

func TestLocalRefusesSecondProcess(t *testing.T) {
	dir := t.TempDir()
	q, err := OpenLocal(LocalConfig{Dir: dir}, LocalDeps{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenLocal(LocalConfig{Dir: dir}, LocalDeps{})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") || !strings.Contains(err.Error(), fmt.Sprint("pid ", os.Getpid())) {
		t.Errorf("second open: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if q, err = OpenLocal(LocalConfig{Dir: dir}, LocalDeps{}); err != nil {
		t.Fatalf("after the first closed: %v", err)
	}
	_ = q.Close()
}

func TestLocalConfig(t *testing.T) {
	for _, cfg := range []LocalConfig{{}, {Dir: "relative"}, {Dir: "/x", FileBytes: 1}, {Dir: "/x", MaxEntryBytes: 1 << 40}} {
		if _, err := OpenLocal(cfg, LocalDeps{}); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// logOf makes a queue on fs with a log in it.
func logOf(t *testing.T, fs FS, fileBytes int64) (*Local, mq.Log) {
	t.Helper()
	q := openMem(t, fs, fileBytes)
	err := q.Create(t.Context(), testID)
	if err != nil && !errors.Is(err, mq.ErrExists) {
		t.Fatal(err)
	}
	l, err := q.Open(t.Context(), testID, 0)
	if err != nil {
		t.Fatal(err)
	}
	return q, l
}

var testID = mq.LogID{Name: "l", UUID: "u"}

func openMem(t *testing.T, fs FS, fileBytes int64) *Local {
	t.Helper()
	q, err := OpenLocal(LocalConfig{Dir: "/d", FileBytes: fileBytes}, LocalDeps{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustAppend(t *testing.T, l mq.Log, data string) mq.Position {
	t.Helper()
	p, err := l.Append(t.Context(), []byte(data), mq.AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// contents reads all entries, whose positions must be dense from 1.
func contents(t *testing.T, l mq.Log) []string {
	t.Helper()
	tail, err := l.Tail(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for next := mq.Position(1); next < tail; {
		got, err := l.Read(t.Context(), next, 1<<20)
		if err != nil {
			t.Fatalf("read at %d: %v", next, err)
		}
		for _, e := range got {
			if e.Position != next {
				t.Fatalf("position %d, want %d", e.Position, next)
			}
			next++
			out = append(out, string(e.Data))
		}
	}
	return out
}

func TestFsyncFailureGoesOnInNewFile(t *testing.T) {
	fs := newMemFS()
	q, l := logOf(t, fs, 1<<20)
	mustAppend(t, l, "one")
	fail := 1
	fs.inject(func(op, name string) error {
		if op == "sync" && fail > 0 && name != spareName {
			fail--
			return errInjected
		}
		return nil
	})
	if p := mustAppend(t, l, "two"); p != 2 {
		t.Fatalf("position %d", p)
	}
	mustAppend(t, l, "three")
	names, _ := fs.ReadDir(q.dir("l"))
	if got := strings.Join(names, " "); !strings.Contains(got, "0000000003-00000000000000000002.log") {
		t.Errorf("files: %s", got)
	}
	fs = fs.kill() // the cache of the second file still holds the group whose sync failed
	_, l = logOf(t, fs, 1<<20)
	if got := strings.Join(contents(t, l), " "); got != "one two three" {
		t.Errorf("after a restart: %s", got)
	}
}

func TestSecondFsyncFailureStops(t *testing.T) {
	fs := newMemFS()
	_, l := logOf(t, fs, 1<<20)
	mustAppend(t, l, "one")
	fs.inject(func(op, name string) error {
		if op == "sync" && name != spareName {
			return errInjected
		}
		return nil
	})
	for range 2 {
		if _, err := l.Append(t.Context(), []byte("two"), mq.AppendOptions{}); !errors.Is(err, mq.ErrStopped) || !errors.Is(err, mq.ErrUncertain) {
			t.Fatalf("append: %v", err)
		}
	}
	if got := contents(t, l); len(got) != 1 {
		t.Errorf("readers see %q", got)
	}
	_, l = logOf(t, fs.kill(), 1<<20)
	if got := contents(t, l); got[0] != "one" || len(got) > 2 {
		t.Errorf("after a restart: %q", got)
	}
	mustAppend(t, l, "three")
}

func TestFullDisk(t *testing.T) {
	fs := newMemFS()
	q, l := logOf(t, fs, 1024)
	mustAppend(t, l, "one")
	q.logs["l"].wg.Wait() // the spare file is there
	full := func(ops ...string) {
		fs.inject(func(op, _ string) error {
			for _, o := range ops {
				if o == op {
					return errNoSpace
				}
			}
			return nil
		})
	}
	full("allocate", "write", "create")
	for _, size := range []int{10, 600, 5000} { // into the file, into the spare, into a new file
		if _, err := l.Append(t.Context(), make([]byte, size), mq.AppendOptions{}); !errors.Is(err, mq.ErrFull) {
			t.Fatalf("append of %d bytes to a full disk: %v", size, err)
		}
	}
	if err := q.Create(t.Context(), mq.LogID{Name: "m", UUID: "m"}); !errors.Is(err, mq.ErrFull) {
		t.Fatalf("create on a full disk: %v", err)
	}
	full()
	if p := mustAppend(t, l, "two"); p != 2 {
		t.Errorf("position %d", p)
	}
	if err := q.Create(t.Context(), mq.LogID{Name: "m", UUID: "m"}); err != nil {
		t.Error(err)
	}
	full("allocate", "write", "create")
	mustNotFail := fs.kill()
	_ = q.Close()
	mustNotFail.inject(func(op, name string) error {
		if op == "allocate" || op == "create" {
			return errNoSpace
		}
		return nil
	})
	q2 := openMem(t, mustNotFail, 1024)
	l2, err := q2.Open(context.Background(), testID, 0)
	if err != nil {
		t.Fatalf("start on a full disk: %v", err)
	}
	if got := strings.Join(contents(t, l2), " "); got != "one two" {
		t.Errorf("after a restart: %s", got)
	}
}

func TestMissingFileIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Local, error) { return OpenLocal(LocalConfig{Dir: dir, FileBytes: 1024}, LocalDeps{}) }
	q, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Create(t.Context(), testID); err != nil {
		t.Fatal(err)
	}
	l, err := q.Open(t.Context(), testID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		mustAppend(t, l, strings.Repeat("x", 600))
	}
	_ = q.Close()
	files, _ := filepath.Glob(filepath.Join(dir, logsName, "l", "*"+fileSuffix))
	if len(files) < 4 {
		t.Fatalf("files: %v", files)
	}
	if err := os.Remove(files[2]); err != nil {
		t.Fatal(err)
	}
	if q, err = open(); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := q.Open(t.Context(), testID, 0); !errors.Is(err, mq.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(files[3])) {
		t.Errorf("open with a file missing: %v", err)
	}
}

func TestDeleteSurvivesCrash(t *testing.T) {
	for _, op := range []string{"rename", "syncdir", "remove"} {
		fs := newMemFS()
		q, _ := logOf(t, fs, 1024)
		fs.inject(func(o, _ string) error {
			if o == op {
				return errInjected
			}
			return nil
		})
		if err := q.Delete(t.Context(), testID); err == nil {
			t.Fatalf("%s failed, delete did not", op)
		}
		q = openMem(t, fs.kill(), 1024)
		if err := q.Delete(t.Context(), testID); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Open(t.Context(), testID, 0); !errors.Is(err, mq.ErrUnknownLog) {
			t.Errorf("open after delete: %v", err)
		}
		if err := q.Create(t.Context(), testID); err != nil {
			t.Error(err)
		}
	}
}
