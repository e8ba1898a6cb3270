package plan

import (
	"math/bits"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Matcher tests rows on demand, for searches that touch few of a segment's rows.
type Matcher interface {
	// Test returns a bit per listed row, the first row's lowest: whether the plan selects it. At most 64 rows, each
	// below the Rows of the source at the time the Matcher was made.
	Test(rows []uint32) (mask uint64)
}

// Matcher returns a tester of src's rows. It gives the same answers as Bitmap; it is not safe for concurrent use.
func (p *Plan) Matcher(src Source) (Matcher, error) {
	e, err := p.open(src, false)
	if err != nil {
		return nil, err
	}
	return &matcher{prog: p.prog, env: e}, nil
}

// matcher gathers the rows' values and runs the same loops as Bitmap over them.
type matcher struct {
	prog exec
	env  *env
	mask [1]uint64
}

func (m *matcher) Test(rows []uint32) uint64 {
	if len(rows) == 0 {
		return 0
	}
	m.env.n, m.env.rows = len(rows), rows
	m.mask[0] = ^uint64(0) >> (64 - len(rows))
	out := m.prog.eval(m.env, false, bitset.Set(m.mask[:]))
	res := out[0]
	m.env.sets.put(out)
	m.env.rows = nil
	return res
}

// Estimate returns the share of src's rows that the plan selects, from 0 to 1, by testing `sample` rows spread over
// the segment (all rows if there are no more). A source that cannot be read counts as fully selected: whoever then
// evaluates the plan meets the error.
func (p *Plan) Estimate(src Source, sample int) float64 {
	n := src.Rows()
	if c, ok := p.root.(Const); ok || n == 0 {
		return float64(b2i(ok && c.Value || !ok))
	}
	if sample <= 0 || sample >= n {
		all, err := p.Bitmap(src)
		if err != nil {
			return 1
		}
		return float64(all.Count()) / float64(n)
	}
	m, err := p.Matcher(src)
	if err != nil {
		return 1
	}
	hits := 0
	rows := make([]uint32, 0, 64)
	for i := range sample {
		rows = append(rows, sampleRow(i, sample, n))
		if len(rows) == 64 || i == sample-1 {
			hits += bits.OnesCount64(m.Test(rows))
			rows = rows[:0]
		}
	}
	return float64(hits) / float64(sample)
}

// sampleRow picks one row from the i-th of `sample` equal stretches, at a place that only looks random, so that
// periodic data does not fool the sample and equal calls give equal answers.
func sampleRow(i, sample, n int) uint32 {
	lo := i * n / sample
	width := (i+1)*n/sample - lo
	x := (uint64(i) + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint32(lo + int((x^x>>31)%uint64(max(width, 1))))
}

// PrimaryKeys returns the keys when the plan is nothing but `pk == x` or `pk in [..]`, in the order and with the
// repetitions of the filter. pk is the primary key's field id.
func (p *Plan) PrimaryKeys(pk int64) (schema.Keys, bool) { return keysOf(p.root, pk) }

// RequiredKeys returns keys outside which the plan selects nothing: those of PrimaryKeys, or of such a term of the
// top-level conjunction (the shortest list). The caller reads those keys and still evaluates the plan.
func (p *Plan) RequiredKeys(pk int64) (schema.Keys, bool) {
	and, ok := p.root.(*And)
	if !ok {
		return keysOf(p.root, pk)
	}
	var best schema.Keys
	found := false
	for _, t := range and.Terms {
		if k, ok := keysOf(t, pk); ok && (!found || k.Len() < best.Len()) {
			best, found = k, true
		}
	}
	return best, found
}

func keysOf(n Node, pk int64) (schema.Keys, bool) {
	switch n := n.(type) {
	case *Compare:
		if n.Op == EQ && n.Arith == nil && isKey(&n.Operand, pk) {
			return keyList(&n.Operand, []Value{n.Value}), true
		}
	case *In:
		if isKey(&n.Operand, pk) {
			return keyList(&n.Operand, n.Values), true
		}
	}
	return schema.Keys{}, false
}

func isKey(o *Operand, pk int64) bool {
	return o.Field == pk && (o.Type == schema.Int64 || o.Type == schema.VarChar)
}

func keyList(o *Operand, values []Value) schema.Keys {
	var k schema.Keys
	for i := range values {
		if o.Type == schema.Int64 {
			k.Ints = append(k.Ints, values[i].Int)
		} else {
			k.Strings = append(k.Strings, values[i].Str)
		}
	}
	return k
}
