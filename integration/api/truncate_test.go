package api

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

func truncate(ctx context.Context, c *client.Client, name string) error {
	resp, err := c.TruncateCollection(ctx, &milvuspb.TruncateCollectionRequest{CollectionName: name})
	return client.Check(resp.GetStatus(), err)
}

func rowsFrom(first, n int64) []client.Row {
	rows := make([]client.Row, n)
	for i := range rows {
		key := first + int64(i)
		rows[i] = client.Row{Key: key, Version: 1, Vector: []float32{float32(key), 1, 0, 0}}
	}
	return rows
}

func strong(ctx context.Context, t *testing.T, c *client.Client, name string) {
	t.Helper()
	if err := c.Create(ctx, client.Spec{Name: name, Dim: 4, Shards: 4, Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		t.Fatal(err)
	}
}

func insert(ctx context.Context, t *testing.T, c *client.Client, name string, first, n int64) {
	t.Helper()
	if err := c.InsertRows(ctx, name, rowsFrom(first, n)); err != nil {
		t.Fatal(err)
	}
}

// counted waits until count(*) can be had.
func counted(ctx context.Context, t *testing.T, c *client.Client, name string) int64 {
	t.Helper()
	for {
		n, err := c.Count(ctx, name)
		if err == nil {
			return n
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// TestTruncateCollection: sealed and growing rows go, everything else stays, and nothing comes back with a restart.
func TestTruncateCollection(t *testing.T) {
	c, ctx := start(t)
	const name = "emptied"
	strong(ctx, t, c, name)
	st, err := c.CreatePartition(ctx, &milvuspb.CreatePartitionRequest{CollectionName: name, PartitionName: "side"})
	if err := client.Check(st, err); err != nil {
		t.Fatal(err)
	}
	describe := func() (int64, int64) {
		d, err := c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: name})
		if err := client.Check(d.GetStatus(), err); err != nil {
			t.Fatal(err)
		}
		p, err := c.ShowPartitions(ctx, &milvuspb.ShowPartitionsRequest{CollectionName: name})
		if err := client.Check(p.GetStatus(), err); err != nil || len(p.PartitionIDs) != 2 {
			t.Fatalf("partitions %v, %v", p, err)
		}
		return d.CollectionID, p.PartitionIDs[0] ^ p.PartitionIDs[1]
	}
	id, partitions := describe()
	insert(ctx, t, c, name, 0, 2000)
	if err := c.FlushWait(ctx, name); err != nil {
		t.Fatal(err)
	}
	insert(ctx, t, c, name, 2000, 500)
	if n := counted(ctx, t, c, name); n != 2500 {
		t.Fatalf("%d rows before", n)
	}
	if err := truncate(ctx, c, name); err != nil {
		t.Fatal(err)
	}
	empty := func(when string) {
		t.Helper()
		for _, level := range []commonpb.ConsistencyLevel{commonpb.ConsistencyLevel_Strong, commonpb.ConsistencyLevel_Bounded, commonpb.ConsistencyLevel_Eventually} {
			hits, err := c.SearchKeys(ctx, name, [][]float32{{1, 1, 0, 0}}, 10, level)
			if err != nil || len(hits[0]) != 0 {
				t.Errorf("%s: a search at %s finds %v, %v", when, level, hits, err)
			}
		}
		if n := counted(ctx, t, c, name); n != 0 {
			t.Errorf("%s: count(*) is %d", when, n)
		}
		stats, err := c.GetCollectionStatistics(ctx, &milvuspb.GetCollectionStatisticsRequest{CollectionName: name})
		if err := client.Check(stats.GetStatus(), err); err != nil || stats.Stats[0].Value != "0" {
			t.Errorf("%s: statistics %v, %v", when, stats.GetStats(), err)
		}
	}
	empty("after the truncation")
	if again, parts := describe(); again != id || parts != partitions {
		t.Errorf("ids changed: collection %d to %d", id, again)
	}
	server.Kill()
	server.Restart(t)
	counted(ctx, t, c, name)
	empty("after a crash")
	insert(ctx, t, c, name, 1000, 100)
	if n := counted(ctx, t, c, name); n != 100 {
		t.Errorf("%d rows of 100 written afterwards, with keys that were there before", n)
	}
	if err := c.FlushWait(ctx, name); err != nil {
		t.Fatal(err)
	}
	if n := counted(ctx, t, c, name); n != 100 {
		t.Errorf("%d rows after the seal of 100", n)
	}
	if err := truncate(ctx, c, "nowhere"); err == nil {
		t.Error("a collection that is not there was truncated")
	}
}

// TestTruncateShowsNoHalf: of 4 shards with sealed and growing rows, every read sees all or none, while truncations and
// crashes go on; one that was answered stays done.
func TestTruncateShowsNoHalf(t *testing.T) {
	c, ctx := start(t)
	const name, rows = "halves", 800
	strong(ctx, t, c, name)
	for round := range 6 {
		if n := counted(ctx, t, c, name); n == 0 {
			insert(ctx, t, c, name, 0, rows/2)
			if round%2 == 0 {
				if err := c.FlushWait(ctx, name); err != nil {
					t.Fatal(err)
				}
			}
			insert(ctx, t, c, name, rows/2, rows/2)
		}
		kill := round%3 != 0
		watch, stop := context.WithCancel(ctx)
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for watch.Err() == nil {
					if n, err := c.Count(watch, name); err == nil && n != 0 && n != rows {
						t.Errorf("round %d: a read during the truncation sees %d of %d rows", round, n, rows)
					}
				}
			})
		}
		answered := make(chan error, 1)
		go func() {
			call, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			answered <- truncate(call, c, name)
		}()
		if kill {
			time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
			server.Kill()
		}
		err := <-answered
		stop()
		readers.Wait()
		if kill {
			server.Restart(t)
		}
		n := counted(ctx, t, c, name)
		if n != 0 && n != rows || err == nil && n != 0 || !kill && err != nil {
			t.Fatalf("round %d: answered %v, then %d rows of %d", round, err, n, rows)
		}
		t.Logf("round %d: killed %v, answer %v, %d rows", round, kill, err, n)
	}
}

// TestTruncateBesideWrites: a write that was acknowledged before the call is gone, one that began after the answer is there.
func TestTruncateBesideWrites(t *testing.T) {
	c, ctx := start(t)
	const name = "busy"
	strong(ctx, t, c, name)
	type span struct{ began, acked time.Time }
	const writers = 4
	wrote := make([]map[int64]span, writers)
	work, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	for w := range writers {
		wrote[w] = map[int64]span{}
		group.Go(func() {
			for key := int64(w) * 1_000_000; work.Err() == nil; key += 5 {
				began := time.Now()
				if err := c.InsertRows(ctx, name, rowsFrom(key, 5)); err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				for i := range int64(5) {
					wrote[w][key+i] = span{began, time.Now()}
				}
			}
		})
	}
	group.Go(func() {
		for work.Err() == nil {
			time.Sleep(150 * time.Millisecond)
			if err := c.FlushWait(work, name); err != nil && work.Err() == nil {
				t.Errorf("flush: %v", err)
			}
		}
	})
	var last span
	for range 8 {
		time.Sleep(250 * time.Millisecond)
		last.began = time.Now()
		if err := truncate(ctx, c, name); err != nil {
			t.Fatal(err)
		}
		last.acked = time.Now()
	}
	time.Sleep(250 * time.Millisecond)
	stop()
	group.Wait()
	there := map[int64]int{}
	got, err := c.QueryRows(ctx, name, "key >= 0", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		there[r.Key]++
	}
	gone, stays := 0, 0
	for _, m := range wrote {
		for key, s := range m {
			switch {
			case there[key] > 1:
				t.Fatalf("key %d is there %d times", key, there[key])
			case s.acked.Before(last.began):
				gone++
				if there[key] != 0 {
					t.Fatalf("key %d was acknowledged %s before the truncation and is there", key, last.began.Sub(s.acked))
				}
			case s.began.After(last.acked):
				stays++
				if there[key] != 1 {
					t.Fatalf("key %d was written %s after the truncation's answer and is not there", key, s.began.Sub(last.acked))
				}
			}
		}
	}
	if gone < 100 || stays < 100 {
		t.Errorf("only %d keys before and %d after the last truncation: the test has no bite", gone, stays)
	}
	t.Logf("%d keys gone, %d there", gone, len(there))
}
