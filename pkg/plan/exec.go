package plan

import (
	"math/bits"
	"slices"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// exec is a node compiled for evaluation.
//
// eval returns those rows of mask where the node is true, or with neg those where it is false. Rows where it is
// unknown are in neither, which is all that three-valued logic needs: negation moves down to the leaves, where a
// conjunction is false if one term is false and a disjunction if all are. The result is a set of the caller's own;
// mask is only read.
type exec interface {
	eval(e *env, neg bool, mask bitset.Set) bitset.Set
	// cost orders the terms of a conjunction: cheap ones first, so that dear ones see fewer rows.
	cost() int
}

const (
	costVector = 1  // a tight loop over a column
	costText   = 8  // a pattern over strings
	costArray  = 16 // a look into each row's array
	costJSON   = 64 // a walk through each row's document
)

// env is one evaluation: rows 0 to n-1 of the columns, or with rows != nil the n rows that it lists.
type env struct {
	cols    map[int64]*schema.Column
	paths   map[*Operand]*Path
	indexes map[int64]*Index
	n       int
	rows    []uint32

	sets   pool[uint64]
	bools  pool[bool]
	ints   pool[int64]
	floats pool[float32]
	double pool[float64]
	texts  pool[string]
}

// pool reuses slices within one evaluation.
type pool[T any] struct{ free [][]T }

func (p *pool[T]) get(n int) []T {
	if k := len(p.free); k > 0 && cap(p.free[k-1]) >= n {
		s := p.free[k-1][:n]
		p.free = p.free[:k-1]
		return s
	}
	return make([]T, n)
}

func (p *pool[T]) put(s []T) {
	if cap(s) > 0 && len(p.free) < 16 {
		p.free = append(p.free, s)
	}
}

// set returns an empty set for the evaluation's rows.
func (e *env) set() bitset.Set {
	s := e.sets.get((e.n + 63) / 64)
	clear(s)
	return s
}

func (e *env) copy(s bitset.Set) bitset.Set {
	c := e.sets.get(len(s))
	copy(c, s)
	return c
}

// row translates a position into a row number of the columns.
func (e *env) row(i int) int {
	if e.rows != nil {
		return int(e.rows[i])
	}
	return i
}

type execConst bool

func (c execConst) cost() int { return 0 }

func (c execConst) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	if bool(c) == neg {
		return e.set()
	}
	return e.copy(mask)
}

type execNot struct{ term exec }

func (n execNot) cost() int { return n.term.cost() }

func (n execNot) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	return n.term.eval(e, !neg, mask)
}

// execJunction is a conjunction or a disjunction; its terms are sorted by cost.
type execJunction struct {
	terms []exec
	or    bool
}

func (j *execJunction) cost() int {
	sum := 0
	for _, t := range j.terms {
		sum += t.cost()
	}
	return sum
}

func (j *execJunction) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	if j.or == neg {
		return j.all(e, neg, mask)
	}
	return j.any(e, neg, mask)
}

// all intersects: each term looks only at the rows that are left.
func (j *execJunction) all(e *env, neg bool, mask bitset.Set) bitset.Set {
	left := e.copy(mask)
	for _, t := range j.terms {
		if empty(left) {
			break
		}
		next := t.eval(e, neg, left)
		e.sets.put(left)
		left = next
	}
	return left
}

// any unites: each term looks only at the rows that are not in the result yet.
func (j *execJunction) any(e *env, neg bool, mask bitset.Set) bitset.Set {
	left, out := e.copy(mask), e.set()
	for _, t := range j.terms {
		if empty(left) {
			break
		}
		hit := t.eval(e, neg, left)
		out.Or(hit)
		left.AndNot(hit)
		e.sets.put(hit)
	}
	e.sets.put(left)
	return out
}

func empty(s bitset.Set) bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// compile turns a checked tree into its executable form.
func compile(n Node) exec {
	switch n := n.(type) {
	case Const:
		return execConst(n.Value)
	case *And:
		return compileTerms(n.Terms, false)
	case *Or:
		return compileTerms(n.Terms, true)
	case *Not:
		return execNot{compile(n.Term)}
	case *CompareColumns:
		return &columnsLeaf{left: &n.Left, right: &n.Right, op: n.Op}
	case *Compare:
		return compileCompare(n)
	case *Range:
		return compileRange(n)
	case *In:
		return compileIn(n)
	case *Like:
		return compileLike(n)
	case *Contains:
		return compileContains(n)
	case *Exists:
		return compileNull(&n.Operand, true)
	case *IsNull:
		return compileNull(&n.Operand, false)
	}
	panic("plan: unchecked node") // New refuses every other type
}

func compileTerms(terms []Node, or bool) exec {
	j := &execJunction{or: or, terms: make([]exec, len(terms))}
	for i, t := range terms {
		j.terms[i] = compile(t)
	}
	slices.SortStableFunc(j.terms, func(a, b exec) int { return a.cost() - b.cost() })
	return j
}

// tri is a truth value.
type tri uint8

const (
	no tri = iota
	yes
	unknown
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

// eachMasked fills out with the rows of mask whose test gives want.
func (e *env) eachMasked(mask, out bitset.Set, want tri, test func(i int) tri) {
	for w, word := range mask {
		var res uint64
		for word != 0 {
			b := bits.TrailingZeros64(word)
			word &= word - 1
			if test(w<<6+b) == want {
				res |= 1 << b
			}
		}
		out[w] = res
	}
}

// rowLeaf is a test of one column row by row, for documents and arrays.
type rowLeaf struct {
	field int64
	dear  int
	test  func(c *schema.Column, row int) tri
}

func (l *rowLeaf) cost() int { return l.dear }

func (l *rowLeaf) eval(e *env, neg bool, mask bitset.Set) bitset.Set {
	c, out, want := e.cols[l.field], e.set(), triOf(!neg)
	e.eachMasked(mask, out, want, func(i int) tri {
		row := e.row(i)
		if c.IsNull(row) {
			return unknown
		}
		return l.test(c, row)
	})
	return out
}
