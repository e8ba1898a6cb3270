package segment

import (
	"cmp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/gyr-db/gyr/pkg/schema"
)

// A column may have an index of one of two forms. By values: the distinct values and the rows of each, for few of
// them; such a column is not even read by most filters. By order: the rows in ascending order of their values, for
// many; a filter searches in it and needs the column as well.
//
// An index by values is written unasked where it is small. An index by order is written when it was asked for.
const (
	autoValues  = 1024    // most distinct values of an index that nobody asked for
	askedValues = 1 << 16 // and of one that somebody did
	valueRows   = 16      // least mean number of rows per value
	fewCount    = 64      // most distinct values that the head of a file lists
	fewBytes    = 2048    // and their bytes
)

// indexMeta describes a column's index: by values when Values is there, else by order.
type indexMeta struct {
	ID     int64       `json:"id"` // of its sections
	Values *columnMeta `json:"values,omitempty"`
	Rows   int         `json:"rows"` // that have a value
}

// scalarIndex is an index before it is written.
type scalarIndex struct {
	field    int64
	rows     int
	values   *schema.Column
	postings []byte
	order    []uint32
}

func (x *scalarIndex) size() int64 {
	n := int64(len(x.postings) + 4*len(x.order) + 2*pageSize)
	if x.values != nil {
		n += columnBytes(x.values)
	}
	return n
}

func (x *scalarIndex) write(out *container, z *zstd.Encoder, id int64) (*indexMeta, error) {
	m := &indexMeta{ID: id, Rows: x.rows}
	if x.values == nil {
		return m, out.add(secOrder, id, bytesOf(x.order))
	}
	e := newColumnEncoder(&schema.Field{ID: id, Type: x.values.Type}, z)
	e.add(x.values)
	if err := e.finish(out); err != nil {
		return nil, err
	}
	e.meta.Rows = x.values.N
	m.Values = &e.meta
	return m, out.add(secPostings, id, x.postings)
}

// few returns the distinct values for the file's head, nil when they are too many for that.
func (x *scalarIndex) few() [][]byte {
	if x.values == nil || x.values.N > fewCount {
		return nil
	}
	var out [][]byte
	size := 0
	for i := range x.values.N {
		var b bounds
		b.add(x.values, i)
		lo, hi := b.encode()
		if size += len(hi); hi == nil || len(lo) != len(hi) || size > fewBytes {
			return nil
		}
		out = append(out, hi)
	}
	return out
}

// indexable reports whether values of a field have an order that filters ask for.
func indexable(f *schema.Field) bool {
	return f.Form != schema.Geometry && (f.Type == schema.Bool || f.Type.IsInt() || f.Type == schema.Float || f.Type == schema.Double || f.Type == schema.VarChar)
}

// scalarIndex builds the index of a written column; nil when it gets none.
func (w *fileWriter) scalarIndex(f *schema.Field, e *columnEncoder, z *zstd.Decoder) (*scalarIndex, error) {
	if !indexable(f) || f.PrimaryKey || e.meta.Nulls == w.rows {
		return nil, nil
	}
	if e.few != nil && !e.few.over && len(e.few.rows)*valueRows <= w.rows-e.meta.Nulls {
		return e.few.index(f, w.rows-e.meta.Nulls), nil
	}
	if !slices.Contains(w.indexed, f.ID) || f.Type == schema.Bool || e.bounds.nan {
		return nil, nil
	}
	c, err := e.column(w.rows, z)
	if err != nil {
		return nil, err
	}
	return orderedIndex(f, c), nil
}

// orderedIndex sorts a column's rows, and gathers them by value when the values are few.
func orderedIndex(f *schema.Field, c *schema.Column) *scalarIndex {
	x := &scalarIndex{field: f.ID}
	for i := range c.N {
		if !c.IsNull(i) {
			x.order = append(x.order, uint32(i))
		}
	}
	x.rows = len(x.order)
	compare := comparer(c)
	slices.SortFunc(x.order, func(a, b uint32) int { return cmp.Or(compare(a, b), cmp.Compare(a, b)) })
	var starts []uint32
	for i, r := range x.order {
		if i == 0 || compare(x.order[i-1], r) != 0 {
			starts = append(starts, uint32(i))
		}
	}
	if len(starts) > askedValues || len(starts)*valueRows > x.rows {
		return x
	}
	lists, firsts := make([][]uint32, len(starts)), make([]uint32, len(starts))
	for i, lo := range starts {
		hi := len(x.order)
		if i+1 < len(starts) {
			hi = int(starts[i+1])
		}
		lists[i], firsts[i] = x.order[lo:hi], x.order[lo]
	}
	x.values, x.postings, x.order = gather(c, firsts), encodePostings(lists), nil
	x.values.Valid = nil
	return x
}

// comparer compares two rows of a column that have values.
func comparer(c *schema.Column) func(a, b uint32) int {
	switch t := c.Type; {
	case t.IsInt():
		return func(a, b uint32) int { return cmp.Compare(c.Ints[a], c.Ints[b]) }
	case t == schema.Float:
		return func(a, b uint32) int { return cmp.Compare(c.Floats[a], c.Floats[b]) }
	case t == schema.Double:
		return func(a, b uint32) int { return cmp.Compare(c.Doubles[a], c.Doubles[b]) }
	}
	return func(a, b uint32) int { return cmp.Compare(c.Strings[a], c.Strings[b]) }
}

// column decodes what was written.
func (e *columnEncoder) column(rows int, z *zstd.Decoder) (*schema.Column, error) {
	c := &schema.Column{Field: e.meta.Field, Type: e.meta.Type, N: rows}
	if isText(e.meta.Type) {
		t := e.written(rows, z)
		c.Valid = t.valid
		return c, t.fill(c)
	}
	if e.meta.Nulls > 0 {
		c.Valid = unpackBits(e.valid.bytes, rows)
	}
	raw := e.values
	if e.meta.Type == schema.Bool {
		raw = e.bools.bytes
	}
	setNumbers(c, raw)
	return c, nil
}

// fewValues gathers the rows of each distinct value, as long as these are few.
type fewValues struct {
	n     int // rows so far
	ints  map[int64]int
	texts map[string]int
	bools [2]int
	rows  [][]uint32
	over  bool
}

// newFewValues returns nil for a field whose values are not indexed unasked.
func newFewValues(f *schema.Field) *fewValues {
	if !indexable(f) || f.PrimaryKey || f.Type == schema.Float || f.Type == schema.Double {
		return nil
	}
	return &fewValues{ints: map[int64]int{}, texts: map[string]int{}, bools: [2]int{-1, -1}}
}

func (d *fewValues) add(c *schema.Column) {
	if d.over {
		return
	}
	for i := range c.N {
		if c.IsNull(i) {
			continue
		}
		at, ok := d.find(c, i)
		if !ok {
			if at = len(d.rows); at == autoValues {
				*d = fewValues{over: true}
				return
			}
			d.rows = append(d.rows, nil)
			switch {
			case c.Type == schema.Bool:
				d.bools[b2i(c.Bools[i])] = at
			case c.Type == schema.VarChar:
				d.texts[strings.Clone(c.Strings[i])] = at
			default:
				d.ints[c.Ints[i]] = at
			}
		}
		d.rows[at] = append(d.rows[at], uint32(d.n+i))
	}
	d.n += c.N
}

func (d *fewValues) find(c *schema.Column, i int) (at int, ok bool) {
	switch {
	case c.Type == schema.Bool:
		at = d.bools[b2i(c.Bools[i])]
		return at, at >= 0
	case c.Type == schema.VarChar:
		at, ok = d.texts[c.Strings[i]]
	default:
		at, ok = d.ints[c.Ints[i]]
	}
	return at, ok
}

func (d *fewValues) index(f *schema.Field, rows int) *scalarIndex {
	x := &scalarIndex{field: f.ID, rows: rows, values: schema.NewColumn(f)}
	var order []int
	switch v := x.values; {
	case f.Type == schema.Bool:
		for i, at := range d.bools {
			if at >= 0 {
				v.Bools, order = append(v.Bools, i == 1), append(order, at)
			}
		}
	case f.Type == schema.VarChar:
		v.Strings, order = sortedKeys(d.texts)
	default:
		v.Ints, order = sortedKeys(d.ints)
	}
	x.values.N = len(order)
	lists := make([][]uint32, len(order))
	for i, at := range order {
		lists[i] = d.rows[at]
	}
	x.postings = encodePostings(lists)
	return x
}

func sortedKeys[K cmp.Ordered](m map[K]int) (keys []K, at []int) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		at = append(at, m[k])
	}
	return keys, at
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
