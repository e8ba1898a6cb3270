package segment

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Shredding: what documents have at their frequent paths is written a second time, as typed columns, so that filters on
// these paths read no documents. Which paths, a sample of the rows decides. Whatever a typed column cannot say exactly
// (a value of another type, a document with a key twice) is left to the document: the row is in the path's rest.
const (
	shredSample    = 4096 // rows whose paths are counted
	shredPaths     = 64   // paths per field
	shredDepth     = 8    // steps per path
	shredNodes     = 8192 // paths counted
	shredStep      = 128  // bytes of a step
	shredText      = 256  // mean bytes of a path's strings; longer ones would only repeat the document
	shredShare     = 100  // a path is frequent when one sampled row in so many has it
	shredOddShare  = 8    // at most one value in so many may be of another type
	shredExactInts = 1 << 53
)

// pathMeta describes a path's column. Column.Rows is the number of rows that have a value of the type. With Index the
// column itself is not in the file, but its distinct values and the places of each among those rows.
type pathMeta struct {
	Field  int64      `json:"field"`
	Steps  []string   `json:"steps"`
	Column columnMeta `json:"column"`
	Rest   int        `json:"rest,omitempty"` // rows whose documents must be asked
	Ints   bool       `json:"ints,omitempty"` // of Doubles: some were written as integers
	Index  *indexMeta `json:"index,omitempty"`
}

// pathNode is a step in the tree of paths.
type pathNode struct {
	step     string
	up       *pathNode
	children map[string]*pathNode
	values   int // other than null
	kinds    [5]int
	text     int // bytes of strings
	column   *pathColumn
	row      int // the last row that had the step, plus one
}

func (n *pathNode) child(step string) *pathNode {
	if n.children == nil {
		n.children = map[string]*pathNode{}
	}
	c := n.children[step]
	if c == nil {
		c = &pathNode{step: step, up: n}
		n.children[step] = c
	}
	return c
}

func (n *pathNode) steps() []string {
	var out []string
	for ; n.up != nil; n = n.up {
		out = append(out, n.step)
	}
	slices.Reverse(out)
	return out
}

// columnType chooses the type of a path's column; 0 when its values are too few, too mixed or too long.
func (n *pathNode) columnType(sampled int) schema.Type {
	t, numbers := schema.Type(0), n.kinds[plan.KindInt]+n.kinds[plan.KindFloat]
	most := max(n.kinds[plan.KindBool], numbers, n.kinds[plan.KindString])
	switch {
	case most == n.kinds[plan.KindString]:
		t = schema.VarChar
	case most == n.kinds[plan.KindBool]:
		t = schema.Bool
	case n.kinds[plan.KindFloat] == 0:
		t = schema.Int64
	default:
		t = schema.Double
	}
	if most == 0 || most*shredShare < sampled || (n.values-most)*shredOddShare > n.values || (t == schema.VarChar && n.text > shredText*most) {
		return 0
	}
	return t
}

// pathCounter counts the paths of sampled documents.
type pathCounter struct {
	root  pathNode
	nodes int
}

func (p *pathCounter) add(doc []byte) {
	if r := gjson.Parse(viewString(doc)); r.IsObject() && gjson.Valid(viewString(doc)) {
		p.walk(&p.root, r, 1)
	}
}

func (p *pathCounter) walk(at *pathNode, r gjson.Result, depth int) {
	r.ForEach(func(key, value gjson.Result) bool {
		c := at.children[key.Str]
		if c == nil {
			if p.nodes == shredNodes || !shreddable(key.Str) {
				return true
			}
			p.nodes++
			c = at.child(strings.Clone(key.Str))
		}
		v, scalar := plan.JSONValue(value)
		switch {
		case scalar:
			c.values++
			c.kinds[v.Kind]++
			c.text += len(v.Str)
		case value.Type != gjson.Null:
			c.values++
			if value.IsObject() && depth < shredDepth {
				p.walk(c, value, depth+1)
			}
		}
		return true
	})
}

func shreddable(step string) bool {
	return len(step) <= shredStep && utf8.ValidString(step) && plan.PathStep(step)
}

// chosen returns the most frequent paths that can become columns.
func (p *pathCounter) chosen(sampled int) []*pathNode {
	var out []*pathNode
	var collect func(n *pathNode)
	collect = func(n *pathNode) {
		for _, c := range n.children {
			if c.columnType(sampled) != 0 {
				out = append(out, c)
			}
			collect(c)
		}
	}
	collect(&p.root)
	slices.SortFunc(out, func(a, b *pathNode) int {
		return cmp.Or(cmp.Compare(b.values, a.values), slices.Compare(a.steps(), b.steps()))
	})
	return out[:min(len(out), shredPaths)]
}

// pathColumn gathers a path's values.
type pathColumn struct {
	meta    pathMeta
	enc     *columnEncoder
	buf     *schema.Column
	field   *schema.Field
	rows    int
	present []uint64
	ints    []uint64
	rest    []uint32
}

func newPathColumn(field, id int64, steps []string, t schema.Type, rows int, z *zstd.Encoder) *pathColumn {
	f := &schema.Field{ID: id, Type: t}
	c := &pathColumn{
		meta: pathMeta{Field: field, Steps: steps}, enc: newColumnEncoder(f, z), buf: schema.NewColumn(f),
		field: f, rows: rows, present: make([]uint64, (rows+63)/64),
	}
	c.enc.few = newFewValues(f)
	return c
}

// add takes a row's value, or leaves the row to its document.
func (c *pathColumn) add(row int, v plan.Value) {
	switch t := c.buf.Type; {
	case t == schema.Bool && v.Kind == plan.KindBool:
		c.buf.Bools = append(c.buf.Bools, v.Bool)
	case t == schema.Int64 && v.Kind == plan.KindInt:
		c.buf.Ints = append(c.buf.Ints, v.Int)
	case t == schema.VarChar && v.Kind == plan.KindString:
		c.buf.Strings = append(c.buf.Strings, strings.Clone(v.Str))
	case t == schema.Double && v.Kind == plan.KindFloat && !math.IsNaN(v.Float):
		c.buf.Doubles = append(c.buf.Doubles, v.Float)
	case t == schema.Double && v.Kind == plan.KindInt && v.Int > -shredExactInts && v.Int < shredExactInts:
		n := c.meta.Column.Rows
		for len(c.ints) <= n/64 {
			c.ints = append(c.ints, 0)
		}
		c.ints[n/64] |= 1 << (n % 64)
		c.buf.Doubles = append(c.buf.Doubles, float64(v.Int))
	default:
		c.ask(row)
		return
	}
	c.present[row/64] |= 1 << (row % 64)
	c.meta.Column.Rows++
	if c.buf.N++; c.buf.N == 1024 {
		c.flush()
	}
}

// ask leaves a row to its document.
func (c *pathColumn) ask(row int) { c.rest = append(c.rest, uint32(row)) }

func (c *pathColumn) flush() {
	c.enc.add(c.buf)
	*c.buf = schema.Column{Field: c.buf.Field, Type: c.buf.Type}
}

// finish writes the column; it is not kept when the sample was wrong about it.
func (c *pathColumn) finish(out *container, z *zstd.Encoder) (*pathMeta, error) {
	n := c.meta.Column.Rows
	if n == 0 || len(c.rest) > n/2 {
		return nil, nil
	}
	c.flush()
	if err := c.finishValues(out, z, n); err != nil {
		return nil, err
	}
	c.enc.meta.Rows = n
	c.meta.Column, c.meta.Rest, c.meta.Ints = c.enc.meta, len(c.rest), c.ints != nil
	var raw []byte
	if n < c.rows {
		raw = append(raw, bytesOf(c.present)...)
	}
	if c.ints != nil {
		raw = append(raw, bytesOf(append(c.ints, make([]uint64, (n+63)/64-len(c.ints))...))...)
	}
	for _, r := range c.rest {
		raw = binary.LittleEndian.AppendUint32(raw, r)
	}
	return &c.meta, out.add(secPath, c.enc.meta.Field, raw)
}

// finishValues writes the distinct values with their places when they are few, else every value.
func (c *pathColumn) finishValues(out *container, z *zstd.Encoder, n int) (err error) {
	e := c.enc
	if few := e.few; few != nil && !few.over && len(few.rows)*valueRows <= n {
		e.meta.Min, e.meta.Max = e.bounds.encode()
		x := few.index(c.field, n)
		e.meta.Few = x.few()
		c.meta.Index, err = x.write(out, z, e.meta.Field)
		return err
	}
	e.narrow()
	return e.finish(out)
}

// narrow lets integers take as few bytes as their bounds allow.
func (e *columnEncoder) narrow() {
	if e.meta.Type != schema.Int64 {
		return
	}
	for _, t := range []schema.Type{schema.Int8, schema.Int16, schema.Int32} {
		if limit := int64(1) << (8*intWidth(t) - 1); e.bounds.minI >= -limit && e.bounds.maxI < limit {
			e.values, e.meta.Type = appendNarrow(nil, wordsOf[int64](e.values), intWidth(t)), t
			return
		}
	}
}

// shredder writes the frequent paths of one field's documents.
type shredder struct {
	root    *pathNode
	columns []*pathColumn
	pending []pathHit // of the row in hand
	odd     bool      // the row has a key twice
}

type pathHit struct {
	column *pathColumn
	value  plan.Value
	ask    bool // the value is none that a column can hold
}

// shred finds the frequent paths of a written column of documents and writes their columns. nextID gives numbers that
// no field has.
func shred(out *container, docs *text, rows int, z *zstd.Encoder, nextID func() int64) ([]pathMeta, error) {
	picked := sampleRowsOf(rows, shredSample)
	sample, err := docs.gather(picked)
	if err != nil {
		return nil, err
	}
	var count pathCounter
	for i, doc := range sample.Bytes {
		if !sample.IsNull(i) {
			count.add(doc)
		}
	}
	s := &shredder{root: &pathNode{}}
	for _, n := range count.chosen(len(picked)) {
		c := newPathColumn(docs.meta.Field, nextID(), n.steps(), n.columnType(len(picked)), rows, z)
		at := s.root
		for _, step := range c.meta.Steps {
			at = at.child(step)
		}
		at.column = c
		s.columns = append(s.columns, c)
	}
	if len(s.columns) == 0 {
		return nil, nil
	}
	if err := docs.each(rows, s.row); err != nil {
		return nil, err
	}
	var metas []pathMeta
	for _, c := range s.columns {
		m, err := c.finish(out, z)
		if err != nil {
			return nil, err
		}
		if m != nil {
			metas = append(metas, *m)
		}
	}
	return metas, nil
}

// row takes a document apart.
func (s *shredder) row(row int, doc []byte) {
	s.pending, s.odd = s.pending[:0], !gjson.Valid(viewString(doc))
	if r := gjson.Parse(viewString(doc)); !s.odd && r.IsObject() {
		s.walk(s.root, r, row)
	}
	if s.odd {
		for _, c := range s.columns {
			c.ask(row)
		}
		return
	}
	for _, h := range s.pending {
		if h.ask {
			h.column.ask(row)
		} else {
			h.column.add(row, h.value)
		}
	}
}

func (s *shredder) walk(at *pathNode, r gjson.Result, row int) {
	r.ForEach(func(key, value gjson.Result) bool {
		c := at.children[key.Str]
		if c == nil {
			return true
		}
		if c.row == row+1 {
			s.odd = true
			return false
		}
		c.row = row + 1
		if c.column != nil && value.Type != gjson.Null {
			v, scalar := plan.JSONValue(value)
			s.pending = append(s.pending, pathHit{c.column, v, !scalar})
		}
		if c.children != nil && value.IsObject() {
			s.walk(c, value, row)
		}
		return !s.odd
	})
}

// viewString views bytes as a string that is not kept.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// newTextDecoder returns a decoder of blocks of text.
func newTextDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
}
