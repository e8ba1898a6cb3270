package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/meta/etcd/embedded"
	"github.com/gyr-db/gyr/pkg/meta/metatest"
)

// childDir makes this test binary a process that runs a server on that folder until it is killed.
const childDir = "GYR_TEST_EMBEDDED_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestConformance(t *testing.T) {
	srv := start(t, t.TempDir())
	var roots atomic.Int64
	metatest.Run(t, metatest.Suite{
		New: func(t *testing.T) metatest.Open {
			root := fmt.Sprint("test-", roots.Add(1))
			return func(t *testing.T) meta.Store {
				s, err := srv.Open(context.Background(), root)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		},
	})
}

// TestCompaction is apart: it compacts under everybody's feet.
func TestCompaction(t *testing.T) {
	srv := start(t, t.TempDir())
	metatest.RunOne(t, "WatchCompacted", metatest.Suite{
		New: func(*testing.T) metatest.Open {
			return func(t *testing.T) meta.Store {
				s, err := srv.Open(context.Background(), "root")
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		},
		Compact: func(t *testing.T, _ meta.Store, rev int64) {
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{srv.Endpoint()}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Compact(context.Background(), rev); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestStartIsFastAndQuiet(t *testing.T) {
	var log bytes.Buffer
	began := time.Now()
	srv, err := embedded.Start(t.TempDir(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: "a"}}); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("ready after %s", took)
	if took > 3*time.Second {
		t.Errorf("ready after %s", took)
	}
	if log.Len() > 0 {
		t.Errorf("a start on an empty folder logs\n%s", &log)
	}
}

func TestFolderIsLocked(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir)
	if _, err := embedded.Start(dir, quiet()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server on the folder: %v", err)
	}
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatalf("the first server does not answer any more: %v", err)
	}
	s.Close()
}

// TestReopen: what was written is there again, also from a moved folder whose path is too long for a socket.
func TestReopen(t *testing.T) {
	base := t.TempDir()
	short := filepath.Join(base, "short")
	long := filepath.Join(base, "with space and "+strings.Repeat("long", 30))
	for i, dir := range []string{short, short, long, long} {
		if dir == long && i == 2 {
			if err := os.Rename(short, long); err != nil {
				t.Fatal(err)
			}
		}
		srv, err := embedded.Start(dir, quiet())
		if err != nil {
			t.Fatal(err)
		}
		s, err := srv.Open(t.Context(), "gyr")
		if err != nil {
			t.Fatal(err)
		}
		kvs, _, err := s.List(t.Context(), "")
		if err != nil || len(kvs) != i {
			t.Errorf("start %d finds %d keys, %v", i, len(kvs), err)
		}
		if _, _, err := s.Txn(t.Context(), nil, []meta.Op{{Key: fmt.Sprint(i)}}); err != nil {
			t.Error(err)
		}
		s.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
}

// child writes numbered keys as fast as it can, telling each acknowledged one.
func child(dir string) {
	ctx := context.Background()
	srv, err := embedded.Start(dir, quiet())
	if err != nil {
		panic(err)
	}
	s, err := srv.Open(ctx, "gyr")
	if err != nil {
		panic(err)
	}
	kvs, _, err := s.List(ctx, "k/")
	if err != nil {
		panic(err)
	}
	for n := len(kvs); ; n++ {
		if _, _, err := s.Txn(ctx, nil, []meta.Op{{Key: fmt.Sprintf("k/%09d", n), Value: bytes.Repeat([]byte("x"), 1000)}}); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

// TestKill kills a server in the middle of writing, several times on one folder: nothing acknowledged is lost.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := -1
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		watchdog := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		for target := acked + 100; acked < target && lines.Scan(); {
			var n int
			if _, err := fmt.Sscan(lines.Text(), &n); err != nil || n > acked+2 {
				t.Fatalf("round %d: after %d the child says %q", round, acked, lines.Text())
			}
			acked = max(acked, n)
		}
		cmd.Process.Kill()
		for lines.Scan() { // what it said before it died counts
			var n int
			if _, err := fmt.Sscan(lines.Text(), &n); err == nil {
				acked = max(acked, n)
			}
		}
		watchdog.Stop()
		cmd.Wait()
	}
	if acked < 100 {
		t.Fatalf("the children acknowledged only %d", acked)
	}
	srv := start(t, dir)
	s, err := srv.Open(t.Context(), "gyr")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kvs, _, err := s.List(t.Context(), "k/")
	if err != nil || len(kvs) < acked+1 {
		t.Fatalf("%d of %d acknowledged keys are there, %v", len(kvs), acked+1, err)
	}
	for i, kv := range kvs {
		if kv.Key != fmt.Sprintf("k/%09d", i) || len(kv.Value) != 1000 {
			t.Fatalf("key %d is %s", i, kv.Key)
		}
	}
}
