// Package sdk runs programs of the real SDKs: Python (two versions of pymilvus), Node and Go, against a gyr-standalone and
// against a cluster with two proxies, which every program uses both.
// tools/sdk-setup.sh gets the SDKs. A missing toolchain is a failure, not a skip; -short leaves the whole package out.
package sdk

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/integration/harness"
)

const oneSDK = 8 * time.Minute

// program is one SDK's programs.
type program struct {
	name  string
	needs string // a file that tools/sdk-setup.sh makes
	dir   string
	env   []string
	cmd   []string
}

func programs(t *testing.T) []program {
	t.Helper()
	root := harness.Root()
	nodeTests, err := filepath.Glob(filepath.Join(root, "integration", "sdk", "node", "test", "*.test.mjs"))
	if err != nil || len(nodeTests) == 0 {
		t.Fatalf("no Node programs found: %v", err)
	}
	cache, sdk := filepath.Join(root, ".cache", "sdk"), filepath.Join(root, "integration", "sdk")
	python := func(name, env string) program {
		interpreter := filepath.Join(cache, env, "bin", "python")
		return program{
			name, filepath.Join(cache, env, ".installed"), filepath.Join(sdk, "python"),
			[]string{"PYTHONDONTWRITEBYTECODE=1"},
			[]string{interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--disable-warnings", "."},
		}
	}
	return []program{
		python("pymilvus 2.6", "py26"),
		python("pymilvus 3.0", "py30"),
		{
			"node", filepath.Join(sdk, "node", "node_modules", ".installed"), filepath.Join(sdk, "node"), nil,
			append([]string{"node", "--test", "--test-concurrency=1", "--test-reporter=spec"}, nodeTests...),
		},
		{"go", "", filepath.Join(sdk, "go"), []string{"GOWORK=off"}, []string{"go", "test", "-count=1", "-timeout=5m", "./..."}},
	}
}

func TestStandalone(t *testing.T) {
	if testing.Short() {
		t.Skip("the SDK programs are left out by -short")
	}
	s := harness.StartStandalone(t, t.TempDir())
	file := rowsFile(t, s)
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			p.env = append(p.env, "GYR_PARQUET_FILE="+file)
			if p.name == "pymilvus 2.6" && os.Getenv("GYR_LONG") == "" {
				p.cmd = append(p.cmd, "--ignore=test_indexes.py", "--ignore=test_group_by.py") // they take minutes, and the newer version says the same
			}
			p.run(t, "http://"+s.Addr, "http://"+s.Addr)
			if s.Ended() {
				t.Fatal("the server ended")
			}
		})
	}
}

// TestCluster runs on the queue that GYR_TEST_QUEUES names, on woodpecker when it names none, and with GYR_LONG on both. It
// leaves out one version of pymilvus unless GYR_LONG is set: both say the same on the wire nearly everywhere.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("the SDK programs are left out by -short")
	}
	queues := []string{"woodpecker"}
	if q := os.Getenv("GYR_TEST_QUEUES"); q != "" {
		queues = strings.Split(q, ",")
	} else if os.Getenv("GYR_LONG") != "" {
		queues = append(queues, "kafka")
	}
	for _, queue := range queues {
		t.Run(queue, func(t *testing.T) { onCluster(t, harness.ClusterSpec{MQ: queue}) })
	}
}

func onCluster(t *testing.T, spec harness.ClusterSpec) {
	cl := harness.StartCluster(t, spec)
	for _, p := range programs(t) {
		if p.name == "pymilvus 2.6" && os.Getenv("GYR_LONG") == "" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			if strings.HasPrefix(p.name, "pymilvus") { // a file has nothing to do with a cluster
				p.cmd = append(p.cmd, "--ignore=test_parquet.py")
			}
			p.run(t, "http://"+cl.Proxies[0], "http://"+cl.Proxies[1])
			for _, m := range cl.Members {
				if m.Ended() {
					t.Errorf("%s has ended", m.Name)
				}
			}
		})
	}
}

func (p program) run(t *testing.T, uri, uri2 string) {
	t.Helper()
	if _, err := exec.LookPath(p.cmd[0]); err != nil {
		t.Fatalf("%v; run tools/sdk-setup.sh", err)
	}
	if p.needs != "" {
		if _, err := os.Stat(p.needs); err != nil {
			t.Fatalf("%v; run tools/sdk-setup.sh", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), oneSDK)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.cmd[0], p.cmd[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(append(os.Environ(), p.env...), "GYR_URI="+uri, "GYR_URI2="+uri2)
	cmd.WaitDelay = 10 * time.Second // a grandchild may hold the pipe open
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out.String())
	}
	if bytes.Contains(out.Bytes(), []byte(" skipped")) && strings.HasPrefix(p.name, "pymilvus") {
		t.Errorf("tests are skipped:\n%s", last(out.Bytes(), 1000))
	}
	t.Logf("%s: %s\n%s", p.name, time.Since(start).Round(time.Millisecond), last(out.Bytes(), 400))
}

// last is the end of a long output.
func last(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
