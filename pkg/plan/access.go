package plan

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Access is what a Source may offer beside whole columns. It never changes what a plan selects, only what that costs.
type Access interface {
	Source
	// Path returns the values that the documents of a JSON column have at a path; nil when only the documents can tell.
	Path(field int64, path []string) (*Path, error)
	// Index returns an index of a column that is no document and no array; nil when it has none.
	Index(field int64) (*Index, error)
}

// Path is a JSON path's values, taken out of the documents. A row that is neither in Present nor in Rest has no value
// there, or null.
type Path struct {
	values  *schema.Column // of the present rows, in their order, none of them null; with index its distinct values
	index   *Index         // over the present rows, numbered in their order; nil: values are per row
	codes   []uint16       // with index, per present row: which of the values it has
	present bitset.Set     // nil: every row
	ints    bitset.Set     // per value of a Double: it was written as an integer
	rest    []uint32       // rows whose documents must be asked, ascending
	docs    *schema.Column // those documents
	rank    []uint32       // per word of present: how many rows are present before it
}

// PathValues are the parts of a Path. Values holds Bool, Int64, Double or VarChar, one per member of Present (nil:
// every row). With Postings it holds the distinct values, at most 65,536 of them and no Doubles, and Postings the places
// of each among the present rows. Ints is for Doubles: the values that were written as integers. Docs holds one document
// per row of Rest.
type PathValues struct {
	Values   *schema.Column
	Postings Postings
	Present  bitset.Set
	Ints     bitset.Set
	Rest     []uint32
	Docs     *schema.Column
}

// NewPath checks the parts of a Path of rows rows.
func NewPath(v PathValues, rows int) (*Path, error) {
	p := &Path{values: v.Values, present: v.Present, ints: v.Ints, rest: v.Rest, docs: v.Docs}
	want := rows
	if v.Present != nil {
		want = 0
		for _, w := range v.Present {
			p.rank = append(p.rank, uint32(want))
			want += onesCount(w)
		}
	}
	switch t := v.Values.Type; {
	case t != schema.Bool && t != schema.Int64 && t != schema.Double && t != schema.VarChar:
		return nil, fmt.Errorf("a path's values are of type %s", t)
	case v.Values.Valid != nil || (v.Postings == nil && v.Values.N != want):
		return nil, fmt.Errorf("a path has %d values for %d rows", v.Values.N, want)
	case len(v.Rest) > 0 && (v.Docs == nil || v.Docs.N != len(v.Rest)):
		return nil, fmt.Errorf("a path lacks documents")
	case v.Ints != nil && (v.Postings != nil || len(v.Ints) != len(bitset.New(want))):
		return nil, fmt.Errorf("a path has flags for %d values instead of %d", 64*len(v.Ints), want)
	}
	if v.Postings != nil {
		if err := p.encode(v.Postings, want); err != nil {
			return nil, err
		}
	}
	return p, v.Values.Check()
}

// encode notes which value each present row has.
func (p *Path) encode(rows Postings, present int) error {
	if p.values.N > 1<<16 || p.values.Type == schema.Double {
		return fmt.Errorf("a path has postings of %d values of type %s", p.values.N, p.values.Type)
	}
	p.index, p.codes = &Index{Values: p.values, Postings: rows}, make([]uint16, present)
	set, all := bitset.New(present), bitset.New(present)
	for i := range p.values.N {
		clear(set)
		rows.Add(i, set)
		all.Or(set)
		set.Each(func(at int) bool {
			p.codes[at] = uint16(i)
			return true
		})
	}
	if n := all.Count(); n != present {
		return fmt.Errorf("a path has postings of %d rows instead of %d", n, present)
	}
	return nil
}

// Index leads from values to rows. It has either Values and Postings, or Order, or is Sorted.
type Index struct {
	// Values are the column's distinct values, ascending; Postings the rows of each; Known the rows that have a value
	// (nil: all). The column itself is not needed then.
	Values   *schema.Column
	Postings Postings
	Known    bitset.Set
	// Order lists the rows that have a value, in ascending order of it.
	Order []uint32
	// Sorted: the rows themselves lie in ascending order of the column, and all have a value.
	Sorted bool
}

// Postings are the rows of each entry of an Index.
type Postings interface {
	// Count is the number of rows of an entry.
	Count(entry int) int
	// Add adds the rows of an entry to a set.
	Add(entry int, out bitset.Set)
}

// open fetches what the plan reads and checks it, so that evaluation cannot fail later. Indexes serve evaluations of
// all rows only.
func (p *Plan) open(src Source, all bool) (*env, error) {
	e := &env{cols: make(map[int64]*schema.Column, len(p.fields))}
	access, _ := src.(Access)
	for i := range p.fields {
		f := &p.fields[i]
		need := true
		if access != nil {
			var err error
			if need, err = e.shortcut(access, f, all); err != nil {
				return nil, fmt.Errorf("filter on field %d: %w", f.id, err)
			}
		}
		if !need {
			continue
		}
		c, err := column(src, f)
		if err != nil {
			return nil, err
		}
		e.cols[f.id] = c
	}
	return e, nil
}

func column(src Source, f *fieldUse) (*schema.Column, error) {
	c, err := src.Column(f.id)
	switch {
	case err != nil:
		return nil, fmt.Errorf("filter on field %d: %w", f.id, err)
	case c == nil:
		return nil, fmt.Errorf("filter on field %d: the segment has no such column", f.id)
	case c.Type != f.typ || c.Elem != f.elem:
		return nil, fmt.Errorf("filter on field %d: column is %s of %s, the plan expects %s of %s",
			f.id, c.Type, c.Elem, f.typ, f.elem)
	case c.N < src.Rows():
		return nil, fmt.Errorf("filter on field %d: %d values for %d rows", f.id, c.N, src.Rows())
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return c, nil
}

// shortcut takes paths and indexes of a field where there are any, and reports whether the column is needed as well.
func (e *env) shortcut(src Access, f *fieldUse, all bool) (need bool, err error) {
	if f.typ == schema.JSON {
		need = f.whole
		for _, o := range f.paths {
			p, err := src.Path(f.id, o.Path)
			if err != nil {
				return false, err
			}
			if p == nil {
				need = true
				continue
			}
			if e.paths == nil {
				e.paths = map[*Operand]*Path{}
			}
			e.paths[o] = p
		}
		return need, nil
	}
	if !all || f.typ == schema.Array {
		return true, nil
	}
	x, err := src.Index(f.id)
	if x == nil || err != nil {
		return true, err
	}
	if x.Values != nil && x.Values.Type != f.typ {
		return true, nil
	}
	if e.indexes == nil {
		e.indexes = map[int64]*Index{}
	}
	e.indexes[f.id] = x
	return f.whole || x.Values == nil, nil
}

// Indexed reports whether indexes alone tell which rows the plan selects, so that evaluating it reads no column.
func (p *Plan) Indexed(src Source) bool {
	access, ok := src.(Access)
	if !ok {
		return false
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.whole || f.typ == schema.JSON {
			return false
		}
		if x, err := access.Index(f.id); err != nil || x == nil || x.Values == nil {
			return false
		}
	}
	return true
}
