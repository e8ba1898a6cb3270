package segment

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
)

// MergeConfig says what to merge. Sources keep their references; open them with NoVectors, so that vectors pass through
// memory by the row group only.
type MergeConfig struct {
	Dir     string // of the new segment's files
	Schema  *schema.Schema
	Sources []*Sealed
	Indexed []int64 // the scalar fields for which an index was asked
	// Drop decides whether a row of timestamp ts, killed at deadTS (0: alive), is left out. Nil keeps every row.
	Drop func(ts, deadTS uint64) bool
}

// Dropped stands in Merge's mapping for a row that was left out.
const Dropped = ^uint32(0)

// Merge writes one segment of several. Deletes that the sources know are kept with the rows that stay (they are part of
// the new files), so a later reader needs only deletes behind those that were applied to the sources. The mapping gives
// per source id and old row the new row. When no row is left nothing is written and Info is zero.
func Merge(ctx context.Context, store objstore.Store, cfg MergeConfig) (Info, map[int64][]uint32, error) {
	if len(cfg.Sources) == 0 || cfg.Schema == nil || cfg.Dir == "" {
		return Info{}, nil, errors.New("merge: sources, schema or folder missing")
	}
	for _, s := range cfg.Sources {
		if !s.Retain() {
			return Info{}, nil, errClosed(s.cfg.ID)
		}
		defer s.Release()
	}
	m := &merged{sources: cfg.Sources}
	mapping := m.plan(cfg.Drop)
	if len(m.order) == 0 {
		return Info{}, mapping, nil
	}
	info, err := writeFiles(ctx, store, cfg.Dir, cfg.Schema, m, layoutOf(cfg.Schema, cfg.Indexed))
	if err != nil {
		return Info{}, nil, err
	}
	return info, mapping, nil
}

// origin is a row of one of the sources.
type origin struct {
	source int
	row    uint32
}

// merged is a rowSource over several segments.
type merged struct {
	sources []*Sealed
	order   []origin
	ts      []uint64
	dts     []uint64
}

// plan fixes the order of rows: by key, then timestamp, then source.
func (m *merged) plan(drop func(ts, deadTS uint64) bool) map[int64][]uint32 {
	mapping := map[int64][]uint32{}
	q := &mergeQueue{sources: m.sources}
	for i, s := range m.sources {
		mapping[s.cfg.ID] = make([]uint32, s.Rows())
		if s.Rows() > 0 {
			q.heads = append(q.heads, origin{source: i})
		}
	}
	heap.Init(q)
	for q.Len() > 0 {
		at := q.heads[0]
		s := m.sources[at.source]
		ts, dead := s.ts[at.row], s.deaths.at(int(at.row))
		if drop != nil && drop(ts, dead) {
			mapping[s.cfg.ID][at.row] = Dropped
		} else {
			mapping[s.cfg.ID][at.row] = uint32(len(m.order))
			m.order, m.ts, m.dts = append(m.order, at), append(m.ts, ts), append(m.dts, dead)
		}
		if q.heads[0].row++; int(q.heads[0].row) == s.Rows() {
			heap.Pop(q)
		} else {
			heap.Fix(q, 0)
		}
	}
	return mapping
}

func (m *merged) timestamps() []uint64 { return m.ts }

func (m *merged) dead() []uint64 { return m.dts }

func (m *merged) column(f *schema.Field, lo, hi int) (*schema.Column, error) {
	rows := make([][]uint32, len(m.sources))
	for _, o := range m.order[lo:hi] {
		rows[o.source] = append(rows[o.source], o.row)
	}
	parts := make([]*schema.Column, len(m.sources))
	for i, s := range m.sources {
		var err error
		if parts[i], err = s.stream(f, rows[i]); err != nil {
			return nil, fmt.Errorf("merge segment %d: %w", s.cfg.ID, err)
		}
		if parts[i].Type != f.Type || parts[i].Elem != f.Elem || parts[i].Dim != f.Dim {
			return nil, errs.New(errs.SchemaMismatch, "merge segment %d: field %s changed its type", s.cfg.ID, f.Name)
		}
	}
	out := schema.NewColumn(f)
	reserve(out, hi-lo)
	next := make([]int, len(m.sources))
	for _, o := range m.order[lo:hi] {
		out.AppendFrom(parts[o.source], next[o.source])
		next[o.source]++
	}
	return out, nil
}

// stream returns ascending rows of a field without keeping more in memory than there was.
func (s *Sealed) stream(f *schema.Field, rows []uint32) (*schema.Column, error) {
	if l := s.columns[f.ID]; l != nil {
		return l.some(rows, len(rows))
	}
	if s.vectors[f.ID] != nil {
		return s.fetchVectors(s.vectors[f.ID], f.ID, rows)
	}
	return missing(f, len(rows)), nil
}

// mergeQueue is a heap of the sources' next rows.
type mergeQueue struct {
	sources []*Sealed
	heads   []origin
}

func (q *mergeQueue) Len() int { return len(q.heads) }

func (q *mergeQueue) Less(i, j int) bool {
	a, b := q.heads[i], q.heads[j]
	x, y := q.sources[a.source], q.sources[b.source]
	return cmp.Or(
		compareKeys(x.keys.keys, int(a.row), y.keys.keys, int(b.row)),
		cmp.Compare(x.ts[a.row], y.ts[b.row]),
		cmp.Compare(a.source, b.source)) < 0
}

func (q *mergeQueue) Swap(i, j int) { q.heads[i], q.heads[j] = q.heads[j], q.heads[i] }

// Push implements heap.Interface.
func (q *mergeQueue) Push(x any) { q.heads = append(q.heads, x.(origin)) }

// Pop implements heap.Interface.
func (q *mergeQueue) Pop() any {
	last := q.heads[len(q.heads)-1]
	q.heads = q.heads[:len(q.heads)-1]
	return last
}
