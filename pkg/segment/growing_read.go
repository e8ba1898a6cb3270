package segment

import (
	"context"
	"errors"
	"fmt"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Select implements Segment. The set has room for the rows that the read sees, which may be fewer than Rows.
func (g *Growing) Select(ctx context.Context, p *plan.Plan, readTS, expireBelow uint64) (bitset.Set, error) {
	parts := g.parts(readTS, expireBelow)
	set, err := g.matching(ctx, p, parts, readTS)
	if set == nil && err == nil {
		set = bitset.Full(seen(parts))
	}
	return set, err
}

// seen is the number of rows in the prefix that parts make.
func seen(parts []*part) int {
	if len(parts) == 0 {
		return 0
	}
	last := parts[len(parts)-1]
	return last.base + last.n
}

// matching returns the visible rows that a plan (nil: every row) selects, nil when these are all rows of the prefix.
func (g *Growing) matching(ctx context.Context, p *plan.Plan, parts []*part, readTS uint64) (bitset.Set, error) {
	n := seen(parts)
	if rows, few := g.keyRows(p, n); few {
		out := bitset.New(n)
		return out, g.selectRows(p, parts, rows, readTS, out)
	}
	var out bitset.Set // made when the first part lacks a row
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		set, err := part.matching(p, readTS)
		if err != nil {
			return nil, err
		}
		if set == nil && out == nil {
			continue
		}
		if out == nil {
			out = bitset.New(n)
			copy(out, bitset.Full(part.base))
		}
		if set == nil {
			set = bitset.Full(part.n)
		}
		copy(out[part.base/64:], set)
	}
	return out, nil
}

// keyRows is as for sealed segments; rows come by chunk, at most limit.
func (g *Growing) keyRows(p *plan.Plan, limit int) (byChunk map[int][]uint32, few bool) {
	if p == nil {
		return nil, false
	}
	want, ok := p.RequiredKeys(g.pk)
	if !ok || want.Len() > max(limit/keysPerRow, 1) || (want.Strings != nil) != (g.byString != nil) {
		return nil, false
	}
	byChunk = map[int][]uint32{}
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i := range want.Len() {
		g.rowsOf(want, i, func(row int) {
			if row < limit {
				byChunk[row/chunkRows] = append(byChunk[row/chunkRows], uint32(row%chunkRows))
			}
		})
	}
	return byChunk, true
}

// selectRows adds to out those of the rows that are visible and match.
func (g *Growing) selectRows(p *plan.Plan, parts []*part, byChunk map[int][]uint32, readTS uint64, out bitset.Set) error {
	for _, part := range parts {
		var rows []uint32
		for _, r := range byChunk[part.base/chunkRows] {
			at := part.chunk.deaths.at(int(r))
			if int(r) >= part.lo && int(r) < part.n && (at == 0 || at > readTS) {
				rows = append(rows, r)
			}
		}
		if len(rows) == 0 {
			continue
		}
		set, err := matchRows(p, part, rows, nil)
		if err != nil {
			return err
		}
		copy(out[part.base/64:], set)
	}
	return nil
}

// Keys implements Segment.
func (g *Growing) Keys(rows []uint32) schema.Keys {
	b, err := g.Fetch(rows, []int64{g.pk})
	if err != nil {
		return schema.Keys{} // rows that a read returned are there, and every row has a key
	}
	return schema.KeysOf(b.Columns[0])
}

// Timestamps implements Segment.
func (g *Growing) Timestamps(rows []uint32) []uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]uint64, len(rows))
	for i, r := range rows {
		out[i] = g.chunks[r/chunkRows].ts[r%chunkRows]
	}
	return out
}

// Fetch implements Segment.
func (g *Growing) Fetch(rows []uint32, fields []int64) (*schema.Batch, error) {
	parts := g.parts(^uint64(0), 0)
	b := &schema.Batch{N: len(rows)}
	for _, id := range fields {
		out, err := (&part{seg: g, chunk: newChunk()}).Column(id) // empty, of the field's type
		if err != nil {
			return nil, err
		}
		out = &schema.Column{Field: id, Type: out.Type, Elem: out.Elem, Dim: out.Dim}
		reserve(out, len(rows))
		cols := make([]*schema.Column, len(parts))
		for _, r := range rows {
			i := int(r / chunkRows)
			if i >= len(parts) || int(r%chunkRows) >= parts[i].n {
				return nil, fmt.Errorf("partition %d has no growing row %d", g.partition, r)
			}
			if cols[i] == nil {
				if cols[i], err = parts[i].Column(id); err != nil {
					return nil, err
				}
			}
			out.AppendFrom(cols[i], int(r%chunkRows))
		}
		b.Columns = append(b.Columns, out)
	}
	return b, nil
}

// Search implements Segment by an exact scan.
func (g *Growing) Search(ctx context.Context, spec SearchSpec) (index.Hits, index.Stats, error) {
	parts := g.parts(spec.ReadTS, spec.ExpireBelow)
	if len(parts) == 0 {
		return emptyHits(spec.NQ), index.Stats{}, nil
	}
	set, err := g.matching(ctx, spec.Plan, parts, spec.ReadTS)
	if err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	chunks, form, set, err := g.vectorChunks(parts, spec.Field, set)
	if err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	if err := spec.check(form); err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	var f index.Filter
	if set != nil {
		count := set.Count()
		if count == 0 {
			return emptyHits(spec.NQ), index.Stats{}, nil
		}
		f = index.FromBitmap(set, count)
	}
	idx, err := index.FlatChunks(index.Spec{Type: index.TypeFlat, Metric: spec.Metric, Dim: form.dim, Elem: form.elem}, chunks, seen(parts))
	if err != nil {
		return index.Hits{}, index.Stats{}, err
	}
	hits, st, err := spec.run(ctx, idx, f)
	return hits, st, errors.Join(err, idx.Close())
}

// vectorChunks returns the vectors of the prefix that parts make, and the set (nil: all rows) without rows that have none.
func (g *Growing) vectorChunks(parts []*part, field int64, set bitset.Set) (chunks [][]byte, form shape, _ bitset.Set, err error) {
	n := seen(parts)
	for i, p := range parts {
		c, err := p.Column(field)
		if err != nil {
			return nil, form, nil, err
		}
		if form, err = shapeOf(c.Type, c.Dim); err != nil {
			return nil, form, nil, errs.New(errs.FieldNotFound, "field %d is no vector field", field)
		}
		chunks = append(chunks, c.VectorBytes())
		if c.Valid == nil {
			continue
		}
		if set == nil {
			set = bitset.Full(n)
		}
		for r, ok := range c.Valid {
			if !ok {
				set.Remove(i*chunkRows + r)
			}
		}
	}
	return chunks, form, set, nil
}
