package datanode

import (
	"context"
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// check admits a request: it names what exists, and its bytes are rows and keys of the collection's present schema. What
// gets into the log must be readable by everybody, so nothing of it is taken on trust.
func (w *write) check(ctx context.Context) error {
	if err := w.checkShape(); err != nil {
		return err
	}
	c, err := w.collection(ctx)
	if err != nil {
		return err
	}
	if w.id.shard < 0 || w.id.shard >= len(c.ShardLogs) || c.ShardLogs[w.id.shard] != w.o.number {
		return moved("shard %s of log %d", w.id, w.o.number)
	}
	if w.req.SchemaVersion != c.Schema.Version {
		return errs.New(errs.SchemaMismatch, "the request has schema version %d of collection %s, the present one is %d", w.req.SchemaVersion, c.Name, c.Schema.Version)
	}
	if w.req.ReadTs != 0 && w.req.ReadTs <= c.TruncatedTS && w.req.Kind == pb.WriteKind_UPSERT {
		return errs.New(errs.WriteConflict, "the rows were read at %d, before collection %s was truncated at %d", w.req.ReadTs, c.Name, c.TruncatedTS)
	}
	if w.req.DeletePartition != 0 {
		if p := findPartition(c, w.req.DeletePartition); p == nil || p.State != catalog.Ready {
			return moved("partition %d", w.req.DeletePartition)
		}
	}
	return w.decode(c)
}

// checkShape looks at the request alone.
func (w *write) checkShape() error {
	copy(w.request[:], w.req.RequestId)
	size := int64(len(w.req.Keys))
	for _, p := range w.req.Parts {
		size += int64(len(p.Rows))
	}
	rows, keys := len(w.req.Parts) > 0, len(w.req.Keys) > 0
	switch {
	case size > w.o.node.cfg.MaxRequestBytes:
		return errs.Input(errs.ParameterTooLarge, "a write of %d bytes is above the limit of %d", size, w.o.node.cfg.MaxRequestBytes)
	case len(w.req.RequestId) != 0 && len(w.req.RequestId) != len(w.request):
		return errs.Invalid("request id of %d bytes", len(w.req.RequestId))
	case w.req.Kind == pb.WriteKind_INSERT && rows && !keys, w.req.Kind == pb.WriteKind_DELETE && !rows && keys, w.req.Kind == pb.WriteKind_UPSERT && rows && keys:
		return nil
	}
	return errs.Invalid("a write of kind %s with %d parts and %d bytes of keys", w.req.Kind, len(w.req.Parts), len(w.req.Keys))
}

// decode reads rows and keys.
func (w *write) decode(c *catalog.Collection) error {
	pk := c.Schema.PrimaryKey()
	p := &payload{bytes: int64(len(w.req.Keys))}
	var err error
	if p.keys, err = schema.DecodeKeys(w.req.Keys); err != nil {
		return errs.Invalid("keys: %v", err)
	}
	if len(w.req.Keys) > 0 && (p.keys.Len() == 0 || (len(p.keys.Ints) > 0) != pk.Type.IsInt()) {
		return errs.Invalid("%d keys that are not of type %s", p.keys.Len(), pk.Type)
	}
	p.hashes = hashKeys(nil, w.id, p.keys)
	for _, part := range w.req.Parts {
		if found := findPartition(c, part.Partition); found == nil || found.State != catalog.Ready {
			return moved("partition %d", part.Partition)
		}
		batch, err := schema.DecodeBatch(part.Rows)
		if err != nil {
			return errs.Invalid("rows: %v", err)
		}
		if err := checkBatch(&c.Schema, batch); err != nil {
			return err
		}
		p.add(w.id, part.Partition, batch, pk.ID, len(part.Rows))
	}
	w.payload = p
	return nil
}

// checkBatch says why rows do not fit a schema.
func checkBatch(s *schema.Schema, b *schema.Batch) error {
	if b.N == 0 {
		return errs.Invalid("a part without rows")
	}
	seen := make(map[int64]bool, len(b.Columns))
	for _, c := range b.Columns {
		f := s.FieldByID(c.Field)
		switch {
		case f == nil || seen[c.Field]:
			return errs.Invalid("rows with a column %d that the schema has not, or twice", c.Field)
		case c.Type != f.Type || (c.Type == schema.Array && c.Elem != f.Elem) || (c.Type.IsVector() && c.Dim != f.Dim):
			return errs.Invalid("column %s holds %s, dim %d; the schema says %s, dim %d", f.Name, c.Type, c.Dim, f.Type, f.Dim)
		case c.N != b.N:
			return errs.Invalid("column %s has %d rows instead of %d", f.Name, c.N, b.N)
		case !f.Nullable && slices.Contains(c.Valid, false):
			return errs.Invalid("column %s has a null, but is not nullable", f.Name)
		}
		if err := checkColumn(c); err != nil {
			return errs.Invalid("column %s: %v", f.Name, err)
		}
		seen[c.Field] = true
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if !seen[f.ID] && (f.PrimaryKey || !f.Nullable && f.Default == nil) {
			return errs.Invalid("rows without column %s", f.Name)
		}
	}
	return nil
}

func checkColumn(c *schema.Column) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Type != schema.Array {
		return nil
	}
	for i := range c.Arrays {
		a := &c.Arrays[i]
		if a.N == 0 {
			continue
		}
		if a.Type != c.Elem {
			return errs.New(errs.InvalidParameter, "row %d holds elements of type %s", i, a.Type)
		}
		if err := a.Check(); err != nil {
			return err
		}
	}
	return nil
}
