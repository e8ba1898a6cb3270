// Package rebuild loses etcd on purpose: the catalog is rebuilt from its copies in object storage and from the logs, and
// every acknowledged row must be there, once, in its newest version.
package rebuild

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/crash"
	"github.com/gyr-db/gyr/integration/harness"
)

// ctl runs gyr-ctl and returns its exit code and all that it printed.
func ctl(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(t, "gyr-ctl"), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("gyr-ctl: %v", err)
	}
	t.Logf("gyr-ctl %s: exit code %d\n%s", strings.Join(args[:2], " "), cmd.ProcessState.ExitCode(), out)
	return cmd.ProcessState.ExitCode(), string(out)
}

// say fails unless gyr-ctl ended with a code and said certain words.
func say(t *testing.T, code, want int, out string, words ...string) {
	t.Helper()
	if code != want {
		t.Fatalf("exit code %d, want %d:\n%s", code, want, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Fatalf("the answer lacks %q:\n%s", w, out)
		}
	}
}

const name = "precious"

// prepare makes a loaded collection with an alias and a partition, and one that is not loaded.
func prepare(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	if err := c.Create(ctx, client.Spec{Name: name, Dim: 16, Shards: 2, Index: "HNSW", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(ctx, client.Spec{Name: "resting", Dim: 4, NoLoad: true}); err != nil {
		t.Fatal(err)
	}
	st, err := c.CreateAlias(ctx, &milvuspb.CreateAliasRequest{CollectionName: name, Alias: "other_name"})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	st, err = c.CreatePartition(ctx, &milvuspb.CreatePartitionRequest{CollectionName: name, PartitionName: "side"})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
}

// change changes the catalog, so that a copy of it follows.
func change(ctx context.Context, t *testing.T, c *client.Client) {
	t.Helper()
	st, err := c.CreateAlias(ctx, &milvuspb.CreateAliasRequest{CollectionName: "resting", Alias: "passing"})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	st, err = c.DropAlias(ctx, &milvuspb.DropAliasRequest{Alias: "passing"})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
}

// check reads everything, without a load call, and compares it with what was acknowledged.
func check(ctx context.Context, t *testing.T, c *client.Client, w *crash.Workload, round int) {
	t.Helper()
	crash.CheckAll(ctx, t, c, w.Model, name, round)
	alias, err := c.DescribeAlias(ctx, &milvuspb.DescribeAliasRequest{Alias: "other_name"})
	if err := client.Check(alias.GetStatus(), err); err != nil || alias.Collection != name {
		t.Fatalf("round %d: the alias leads to %q: %v", round, alias.GetCollection(), err)
	}
	parts, err := c.ShowPartitions(ctx, &milvuspb.ShowPartitionsRequest{CollectionName: name})
	if err := client.Check(parts.GetStatus(), err); err != nil || !slices.Contains(parts.PartitionNames, "side") {
		t.Fatalf("round %d: partitions %q, %v", round, parts.GetPartitionNames(), err)
	}
	state, err := c.GetLoadState(ctx, &milvuspb.GetLoadStateRequest{CollectionName: "resting"})
	if err := client.Check(state.GetStatus(), err); err != nil || state.State != commonpb.LoadState_LoadStateNotLoad {
		t.Fatalf("round %d: the collection that was not loaded is %s, %v", round, state.GetState(), err)
	}
}

// copiesIn are the copies in a folder of object storage, the newest first.
func copiesIn(t *testing.T, objects string) []string {
	t.Helper()
	keys, err := filepath.Glob(filepath.Join(objects, "catalog", "*.gyrcat"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	return keys
}

// waitCopy waits until a copy is there that was made after a time.
func waitCopy(t *testing.T, objects string, after time.Time) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		if keys := copiesIn(t, objects); len(keys) > 0 && filepath.Base(keys[0]) > after.UTC().Format("20060102T150405.000Z") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no copy of the catalog appears")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestLongLifeBeforeTheLoss lets the log be truncated, segments be merged and garbage be collected, many times between two
// copies, before etcd is lost.
func TestLongLifeBeforeTheLoss(t *testing.T) {
	if os.Getenv("GYR_LONG") == "" {
		t.Skip("it takes minutes, since a log is truncated a minute after its checkpoint: set GYR_LONG")
	}
	t.Setenv("GYR_COORDINATOR_CATALOGCOPY_INTERVAL", "20s")
	t.Setenv("GYR_COORDINATOR_COMPACTION_RETENTION", "5s")
	loseEtcd(t, []time.Duration{150 * time.Second}, []func(*testing.T, string){truncate})
}

// TestStandaloneLosesEtcd: under inserts, upserts, deletes, flushes and a garbage collection that spares nothing young, the
// process is killed and etcd's folder removed.
func TestStandaloneLosesEtcd(t *testing.T) {
	spans := []time.Duration{3 * time.Second, 3 * time.Second, 3 * time.Second}
	loseEtcd(t, spans, []func(*testing.T, string){nil, truncate, flip})
}

// loseEtcd loses etcd once for each span of work; a fault damages the newest copy before the rebuild.
func loseEtcd(t *testing.T, spans []time.Duration, faults []func(t *testing.T, newest string)) {
	dir := t.TempDir()
	objects := filepath.Join(dir, "objects")
	t.Setenv("GYR_COORDINATOR_CATALOGCOPY_AFTERCHANGE", "200ms")
	t.Setenv("GYR_COORDINATOR_GC_INTERVAL", "300ms")
	t.Setenv("GYR_COORDINATOR_GC_GRACE", "1ms")
	s := harness.StartStandalone(t, dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	prepare(ctx, t, c)
	w := &crash.Workload{Model: crash.NewModel(16), Collection: name, Addrs: []string{s.Addr}, Writers: 4}
	for round, fault := range faults {
		began := time.Now()
		change(ctx, t, c)
		waitCopy(t, objects, began)
		work, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { defer close(done); w.Run(work, t, uint64(round)) }()
		time.Sleep(spans[round])
		s.Kill()
		stop()
		<-done
		if err := os.RemoveAll(filepath.Join(dir, "etcd")); err != nil {
			t.Fatal(err)
		}
		refused(t, dir)
		want, words := 0, []string{"Restored catalog/", "2 collections (1 of them to be loaded)"}
		if fault != nil {
			newest := copiesIn(t, objects)[0]
			fault(t, newest)
			want, words = 1, append(words, filepath.Base(newest)+": damaged copy of the catalog")
		}
		code, out := ctl(t, nil, "catalog", "rebuild", "--dry-run", "--data-dir", dir)
		say(t, code, want, out, append(slices.Clone(words[1:]), "Would restore", "Nothing was written.")...)
		code, out = ctl(t, nil, "catalog", "rebuild", "--data-dir", dir)
		say(t, code, want, out, words...)
		code, out = ctl(t, nil, "catalog", "rebuild", "--data-dir", dir)
		say(t, code, 2, out, "the metadata store is not empty")
		s.Restart(t)
		check(ctx, t, c, w, round)
	}
	if w.Acks.Load() < 100 {
		t.Fatalf("only %d writes were acknowledged: the test has no bite", w.Acks.Load())
	}
	t.Logf("%d acknowledged requests, %d rows at the end", w.Acks.Load(), w.Model.Len())
}

func truncate(t *testing.T, path string) {
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Clone(raw)
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refused: without etcd's folder the process does not begin anew beside the data.
func refused(t *testing.T, dir string) {
	t.Helper()
	p := harness.Start(t, "gyr-standalone without etcd", harness.Binary(t, "gyr-standalone"), nil,
		"--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data-dir", dir)
	code, err := p.Wait(30 * time.Second)
	if err != nil || code != 1 || !strings.Contains(p.Output(), "gyr-ctl catalog rebuild") {
		t.Fatalf("exit code %d, %v:\n%s", code, err, p.Output())
	}
}

// TestWhatCameAfterTheCopyIsSaid: a collection that no copy has is named, with the writes that are lost with it.
func TestWhatCameAfterTheCopyIsSaid(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GYR_COORDINATOR_CATALOGCOPY_AFTERCHANGE", "5s")
	s := harness.StartStandalone(t, dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waitCopy(t, filepath.Join(dir, "objects"), time.Now().Add(-time.Minute))
	if err := c.Create(ctx, client.Spec{Name: "late", Dim: 4}); err != nil {
		t.Fatal(err)
	}
	if err := c.InsertRows(ctx, "late", []client.Row{{Key: 1, Vector: make([]float32, 4)}}); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := os.RemoveAll(filepath.Join(dir, "etcd")); err != nil {
		t.Fatal(err)
	}
	code, out := ctl(t, nil, "catalog", "rebuild", "--data-dir", dir)
	say(t, code, 1, out, "log 0 has 1 writes of collection", "which was made after the copy")
	s.Restart(t)
	// The name is free, and ids go on above all that were handed out.
	if err := c.Create(ctx, client.Spec{Name: "late", Dim: 4}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Count(ctx, "late"); err != nil || n != 0 {
		t.Errorf("the new collection has %d rows, %v", n, err)
	}
}
