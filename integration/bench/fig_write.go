package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
	"github.com/gyr-db/gyr/integration/demo/measure"
)

// otherWriters is how many clients write while the write figure is measured.
const otherWriters = 4

// measureWrite inserts a row, queries it by its key under Strong and checks that it is there, with other writers at work.
func measureWrite(ctx context.Context, e *Env) error {
	name := e.name("write")
	if err := e.client.Create(ctx, client.Spec{Name: name, Dim: dim, Shards: 1, Index: "HNSW", Metric: "COSINE", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		return err
	}
	defer e.drop(name)
	background, stop := context.WithCancel(ctx)
	var others sync.WaitGroup
	var written atomic.Int64
	writers := make([]error, otherWriters)
	for w := range otherWriters {
		others.Go(func() {
			rows := generate(int64(w+1)*10_000_000, 100) // the same vectors again under new keys: making vectors costs more than sending them
			for n := int64(0); background.Err() == nil; n++ {
				row := rows[n%int64(len(rows))]
				row.Key = int64(w+1)*10_000_000 + n
				if err := e.client.InsertRows(background, name, []client.Row{row}); err != nil {
					if background.Err() == nil {
						writers[w] = err
					}
					return
				}
				written.Add(1)
			}
		})
	}
	start := time.Now()
	insert, query, err := pairs(ctx, e, name, 0)
	elapsed := time.Since(start)
	stop()
	others.Wait()
	if err != nil {
		return err
	}
	for _, err := range writers {
		if err != nil {
			return fmt.Errorf("one of the other writers: %w", err)
		}
	}
	e.addLatency("insert", insert)
	e.addLatency("Strong query by key", query)
	e.add("pairs", float64(insert.Count)/elapsed.Seconds(), "/s")
	e.add("the other writers together", float64(written.Load())/elapsed.Seconds(), "rows/s")
	return nil
}

// pairs inserts single rows from key first on and queries each by its key under Strong, one after the other.
func pairs(ctx context.Context, e *Env, name string, first int64) (insert, query measure.Stats, err error) {
	var inserts, queries []time.Duration
	vectors := generate(first, 100)
	start := time.Now()
	for n := int64(0); time.Since(start) < e.length(); n++ {
		row := vectors[n%int64(len(vectors))]
		row.Key = first + n
		begin := time.Now()
		if err := e.client.InsertRows(ctx, name, []client.Row{row}); err != nil {
			return insert, query, fmt.Errorf("insert key %d: %w", row.Key, err)
		}
		inserts = append(inserts, time.Since(begin))
		begin = time.Now()
		got, err := e.client.QueryRows(ctx, name, fmt.Sprintf("key == %d", row.Key), 0)
		if err != nil {
			return insert, query, fmt.Errorf("query key %d: %w", row.Key, err)
		}
		queries = append(queries, time.Since(begin))
		if len(got) != 1 || got[0].Key != row.Key {
			return insert, query, fmt.Errorf("key %d was inserted, but a Strong query answers %d rows", row.Key, len(got))
		}
	}
	elapsed := time.Since(start)
	return measure.Of(inserts, elapsed), measure.Of(queries, elapsed), nil
}
