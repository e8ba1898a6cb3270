package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/integration/client"
)

// measureRestart kills a server that holds sealed and unsealed rows and waits for the first complete Strong search: one whose
// two queries, vectors of a sealed and of an unsealed row, both find their row.
func measureRestart(ctx context.Context, e *Env) error {
	name := e.name("restart")
	if err := e.client.Create(ctx, client.Spec{Name: name, Dim: dim, Shards: 1, Index: "HNSW", Metric: "COSINE"}); err != nil {
		return err
	}
	half := e.cfg.RestartRows / 2
	if err := e.send(ctx, bulkRequests(name, 0, half)); err != nil {
		return err
	}
	if err := e.client.FlushWait(ctx, name); err != nil {
		return err
	}
	if err := e.indexed(ctx, name); err != nil {
		return err
	}
	if err := e.send(ctx, bulkRequests(name, int64(half), e.cfg.RestartRows-half)); err != nil {
		return err
	}
	sealed, unsealed := generate(int64(half/2), 1)[0], generate(int64(half+half/2), 1)[0]

	e.server.kill()
	begin := time.Now()
	healthy, err := e.server.start(ctx)
	if err != nil {
		return err
	}
	c, err := client.Dial(e.server.address) // a new client: the old one may wait before it connects again
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		found, err := c.SearchKeys(ctx, name, [][]float32{sealed.Vector, unsealed.Vector}, 1, commonpb.ConsistencyLevel_Strong)
		if err == nil {
			if len(found) != 2 || len(found[0]) != 1 || len(found[1]) != 1 || found[0][0] != sealed.Key || found[1][0] != unsealed.Key {
				return fmt.Errorf("after the restart, searches for the vectors of rows %d and %d answer %v", sealed.Key, unsealed.Key, found)
			}
			break
		}
		if sleep(ctx, time.Millisecond) != nil {
			return fmt.Errorf("no search works after the restart: %w", err)
		}
	}
	took := time.Since(begin)
	n, err := c.Count(ctx, name)
	if err != nil {
		return err
	}
	if n != int64(e.cfg.RestartRows) {
		return fmt.Errorf("%d of %d rows after the restart", n, e.cfg.RestartRows)
	}
	e.add("rows", float64(e.cfg.RestartRows), "")
	e.add("rows unsealed", float64(e.cfg.RestartRows-half), "")
	e.addDuration("exec to healthy", healthy)
	e.addDuration("exec to the first complete Strong search", took)
	return nil
}
