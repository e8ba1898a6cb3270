package segment

import (
	"sort"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// chunkRows is the number of rows per chunk of a growing segment: a multiple of 64, so that sets of chunks join at words.
const chunkRows = 4096

// chunk is a stretch of a growing segment. Its columns and timestamps are guarded by the segment's lock; readers take
// slices of what is there under the lock and read them without it, because what lies below a length never changes.
type chunk struct {
	columns   map[int64]*schema.Column
	ts        []uint64
	positions []uint64
	deaths    *deaths
}

func newChunk() *chunk {
	return &chunk{columns: map[int64]*schema.Column{}, deaths: newDeaths(chunkRows)}
}

// add appends rows lo to hi of a batch. A field that the chunk or the batch lacks is filled up with its default or null.
func (c *chunk) add(s *schema.Schema, rows Rows, lo, hi int, position uint64) {
	have := len(c.ts)
	for _, src := range rows.Batch.Columns {
		dst := c.columns[src.Field]
		if dst == nil {
			dst = &schema.Column{Field: src.Field, Type: src.Type, Elem: src.Elem, Dim: src.Dim}
			if f := s.FieldByID(src.Field); f != nil && have > 0 {
				dst = missing(f, have)
			} else if have > 0 {
				dst = nulls(dst, have)
			}
			c.columns[src.Field] = dst
		}
		appendRange(dst, src, lo, hi)
	}
	for id, dst := range c.columns {
		if dst.N == have+hi-lo {
			continue
		}
		if f := s.FieldByID(id); f != nil {
			appendRange(dst, missing(f, hi-lo), 0, hi-lo)
		} else {
			appendRange(dst, nulls(&schema.Column{Type: dst.Type, Elem: dst.Elem, Dim: dst.Dim}, hi-lo), 0, hi-lo)
		}
	}
	c.ts = append(c.ts, rows.TS[lo:hi]...)
	for range hi - lo {
		c.positions = append(c.positions, position)
	}
}

// appendRange appends rows lo to hi of a column of the same field.
func appendRange(dst, src *schema.Column, lo, hi int) {
	part := src.Slice(lo, hi)
	if part.Valid != nil && dst.Valid == nil {
		dst.Valid = allTrue(make([]bool, 0, dst.N+hi-lo), dst.N)
	}
	if dst.Valid != nil {
		if part.Valid != nil {
			dst.Valid = append(dst.Valid, part.Valid...)
		} else {
			dst.Valid = allTrue(dst.Valid, hi-lo)
		}
	}
	dst.Bools = append(dst.Bools, part.Bools...)
	dst.Ints = append(dst.Ints, part.Ints...)
	dst.Floats = append(dst.Floats, part.Floats...)
	dst.Doubles = append(dst.Doubles, part.Doubles...)
	dst.Strings = append(dst.Strings, part.Strings...)
	dst.Bytes = append(dst.Bytes, part.Bytes...)
	dst.Arrays = append(dst.Arrays, part.Arrays...)
	dst.Vectors = append(dst.Vectors, part.Vectors...)
	dst.Packed = append(dst.Packed, part.Packed...)
	dst.N += hi - lo
}

func allTrue(dst []bool, n int) []bool {
	for range n {
		dst = append(dst, true)
	}
	return dst
}

// part is what one read sees of a chunk: rows lo to n, where lo is above 0 only through time to live. It is a
// plan.Source of n rows.
type part struct {
	seg   *Growing
	chunk *chunk
	base  int // number of the chunk's first row in the segment
	lo, n int
	ts    []uint64
}

// Rows implements plan.Source.
func (p *part) Rows() int { return p.n }

// Column implements plan.Source.
func (p *part) Column(field int64) (*schema.Column, error) {
	if field == schema.TimestampField {
		return stampColumn(p.ts[:p.n]), nil
	}
	p.seg.mu.RLock()
	defer p.seg.mu.RUnlock()
	if c := p.chunk.columns[field]; c != nil {
		return c.Slice(0, p.n), nil
	}
	f := p.seg.schema.Load().FieldByID(field)
	if f == nil {
		return nil, errs.New(errs.FieldNotFound, "no field %d in partition %d", field, p.seg.partition)
	}
	return missing(f, p.n), nil
}

// visible returns the rows that a read at readTS sees, nil when these are all n.
func (p *part) visible(readTS uint64) bitset.Set {
	d := p.chunk.deaths
	dying := d.first.Load() <= readTS
	if p.lo == 0 && !dying {
		return nil
	}
	set := bitset.New(p.n)
	for i := p.lo; i < p.n; i++ {
		if dying {
			if at := d.at(i); at != 0 && at <= readTS {
				continue
			}
		}
		set.Add(i)
	}
	return set
}

// matching returns the visible rows that a plan (nil: every row) selects, nil when these are all n.
func (p *part) matching(pl *plan.Plan, readTS uint64) (bitset.Set, error) {
	seen := p.visible(readTS)
	if p.lo == p.n {
		return seen, nil
	}
	if pl == nil || pl.IsTrue() {
		return seen, nil
	}
	set, err := pl.Bitmap(p)
	if err == nil && seen != nil {
		set.And(seen)
	}
	return set, err
}

// parts returns what a read at readTS sees, chunk by chunk; all but the last are whole.
func (g *Growing) parts(readTS, expireBelow uint64) []*part {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var out []*part
	for i, c := range g.chunks {
		p := &part{seg: g, chunk: c, base: i * chunkRows, ts: c.ts}
		p.n = sort.Search(len(c.ts), func(r int) bool { return c.ts[r] > readTS })
		p.lo = sort.Search(p.n, func(r int) bool { return c.ts[r] >= expireBelow })
		if p.n == 0 {
			break
		}
		out = append(out, p)
	}
	return out
}
