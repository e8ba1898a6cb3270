package proxy

import (
	"context"
	"math"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/expr"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// deleteChunk bounds the keys of one delete record.
const deleteChunk = 100_000

// Delete implements milvuspb.MilvusServiceServer. A filter that names primary keys is executed without a read; any other
// one is read first, under Strong, and what it matched is deleted only in the versions that the read saw.
func (p *Proxy) Delete(ctx context.Context, req *milvuspb.DeleteRequest) (*milvuspb.MutationResult, error) {
	for {
		out, err := p.delete(ctx, req)
		if !errs.Is(err, errs.SchemaMismatch) && !errs.Is(err, errs.Moved) {
			return out, err
		}
		p.metrics.reruns.WithLabelValues("write", codeLabel(err)).Inc()
		if err := p.pause(ctx, err); err != nil {
			return nil, err
		}
	}
}

func (p *Proxy) delete(ctx context.Context, req *milvuspb.DeleteRequest) (*milvuspb.MutationResult, error) {
	if err := p.needLease(ctx); err != nil {
		return nil, err
	}
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	d := &deletion{p: p, c: c, sent: newShardWrites()}
	if req.PartitionName != "" {
		if err := refuseNamedPartitions(c, 1); err != nil {
			return nil, err
		}
		part, err := partition(c, req.PartitionName)
		if err != nil {
			return nil, err
		}
		d.partition, d.partitionName = part.ID, part.Name
	}
	pl, err := parseFilter(req.Expr, &c.Schema, req.ExprTemplateValues, zoneOf(c))
	if err != nil {
		return nil, expr.ForDelete(err)
	}
	if pl.IsTrue() {
		return nil, errs.Invalid("delete plan can't be empty or always true : %s", req.Expr)
	}
	if err := d.run(ctx, pl); err != nil {
		return nil, err
	}
	return d.result(ctx)
}

// deletion is a delete on its way.
type deletion struct {
	p             *Proxy
	c             *catalog.Collection
	partition     int64
	partitionName string
	count         int64
	sent          *shardWrites
}

func (d *deletion) run(ctx context.Context, pl *plan.Plan) error {
	pk := d.c.Schema.PrimaryKey()
	if keys, ok := pl.PrimaryKeys(pk.ID); ok {
		d.count = int64(keys.Len())
		return d.kill(ctx, keys, nil)
	}
	keys, readTS, err := d.matching(ctx, pl)
	if err != nil {
		return err
	}
	d.count = int64(keys.Len())
	return d.kill(ctx, keys, readTS)
}

// matching reads the keys that a filter selects, and the timestamp of the read by log.
func (d *deletion) matching(ctx context.Context, pl *plan.Plan) (schema.Keys, map[int]uint64, error) {
	spec := readSpec{filter: pl, wish: wish{level: commonpb.ConsistencyLevel_Strong}}
	if d.partitionName != "" {
		spec.partitions = []string{d.partitionName}
	}
	r, err := d.p.begin(ctx, d.c, spec)
	if err != nil {
		return schema.Keys{}, nil, err
	}
	pk := d.c.Schema.PrimaryKey()
	var rows *queryRows
	err = r.run(ctx, func(ctx context.Context, routes []route) (err error) {
		rows, err = d.p.queryNodes(ctx, routes, pl, []int64{pk.ID}, pk.ID, 0)
		return err
	})
	if err != nil {
		return schema.Keys{}, nil, err
	}
	readTS := map[int]uint64{}
	for _, s := range r.snapshots {
		readTS[int(s.Log)] = s.ReadTs
	}
	return rows.keys, readTS, nil
}

// kill writes the deletes of keys, per shard in records of a bounded size.
func (d *deletion) kill(ctx context.Context, keys schema.Keys, readTS map[int]uint64) error {
	byShard := map[int][]int{}
	for i, shard := range shardsOf(keys, len(d.c.ShardLogs)) {
		byShard[shard] = append(byShard[shard], i)
	}
	g, ctx := errgroup.WithContext(ctx)
	chunk := 0
	for shard, which := range byShard {
		log := d.c.ShardLogs[shard]
		for lo := 0; lo < len(which); lo += deleteChunk {
			number := chunk
			chunk++
			part := which[lo:min(lo+deleteChunk, len(which))]
			id, _ := d.sent.id(number)
			req := &pb.WriteRequest{
				Log: int32(log), Collection: d.c.ID, Shard: int32(shard), RequestId: id, SchemaVersion: d.c.Schema.Version,
				Kind: pb.WriteKind_DELETE, Keys: gatherKeys(keys, part).Encode(nil), DeletePartition: d.partition, ReadTs: readTS[log],
			}
			g.Go(func() error {
				ts, err := d.p.writeShard(ctx, req)
				if err == nil {
					d.sent.acknowledge(number, ts)
				}
				return err
			})
		}
	}
	return g.Wait()
}

func (d *deletion) result(ctx context.Context) (*milvuspb.MutationResult, error) {
	ts := d.sent.timestamp()
	if ts == 0 { // nothing to delete: the client still keeps the timestamp for its Session reads
		now, err := d.p.allocTimestamp(ctx)
		if err != nil {
			return nil, err
		}
		ts = now
	}
	out := &milvuspb.MutationResult{Status: success(), IDs: &schemapb.IDs{}, DeleteCnt: d.count, Timestamp: ts}
	for i := range min(d.count, math.MaxInt16) {
		out.SuccIndex = append(out.SuccIndex, uint32(i))
	}
	return out, nil
}
