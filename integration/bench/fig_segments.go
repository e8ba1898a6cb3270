package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

const (
	fewSegments = 2
	// segmentRows is how many rows each small flush seals.
	segmentRows = 50
)

// measureSegments makes many small sealed segments, automatic compaction off, and compares writes and key queries with few.
func measureSegments(ctx context.Context, e *Env) error {
	name := e.name("segments")
	if err := e.client.Create(ctx, client.Spec{Name: name, Dim: dim, Shards: 1, Index: "HNSW", Metric: "COSINE", Consistent: commonpb.ConsistencyLevel_Strong}); err != nil {
		return err
	}
	defer e.drop(name)
	st, err := e.client.AlterCollection(ctx, &milvuspb.AlterCollectionRequest{
		CollectionName: name, Properties: []*commonpb.KeyValuePair{{Key: "collection.autocompaction.enabled", Value: "false"}},
	})
	if err := client.Check(st, err); err != nil {
		return fmt.Errorf("switch automatic compaction off: %w", err)
	}
	made := 0
	for _, want := range []int{fewSegments, e.cfg.Segments} {
		start, before := time.Now(), made
		for ; made < want; made++ {
			if err := e.client.InsertRows(ctx, name, generate(int64(made*segmentRows), segmentRows)); err != nil {
				return err
			}
			if err := e.client.FlushWait(ctx, name); err != nil {
				return fmt.Errorf("flush number %d: %w", made+1, err)
			}
		}
		took := time.Since(start)
		if err := sleep(ctx, time.Second); err != nil { // let the last segments arrive where they are served
			return err
		}
		sealed, err := e.sealedSegments(ctx, name)
		if err != nil {
			return err
		}
		insert, query, err := pairs(ctx, e, name, int64(1_000_000*want))
		if err != nil {
			return err
		}
		label := fmt.Sprintf("%d flushes: ", want)
		e.add(label+"sealed segments", float64(sealed), "")
		e.addDuration(label+"insert of 50 rows and flush, mean", took/time.Duration(max(1, made-before)))
		e.addLatency(label+"insert", insert)
		e.addLatency(label+"Strong query by key", query)
		// The pairs' own rows go into one segment more, so that the growing rows are as few the next time.
		if err := e.client.FlushWait(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) sealedSegments(ctx context.Context, name string) (int, error) {
	r, err := e.client.GetPersistentSegmentInfo(ctx, &milvuspb.GetPersistentSegmentInfoRequest{DbName: "default", CollectionName: name})
	if err := client.Check(r.GetStatus(), err); err != nil {
		return 0, fmt.Errorf("list segments: %w", err)
	}
	n := 0
	for _, s := range r.Infos {
		if s.State == commonpb.SegmentState_Flushed || s.State == commonpb.SegmentState_Sealed {
			n++
		}
	}
	return n, nil
}
