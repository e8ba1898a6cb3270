package bench

import (
	"context"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/integration/client"
)

// bulkBatch is how many rows one insert of the bulk figure carries.
const bulkBatch = 1000

// measureBulk inserts batches one after the other, flushes, and waits for the index.
func measureBulk(ctx context.Context, e *Env) error {
	name := e.name("bulk")
	if err := e.client.Create(ctx, client.Spec{Name: name, Dim: dim, Shards: 1, Index: "HNSW", Metric: "COSINE"}); err != nil {
		return err
	}
	defer e.drop(name)
	requests := bulkRequests(name, 0, e.cfg.BulkRows)
	rows := float64(e.cfg.BulkRows)
	e.add("rows", rows, "")

	start := time.Now()
	used, ok, err := e.cpu(func() error { return e.send(ctx, requests) })
	if err != nil {
		return err
	}
	e.add("insert", rows/time.Since(start).Seconds(), "rows/s")
	if ok {
		e.add("server CPU, first insert to last answer", float64(used.Nanoseconds())/1e3/rows, "us/row")
	}
	start = time.Now()
	sealing, ok, err := e.cpu(func() error { return e.client.FlushWait(ctx, name) })
	if err != nil {
		return err
	}
	e.addDuration("flush", time.Since(start))
	if ok {
		e.add("server CPU, flush", float64(sealing.Nanoseconds())/1e3/rows, "us/row")
		e.add("server CPU, insert and flush", float64((used+sealing).Nanoseconds())/1e3/rows, "us/row")
	}
	start = time.Now()
	build, ok, err := e.cpu(func() error { return e.indexed(ctx, name) })
	if err != nil {
		return err
	}
	e.addDuration("index ready after the flush", time.Since(start))
	if ok {
		e.add("server CPU, index after the flush", float64(build.Nanoseconds())/1e3/rows, "us/row")
	}
	return nil
}

// bulkRequests makes the requests beforehand, so that the client does little but send while the clock runs.
func bulkRequests(name string, first int64, rows int) []*milvuspb.InsertRequest {
	var out []*milvuspb.InsertRequest
	for from := 0; from < rows; from += bulkBatch {
		n := min(bulkBatch, rows-from)
		out = append(out, &milvuspb.InsertRequest{CollectionName: name, NumRows: uint32(n), FieldsData: client.Columns(generate(first+int64(from), n))})
	}
	return out
}

func (e *Env) send(ctx context.Context, requests []*milvuspb.InsertRequest) error {
	for _, req := range requests {
		r, err := e.client.Insert(ctx, req)
		if err := client.Check(r.GetStatus(), err); err != nil {
			return err
		}
	}
	return nil
}

// indexed waits until every sealed row is indexed.
func (e *Env) indexed(ctx context.Context, name string) error {
	for {
		r, err := e.client.DescribeIndex(ctx, &milvuspb.DescribeIndexRequest{CollectionName: name, FieldName: "vec"})
		if err := client.Check(r.GetStatus(), err); err != nil {
			return err
		}
		if d := r.IndexDescriptions; len(d) > 0 && d[0].PendingIndexRows == 0 && d[0].IndexedRows >= d[0].TotalRows && d[0].TotalRows > 0 {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
