package segment

import (
	"context"
	"sync"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

var _ plan.Access = (*Sealed)(nil)

// lazyIndex is a column's index, read at the first filter that asks for it.
type lazyIndex struct {
	seg   *Sealed
	meta  *columnMeta
	mu    sync.Mutex // guards index; held while reading
	index *plan.Index
}

// openScalars checks what the file says about its scalar indexes.
func (s *Sealed) openScalars() error {
	for id, l := range s.columns {
		x := l.meta.Index
		if x == nil {
			continue
		}
		ok := x.Rows >= 0 && x.Rows == s.file.rows-l.meta.Nulls
		if v := x.Values; v != nil {
			ok = ok && v.Type == l.meta.Type && v.Nulls == 0 && v.Rows > 0 && v.Rows <= x.Rows
		}
		if !ok {
			return corrupt(s.file.name, "index of field %d", id)
		}
		s.scalars[id] = &lazyIndex{seg: s, meta: l.meta}
	}
	return nil
}

// Index implements plan.Access. The primary key needs no index: rows lie in its order.
func (s *Sealed) Index(field int64) (*plan.Index, error) {
	if l := s.scalars[field]; l != nil {
		return l.get()
	}
	if field == s.cfg.Schema.PrimaryKey().ID {
		return &plan.Index{Sorted: true}, nil
	}
	return nil, nil
}

func (l *lazyIndex) get() (*plan.Index, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index != nil {
		return l.index, nil
	}
	ctx, cancel := context.WithTimeout(l.seg.ctx, loadTimeout)
	defer cancel()
	x, size, err := l.seg.readIndex(ctx, l.meta)
	if err != nil {
		return nil, err
	}
	l.seg.bytes.Add(size)
	l.index = x
	return x, nil
}

func (s *Sealed) readIndex(ctx context.Context, c *columnMeta) (*plan.Index, int64, error) {
	m := c.Index
	if m.Values == nil {
		raw, err := s.file.exact(ctx, secOrder, m.ID, 4*m.Rows)
		if err != nil {
			return nil, 0, err
		}
		order := wordsOf[uint32](raw)
		for _, r := range order {
			if int(r) >= s.Rows() {
				return nil, 0, corrupt(s.file.name, "the index of field %d names row %d", c.Field, r)
			}
		}
		return &plan.Index{Order: order}, int64(len(raw)), nil
	}
	rows, values, err := s.readValues(ctx, m, s.Rows())
	if err != nil {
		return nil, 0, err
	}
	x := &plan.Index{Values: values, Postings: rows}
	valid, err := s.file.validity(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	if valid != nil {
		x.Known = bitset.New(s.Rows())
		for i, ok := range valid {
			if ok {
				x.Known.Add(i)
			}
		}
	}
	return x, int64(len(rows.raw)+8*len(x.Known)) + columnBytes(values), nil
}

// readValues reads an index by values over n rows.
func (s *Sealed) readValues(ctx context.Context, m *indexMeta, n int) (*postings, *schema.Column, error) {
	raw, err := s.file.section(ctx, secPostings, m.ID)
	if err != nil {
		return nil, nil, err
	}
	rows, err := openPostings(raw, m.Values.Rows, n)
	if err != nil {
		return nil, nil, corrupt(s.file.name, "index %d: %v", m.ID, err)
	}
	values, err := s.file.decodeColumn(ctx, m.Values, s.zstd)
	return rows, values, err
}

// withoutIndexes is a segment for lazy filters: their bitmap must need nothing that their matchers did not read before,
// because it cannot fail.
type withoutIndexes struct{ *Sealed }

// Index implements plan.Access.
func (withoutIndexes) Index(int64) (*plan.Index, error) { return nil, nil }
