package proxy

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// TestALeaseThatComesBack: on a busy machine a lease is lost now and then; requests wait for the next one.
func TestALeaseThatComesBack(t *testing.T) {
	w := newWorld(t)
	makeCollection(t, w, "c", 1)
	w.proxy.leased.Store(false)
	again := time.AfterFunc(300*time.Millisecond, func() { w.proxy.leased.Store(true) })
	defer again.Stop()
	insertRows(t, w, "c", 1, 2, 3)
	if !w.proxy.leased.Load() {
		t.Fatal("rows were inserted without a lease")
	}
}

// TestRowsThatAreSealedWhileTheyAreCounted: they count once, whether the owner spoke of them before or after the seal.
func TestRowsThatAreSealedWhileTheyAreCounted(t *testing.T) {
	for name, told := range map[string]int64{"before": 3, "after": 0} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			makeCollection(t, w, "c", 1)
			insertRows(t, w, "c", 1, 2, 3)
			var asked atomic.Int64
			w.flushState = func(req *pb.FlushStateRequest) *pb.FlushStateResponse {
				if asked.Add(1) > 1 {
					return &pb.FlushStateResponse{Flushed: true}
				}
				w.put(catalog.ShardKey(req.Collection, 0), catalog.Shard{
					Collection: req.Collection, Log: int(req.Log), Segments: []catalog.Segment{{ID: 5000, Rows: 3}},
				})
				return &pb.FlushStateResponse{UnsealedRows: map[int64]int64{1: told}}
			}
			stats, err := w.client().GetCollectionStatistics(testContext(t), &milvuspb.GetCollectionStatisticsRequest{CollectionName: "c"})
			if ok(t, stats, err); kvMap(stats.Stats)["row_count"] != "3" {
				t.Errorf("%v, want 3 rows; the owner was asked %d times", stats.Stats, asked.Load())
			}
		})
	}
}
