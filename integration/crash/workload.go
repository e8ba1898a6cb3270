package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
)

// Workload writes, flushes and searches through any of some addresses until it is stopped.
type Workload struct {
	Model      *Model
	Collection string
	Addrs      []string
	Writers    int
	// Acks counts acknowledged requests.
	Acks atomic.Int64
	// versions are, by writer, the newest version that was ever sent of each key, over all runs.
	versions []map[int64]int64
}

// keysPerWriter bounds a writer's key space, so that keys are updated and deleted often.
const keysPerWriter = 3000

// Run works until ctx ends. Failed calls are what a crash does to clients: their outcome stays unknown in the model.
func (w *Workload) Run(ctx context.Context, t testing.TB, seed uint64) {
	var wg sync.WaitGroup
	for len(w.versions) < w.Writers {
		w.versions = append(w.versions, map[int64]int64{})
	}
	for i := range w.Writers {
		wg.Go(func() { w.write(ctx, t, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	wg.Go(func() {
		w.repeat(ctx, 300*time.Millisecond, func(ctx context.Context, c *client.Client) { _ = c.FlushWait(ctx, w.Collection) })
	})
	wg.Go(func() {
		w.repeat(ctx, 5*time.Millisecond, func(ctx context.Context, c *client.Client) {
			_, _ = c.SearchKeys(ctx, w.Collection, [][]float32{w.Model.Vector(1, 1)}, 10, commonpb.ConsistencyLevel_Strong)
		})
	})
	wg.Wait()
}

// repeat calls fn for ever; its errors are not this loop's business, the final scan is.
func (w *Workload) repeat(ctx context.Context, pause time.Duration, fn func(context.Context, *client.Client)) {
	for n := 0; ctx.Err() == nil; n++ {
		if c, err := client.Dial(w.Addrs[n%len(w.Addrs)]); err == nil {
			call, cancel := context.WithTimeout(ctx, 5*time.Second)
			fn(call, c)
			cancel()
			c.Close()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (w *Workload) write(ctx context.Context, t testing.TB, id int, rng *rand.Rand) {
	c, err := client.Dial(w.Addrs[id%len(w.Addrs)])
	if err != nil {
		t.Errorf("dial: %v", err)
		return
	}
	defer c.Close()
	version := w.versions[id]
	base := int64(id+1) * 1_000_000
	for ctx.Err() == nil {
		keys := pick(rng, base)
		if err := w.one(ctx, c, rng, version, keys); err != nil && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func pick(rng *rand.Rand, base int64) []int64 {
	n := 1 + rng.IntN(20)
	seen := map[int64]bool{}
	var keys []int64
	for len(keys) < n {
		k := base + rng.Int64N(keysPerWriter)
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	return keys
}

// one sends one request and notes its outcome. Versions only grow, so that a scan tells which write it saw.
func (w *Workload) one(ctx context.Context, c *client.Client, rng *rand.Rand, version map[int64]int64, keys []int64) error {
	call, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var err error
	to := make(map[int64]int64, len(keys))
	if rng.IntN(4) == 0 {
		list := make([]string, len(keys))
		for i, k := range keys {
			to[k], list[i] = gone, fmt.Sprint(k)
			w.Model.Sent(k, gone)
		}
		err = c.DeleteWhere(call, w.Collection, "key in ["+strings.Join(list, ",")+"]")
	} else {
		rows := make([]client.Row, len(keys))
		for i, k := range keys {
			version[k]++
			to[k], rows[i] = version[k], w.Model.Row(k, version[k])
			w.Model.Sent(k, version[k])
		}
		err = c.UpsertRows(call, w.Collection, rows)
	}
	if err != nil {
		return err
	}
	for k, v := range to {
		w.Model.Acked(k, v)
	}
	w.Acks.Add(1)
	return nil
}
