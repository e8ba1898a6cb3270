// Package plan is the typed form of a filter: parsed once at the proxy (package expr), sent as bytes, evaluated per
// segment over columns.
//
// It owns the node tree, its binary form, and evaluation; it knows no filter syntax (package expr does) and no
// segment files (Source hides them).
//
// Logic is three-valued. A null, a missing JSON key, an array element behind the end and a JSON value of another kind
// than the constant it meets are unknown: neither such a comparison nor its negation selects the row. IsNull and
// Exists always know their answer. A row is selected when the whole filter is true.
//
// A Plan is immutable after New or Decode and safe for concurrent use; a Matcher belongs to one goroutine.
package plan

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Source gives a plan the columns of one segment.
type Source interface {
	// Rows is the number of rows.
	Rows() int
	// Column returns a field's values of all rows. A field that the segment's files do not have (added later) comes
	// as nulls or its default.
	Column(field int64) (*schema.Column, error)
}

// Plan is a checked filter, ready to run.
type Plan struct {
	root   Node
	prog   exec
	fields []fieldUse
	key    func() string
}

// fieldUse is a column that a plan reads, the type that it was parsed against, and how it is read.
type fieldUse struct {
	id    int64
	typ   schema.Type
	elem  schema.Type
	paths []*Operand // of a JSON column: the operands with a path
	whole bool       // something reads the column that neither a path's values nor an index can answer
}

// New checks a tree and makes it ready to run. The tree must not be changed afterwards.
func New(root Node) (*Plan, error) {
	c := checker{fields: map[int64]*fieldUse{}}
	if err := c.node(root, 0); err != nil {
		return nil, err
	}
	p := &Plan{root: root, prog: compile(root)}
	p.key = sync.OnceValue(func() string {
		sum := sha256.Sum256(p.Encode())
		return string(sum[:])
	})
	for _, f := range c.fields {
		p.fields = append(p.fields, *f)
	}
	slices.SortFunc(p.fields, func(a, b fieldUse) int { return int(min(max(a.id-b.id, -1), 1)) })
	return p, nil
}

// True returns the plan that selects every row.
func True() *Plan {
	p, err := New(Const{Value: true})
	if err != nil {
		panic(err) // a constant always passes the check
	}
	return p
}

// Root returns the tree. It must not be changed.
func (p *Plan) Root() Node { return p.root }

// Fields returns the ids of the columns that evaluation reads, ascending.
func (p *Plan) Fields() []int64 {
	out := make([]int64, len(p.fields))
	for i, f := range p.fields {
		out[i] = f.id
	}
	return out
}

// IsTrue reports whether the plan selects every row without looking.
func (p *Plan) IsTrue() bool {
	c, ok := p.root.(Const)
	return ok && c.Value
}

// Key identifies the plan among all plans: equal trees have equal keys, different ones different keys. It is not
// printable.
func (p *Plan) Key() string { return p.key() }

// String renders the tree for logs, fields as f<id>, long lists cut.
func (p *Plan) String() string { return render(p.root) }

// Bitmap returns the rows of a segment that the plan selects, in a set for src.Rows() rows.
func (p *Plan) Bitmap(src Source) (bitset.Set, error) {
	e, err := p.open(src, true)
	if err != nil {
		return nil, err
	}
	e.n = src.Rows()
	return p.prog.eval(e, false, bitset.Full(e.n)), nil
}
