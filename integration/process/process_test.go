// Package process tests gyr-standalone as a program: its start, its stop, what it refuses.
package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/harness"
)

// TestStartIsFastAndSmall: empty folder to healthy in under 0.5 s, under 100 MB when idle.
func TestStartIsFastAndSmall(t *testing.T) {
	best := time.Hour
	var s *harness.Standalone
	for range 3 { // the machine may be busy; the promise is about Gyr
		start := time.Now()
		s = harness.StartStandalone(t, filepath.Join(t.TempDir(), "data"))
		best = min(best, time.Since(start))
	}
	time.Sleep(time.Second)
	rss := rssMB(t, s.Pid())
	t.Logf("healthy after %s, %d MB when idle", best.Round(time.Millisecond), rss)
	if best > 500*time.Millisecond {
		t.Errorf("healthy only after %s", best)
	}
	if rss > 100 {
		t.Errorf("%d MB when idle", rss)
	}
}

// rssMB reads a process's resident memory.
func rssMB(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// refused runs the binary and returns what it says when it does not start.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(t, "gyr-standalone"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil || ctx.Err() != nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%v: exit %v, want 1; %s", args, err, stderr.String())
	}
	return stderr.String()
}

func TestRefusals(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	free := func() string { return fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)) }
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, want string
		args       []string
	}{
		{"folder in use", "in use by another Gyr process", []string{"--data-dir", s.Dir, "--listen", free(), "--metrics-listen", free()}},
		{"port taken", "port for the API is taken", []string{"--data-dir", t.TempDir(), "--listen", s.Addr, "--metrics-listen", free()}},
		{"metrics port taken", "port for metrics is taken", []string{"--data-dir", t.TempDir(), "--listen", free(), "--metrics-listen", s.Metrics}},
		{"foreign folder", "holds notes.txt", []string{"--data-dir", foreign, "--listen", free(), "--metrics-listen", free()}},
		{"unknown flag", "see gyr-standalone --help", []string{"--no-such-flag"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			said := strings.TrimSpace(refused(t, c.args...))
			if !strings.Contains(said, c.want) || strings.Contains(said, "\n") {
				t.Errorf("want one line with %q, got:\n%s", c.want, said)
			}
		})
	}
}

// TestStopIsOrderly: SIGTERM while clients work: exit 0 within 10 s, and everything acknowledged is there afterwards.
func TestStopIsOrderly(t *testing.T) {
	s := harness.StartStandalone(t, t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Create(ctx, client.Spec{Name: "c", Dim: 4, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	acked := make(chan int64, 1)
	go func() {
		n := int64(0)
		for c.InsertRows(ctx, "c", []client.Row{{Key: n, Version: 1, Vector: []float32{1, 2, 3, float32(n)}}}) == nil {
			n++
		}
		acked <- n
	}()
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	s.Signal(syscall.SIGTERM)
	code, err := s.Wait(10 * time.Second)
	if err != nil || code != 0 {
		t.Fatalf("exit code %d, %v after %s\n%s", code, err, time.Since(start), s.Output())
	}
	n := <-acked
	if n == 0 {
		t.Fatal("nothing was acknowledged: the test has no bite")
	}
	s.Restart(t)
	deadline := time.Now().Add(10 * time.Second)
	for {
		rows, err := c.QueryRows(ctx, "c", "key >= 0", 0)
		if err == nil && int64(len(rows)) >= n && int64(len(rows)) <= n+1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d rows were acknowledged, %d are there, %v", n, len(rows), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
