package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Upsert implements milvuspb.MilvusServiceServer.
func (p *Proxy) Upsert(ctx context.Context, req *milvuspb.UpsertRequest) (*milvuspb.MutationResult, error) {
	w := &rowWrite{
		p: p, kind: pb.WriteKind_UPSERT, db: req.DbName, name: req.CollectionName, partition: req.PartitionName,
		data: req.FieldsData, rows: int(req.NumRows), schemaTS: req.SchemaTimestamp,
		partial: req.PartialUpdate || len(req.FieldOps) > 0, ops: req.FieldOps,
	}
	c, err := w.run(ctx)
	if err != nil {
		return nil, err
	}
	out := w.result(c)
	out.UpsertCnt = int64(w.rows)
	// SDKs of older lines read the number of rows from here.
	out.InsertCnt, out.DeleteCnt = int64(w.rows), int64(w.rows)
	return out, nil
}

// prepareUpsert finds the keys that the rows replace and those that they get. They differ only if the key is generated:
// the given key then names the row to replace, and the new one is chosen to hash to the same shard, so that both are one
// record.
func (w *rowWrite) prepareUpsert(ctx context.Context, c *catalog.Collection, batch *schema.Batch) error {
	pk := c.Schema.PrimaryKey()
	given := batch.Column(pk.ID)
	if given == nil {
		return errs.Invalid("must assign pk when upsert, primary field: %s", pk.Name)
	}
	w.replaced = schema.KeysOf(given)
	if err := checkDistinct(w.replaced); err != nil {
		return err
	}
	if !pk.AutoID {
		w.keys = w.replaced
		return nil
	}
	if w.keys.Len() == 0 {
		keys, err := w.p.idsLike(ctx, pk, w.replaced, len(c.ShardLogs))
		if err != nil {
			return err
		}
		w.keys = keys
	}
	for i, col := range batch.Columns {
		if col == given {
			batch.Columns[i] = keyColumn(pk, w.keys)
		}
	}
	return nil
}

func checkDistinct(k schema.Keys) error {
	seen := make(map[any]struct{}, k.Len())
	for i := range k.Len() {
		seen[keyAt(k, i)] = struct{}{}
	}
	if len(seen) != k.Len() {
		return errs.Invalid("duplicate primary keys are not allowed in the same batch")
	}
	return nil
}

// idsLike returns fresh ids that hash to the same shards as old.
func (p *Proxy) idsLike(ctx context.Context, pk *schema.Field, old schema.Keys, shards int) (schema.Keys, error) {
	wanted := shardsOf(old, shards)
	spare := make([][]int64, shards)
	out := make([]int64, len(wanted))
	for i, shard := range wanted {
		for len(spare[shard]) == 0 {
			ids, err := p.ids.take(ctx, len(wanted)-i)
			if err != nil {
				return schema.Keys{}, err
			}
			for j, s := range shardsOf(generatedKeys(pk, ids), shards) {
				spare[s] = append(spare[s], ids[j])
			}
		}
		out[i] = spare[shard][0]
		spare[shard] = spare[shard][1:]
	}
	return generatedKeys(pk, out), nil
}
