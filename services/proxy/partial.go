package proxy

import (
	"context"
	"encoding/json"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// complete fills the fields that a partial upsert did not send: with what the rows hold now, or, for rows that are not
// there, with their defaults. The write then carries the timestamp of the read, and its owner refuses it when a key was
// written since.
func (w *rowWrite) complete(ctx context.Context, c *catalog.Collection, sent *schema.Batch) (*schema.Batch, error) {
	pk := c.Schema.PrimaryKey()
	given := sent.Column(pk.ID)
	if given == nil {
		return nil, errs.Invalid("must assign pk when upsert, primary field: %s", pk.Name)
	}
	keys := schema.KeysOf(given)
	if err := checkDistinct(keys); err != nil {
		return nil, err
	}
	ops, err := readFieldOps(&c.Schema, w.ops, sent)
	if err != nil {
		return nil, err
	}
	old, err := w.present(ctx, c, keys)
	if err != nil {
		return nil, err
	}
	at := make(map[any]int, old.keys.Len())
	for i := range old.keys.Len() {
		at[keyAt(old.keys, i)] = i
	}
	place := make([]int, sent.N) // of each row among the old ones, or -1
	for i := range place {
		if j, ok := at[keyAt(keys, i)]; ok {
			place[i] = j
		} else {
			place[i] = -1
		}
	}
	out := &schema.Batch{N: sent.N}
	for i := range c.Schema.Fields {
		f := &c.Schema.Fields[i]
		var col *schema.Column
		if op, ok := ops[f.ID]; ok {
			col, err = mergeArrays(f, op, sent.Column(f.ID), old.batch.Column(f.ID), place)
		} else {
			col, err = completeField(f, sent.Column(f.ID), old.batch.Column(f.ID), place)
		}
		if err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, col)
	}
	return out, nil
}

// present reads the rows of some keys under Strong and notes the timestamps of the read.
func (w *rowWrite) present(ctx context.Context, c *catalog.Collection, keys schema.Keys) (*queryRows, error) {
	pk := c.Schema.PrimaryKey()
	pl, err := keysPlan(pk, keys)
	if err != nil {
		return nil, err
	}
	spec := readSpec{filter: pl, wish: wish{level: commonpb.ConsistencyLevel_Strong}}
	if partitionKeyField(c) == 0 {
		spec.partitions = []string{w.partitionName()}
	}
	r, err := w.p.begin(ctx, c, spec)
	if errs.Is(err, errs.CollectionNotLoaded) {
		return nil, errs.Input(errs.CollectionNotLoaded, "failed to query: %w", err)
	}
	if err != nil {
		return nil, err
	}
	var fields []int64
	for i := range c.Schema.Fields {
		fields = append(fields, c.Schema.Fields[i].ID)
	}
	var rows *queryRows
	err = r.run(ctx, func(ctx context.Context, routes []route) (err error) {
		rows, err = w.p.queryNodes(ctx, routes, pl, fields, pk.ID, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	w.readTS = map[int]uint64{}
	for _, s := range r.snapshots {
		w.readTS[int(s.Log)] = s.ReadTs
	}
	return rows, nil
}

// completeField is one field's column: sent where it was, kept or default otherwise. The keys of dynamic documents are
// joined.
func completeField(f *schema.Field, sent, old *schema.Column, place []int) (*schema.Column, error) {
	if sent != nil && !f.Dynamic {
		return sent, nil
	}
	out := schema.NewColumn(f)
	for i, j := range place {
		switch {
		case f.Dynamic:
			doc := emptyDocument
			if j >= 0 && old != nil && len(old.Bytes[j]) > 0 {
				doc = old.Bytes[j]
			}
			if sent != nil {
				doc = joinDocuments(doc, sent.Bytes[i])
			}
			out.Bytes, out.N = append(out.Bytes, doc), out.N+1
		case j >= 0 && old != nil:
			out.AppendFrom(old, j)
		case f.Default != nil:
			out.AppendFrom(f.Default, 0)
		case f.Nullable:
			out.AppendNull()
		default:
			return nil, errs.Invalid("fieldSchema(%s) has no corresponding fieldData pass in", f.Name)
		}
	}
	return out, nil
}

// joinDocuments is the object base with the keys of change set.
func joinDocuments(base, change []byte) []byte {
	var into, from map[string]json.RawMessage
	if json.Unmarshal(base, &into) != nil || into == nil {
		return change
	}
	if json.Unmarshal(change, &from) != nil || len(from) == 0 {
		return base
	}
	for k, v := range from {
		into[k] = v
	}
	raw, err := json.Marshal(into)
	if err != nil {
		return change
	}
	return raw
}
