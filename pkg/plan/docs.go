package plan

import (
	"math/bits"
	"sort"

	"github.com/tidwall/gjson"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// docLeaf tests what a path finds in each row's document: by walking through the documents, or by the path's values
// where the source has taken them out. Both give the same answers.
type docLeaf struct {
	op     *Operand
	path   *path
	absent tri                       // the answer for a row without a document
	doc    func(r *gjson.Result) tri // what is at the path; also for nothing and for null
	scalar func(v *Value) tri        // the same for a value that is a scalar; nil: unknown
	typed  map[schema.Type]typedLeaf
	known  bool // scalar gives one answer for all values
}

// typedLeaf is a test of scalars of one type: a loop over a column, or unknown for all of them.
type typedLeaf struct {
	leaf    *vecLeaf
	unknown bool
}

func (l *docLeaf) cost() int { return costJSON }

func (l *docLeaf) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	out, want := e.set(), triOf(!neg)
	if p := e.paths[l.op]; p != nil {
		l.byPath(e, p, want, mask, out)
		return out
	}
	c := e.cols[l.op.Field]
	e.eachMasked(mask, out, want, func(i int) tri {
		row := e.row(i)
		if c.IsNull(row) {
			return l.absent
		}
		return l.test(c.Bytes[row])
	})
	return out
}

func (l *docLeaf) test(doc []byte) tri {
	r := l.path.get(doc)
	return l.doc(&r)
}

func (l *docLeaf) byPath(e *env, p *Path, want tri, mask, out bitset.Set) {
	if e.rows != nil {
		e.eachMasked(mask, out, want, func(i int) tri { return l.row(p, e.rows[i]) })
		return
	}
	present := l.values(p, want)
	if l.absent == want {
		copy(out, mask)
		p.clear(out)
	}
	p.scatter(present, out)
	out.And(mask)
	for i, r := range p.rest {
		if mask.Has(int(r)) && l.test(p.docs.Bytes[i]) == want {
			out.Add(int(r))
		}
	}
}

// values returns which of a path's values give an answer, nil for none.
func (l *docLeaf) values(p *Path, want tri) bitset.Set {
	t, ok := l.typed[p.values.Type]
	e := &env{n: p.count()}
	switch every := bitset.Full(e.n); {
	case l.scalar == nil, t.unknown:
		return nil
	case l.known:
		if l.scalar(nil) == want {
			return every
		}
		return nil
	case ok && p.index != nil:
		return p.index.byEntry(e, t.leaf, want == no, every)
	case p.index != nil:
		entries, hit := bitset.New(p.values.N), e.set()
		for i := range p.values.N {
			if v := p.constant(i); l.scalar(&v) == want {
				entries.Add(i)
			}
		}
		p.index.unite(entries, true, hit)
		return hit
	case ok && p.ints == nil:
		v, hit := e.vec(p.values), e.set()
		t.leaf.run(e, &v, every, hit)
		finish(hit, want == no, every, v.known)
		return hit
	default:
		hit := e.set()
		e.eachMasked(every, hit, want, func(i int) tri {
			v := p.value(i)
			return l.scalar(&v)
		})
		return hit
	}
}

// row answers for one row.
func (l *docLeaf) row(p *Path, row uint32) tri {
	if at, ok := p.at(row); ok {
		if l.scalar == nil {
			return unknown
		}
		v := p.value(at)
		return l.scalar(&v)
	}
	i := sort.Search(len(p.rest), func(i int) bool { return p.rest[i] >= row })
	if i < len(p.rest) && p.rest[i] == row {
		return l.test(p.docs.Bytes[i])
	}
	return l.absent
}

// at returns where a row's value lies.
func (p *Path) at(row uint32) (int, bool) {
	if p.present == nil {
		return int(row), true
	}
	w, b := row>>6, row&63
	word := p.present[w]
	return int(p.rank[w]) + bits.OnesCount64(word&(1<<b-1)), word>>b&1 != 0
}

// count is the number of rows that have a value.
func (p *Path) count() int {
	if p.index != nil {
		return len(p.codes)
	}
	return p.values.N
}

// value returns the value of the i-th row that has one.
func (p *Path) value(i int) Value {
	if p.index != nil {
		i = int(p.codes[i])
	}
	return p.constant(i)
}

func (p *Path) constant(i int) Value {
	switch c := p.values; c.Type {
	case schema.Bool:
		return BoolValue(c.Bools[i])
	case schema.Int64:
		return IntValue(c.Ints[i])
	case schema.Double:
		if p.ints != nil && p.ints.Has(i) {
			return IntValue(int64(c.Doubles[i]))
		}
		return FloatValue(c.Doubles[i])
	default:
		return StringValue(c.Strings[i])
	}
}

// scatter adds to out the rows of the values that hit holds.
func (p *Path) scatter(hit, out bitset.Set) {
	if hit == nil {
		return
	}
	if p.present == nil {
		out.Or(hit)
		return
	}
	for w, word := range p.present {
		at := p.rank[w]
		for ; word != 0; word &= word - 1 {
			if hit[at>>6]>>(at&63)&1 != 0 {
				out[w] |= word & -word
			}
			at++
		}
	}
}

// clear removes the rows that have a value, or a document that must be asked.
func (p *Path) clear(out bitset.Set) {
	if p.present == nil {
		clear(out)
	} else {
		out.AndNot(p.present)
	}
	for _, r := range p.rest {
		out.Remove(int(r))
	}
}
