package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/schema"
)

// indexed is a batch that offers paths and indexes at random: always the same for the same path or field.
type indexed struct {
	*batch
	seed uint64
}

func (x *indexed) rand(field int64, path []string) *rand.Rand {
	h := x.seed
	for _, s := range path {
		for _, c := range s + "/" {
			h = h*31 + uint64(c)
		}
	}
	return rand.New(rand.NewPCG(h, uint64(field)))
}

// Path takes the values of one type out of the documents and leaves the others, and some more rows, to these.
func (x *indexed) Path(field int64, steps []string) (*Path, error) {
	r := x.rand(field, steps)
	if r.IntN(4) == 0 {
		return nil, nil
	}
	c, p := x.cols[field], newPath(steps)
	t := []schema.Type{schema.Bool, schema.Int64, schema.Double, schema.Double, schema.VarChar}[r.IntN(5)]
	out := PathValues{Values: &schema.Column{Type: t}, Present: bitset.New(x.n), Docs: &schema.Column{Type: schema.JSON}}
	mixed := r.IntN(2) == 0
	if mixed && t == schema.Double {
		out.Ints = bitset.New(x.n)
	}
	for row := range x.n {
		if c.IsNull(row) {
			continue
		}
		res := p.get(c.Bytes[row])
		var v Value
		v.set(&res)
		one := &schema.Column{Type: t, N: 1, Bools: []bool{v.Bool}, Ints: []int64{v.Int}, Doubles: []float64{v.Float}, Strings: []string{v.Str}}
		isInt := v.Kind == KindInt && v.Int > -1<<53 && v.Int < 1<<53 && out.Ints != nil
		switch {
		case v.Kind == 0 && r.IntN(5) > 0:
			continue
		case v.Type() == t && v.Kind != 0:
		case isInt:
			out.Ints.Add(out.Values.N)
			one.Doubles[0] = float64(v.Int)
		default:
			out.Rest = append(out.Rest, uint32(row))
			out.Docs.Bytes, out.Docs.N = append(out.Docs.Bytes, c.Bytes[row]), out.Docs.N+1
			continue
		}
		out.Present.Add(row)
		out.Values.AppendFrom(one, 0)
	}
	if out.Ints != nil {
		out.Ints = out.Ints[:(out.Values.N+63)/64]
	}
	if out.Values.N == x.n && r.IntN(2) == 0 {
		out.Present = nil
	}
	if t != schema.Double && r.IntN(2) == 0 {
		gatherValues(&out)
	}
	return NewPath(out, x.n)
}

// gatherValues replaces values per row by distinct ones and the places of each.
func gatherValues(out *PathValues) {
	c := out.Values
	order := make([]uint32, c.N)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return lessRow(c, a, b) })
	var rows lists
	out.Values = &schema.Column{Type: c.Type}
	for i, row := range order {
		if i == 0 || lessRow(c, order[i-1], row) != 0 {
			out.Values.AppendFrom(c, int(row))
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], row)
	}
	out.Postings = rows
}

type lists [][]uint32

func (l lists) Count(entry int) int { return len(l[entry]) }

func (l lists) Add(entry int, out bitset.Set) {
	for _, r := range l[entry] {
		out.Add(int(r))
	}
}

func lessRow(c *schema.Column, a, b uint32) int {
	switch {
	case c.Type == schema.Bool:
		return b2i(c.Bools[a]) - b2i(c.Bools[b])
	case c.Type.IsInt():
		return cmp.Compare(c.Ints[a], c.Ints[b])
	case c.Type == schema.Float:
		return cmp.Compare(c.Floats[a], c.Floats[b])
	case c.Type == schema.Double:
		return cmp.Compare(c.Doubles[a], c.Doubles[b])
	}
	return cmp.Compare(c.Strings[a], c.Strings[b])
}

// Index sorts the rows, and gathers them by value or not.
func (x *indexed) Index(field int64) (*Index, error) {
	c, r := x.cols[field], x.rand(field, nil)
	kind := r.IntN(3)
	if kind == 0 {
		return nil, nil
	}
	var order []uint32
	for row := range x.n {
		if !c.IsNull(row) {
			order = append(order, uint32(row))
		}
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return lessRow(c, a, b) })
	if kind == 1 && c.Type != schema.Bool {
		return &Index{Order: order}, nil
	}
	out := &Index{Values: &schema.Column{Field: field, Type: c.Type}}
	var rows lists
	for i, row := range order {
		if i == 0 || lessRow(c, order[i-1], row) != 0 {
			one := c.Slice(int(row), int(row)+1)
			one.Valid = nil
			out.Values.AppendFrom(one, 0)
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], row)
	}
	out.Postings = rows
	if c.Valid != nil {
		out.Known = bitset.New(x.n)
		boolBits(c.Valid, out.Known)
	}
	return out, nil
}

// Paths and indexes change no answer. Long batches let ordered indexes be taken.
func TestAccessGivesTheSameAnswers(t *testing.T) {
	rounds := 80
	if testing.Short() {
		rounds = 8
	}
	for seed := range rounds {
		g := gen{rand.New(rand.NewPCG(uint64(seed), 9))}
		n := 1 + g.IntN(200)
		if seed%10 == 0 {
			n = 4000 + g.IntN(4000)
		}
		b := g.batch(n)
		x := &indexed{batch: b, seed: uint64(seed)}
		for range 60 {
			p, err := New(g.node(3))
			if err != nil {
				t.Fatal(err)
			}
			want, err := p.Bitmap(b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Bitmap(x)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %s: %d rows by paths and indexes, %d by columns", seed, p, got.Count(), want.Count())
			}
			m, err := p.Matcher(x)
			if err != nil {
				t.Fatal(err)
			}
			for lo := 0; lo < min(n, 500); lo += 64 {
				var rows []uint32
				for r := lo; r < min(lo+64, n); r++ {
					rows = append(rows, uint32(r))
				}
				for i, mask := 0, m.Test(rows); i < len(rows); i++ {
					if mask>>i&1 != 0 != want.Has(int(rows[i])) {
						t.Fatalf("seed %d, %s: row %d is tested wrong by paths", seed, p, rows[i])
					}
				}
			}
		}
	}
}

// What paths and indexes answer reads no column.
func TestAccessReadsNoColumn(t *testing.T) {
	values := &schema.Column{Type: schema.Int64, N: 2, Ints: []int64{1, 7}}
	src := &onlyAccess{index: &Index{Values: values, Postings: lists{{0, 2}, {1}}}}
	var err error
	src.path, err = NewPath(PathValues{Values: values, Present: bitset.Set{0b101}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	number := Operand{Field: 100, Type: schema.Int64}
	key := Operand{Field: 101, Type: schema.JSON, Path: []string{"a"}}
	for _, c := range []struct {
		node    Node
		want    uint64
		indexed bool
	}{
		{&Compare{Operand: number, Op: GT, Value: IntValue(3)}, 0b010, true},
		{&Not{Term: &Compare{Operand: number, Op: GT, Value: IntValue(3)}}, 0b101, true},
		{&IsNull{Operand: number}, 0, true},
		{&Compare{Operand: key, Op: GT, Value: FloatValue(0.5)}, 0b101, false},
		{&Exists{Operand: key}, 0b101, false},
		{&Not{Term: &Exists{Operand: key}}, 0b010, false},
		{&And{Terms: []Node{&Exists{Operand: key}, &Compare{Operand: number, Op: EQ, Value: IntValue(1)}}}, 0b101, false},
	} {
		p, err := New(c.node)
		if err != nil {
			t.Fatal(err)
		}
		set, err := p.Bitmap(src)
		if err != nil || set[0] != c.want || p.Indexed(src) != c.indexed {
			t.Fatalf("%s: %b, %v, indexed %v", p, set, err, p.Indexed(src))
		}
	}
}

type onlyAccess struct {
	batch
	index *Index
	path  *Path
}

func (o *onlyAccess) Rows() int                           { return 3 }
func (o *onlyAccess) Path(int64, []string) (*Path, error) { return o.path, nil }
func (o *onlyAccess) Index(int64) (*Index, error)         { return o.index, nil }

func TestNewPathRefuses(t *testing.T) {
	ints := func(n int) *schema.Column { return &schema.Column{Type: schema.Int64, N: n, Ints: make([]int64, n)} }
	for i, v := range []PathValues{
		{Values: ints(2)},
		{Values: ints(2), Present: bitset.Set{1}},
		{Values: &schema.Column{Type: schema.Float, N: 3, Floats: make([]float32, 3)}},
		{Values: ints(3), Rest: []uint32{1}},
		{Values: ints(3), Ints: bitset.Set{}},
		{Values: &schema.Column{Type: schema.Int64, N: 3, Ints: []int64{1}}},
		{Values: ints(2), Postings: lists{{0}, {1}}},
		{Values: &schema.Column{Type: schema.Double, N: 1, Doubles: []float64{1}}, Postings: lists{{0, 1, 2}}},
	} {
		if _, err := NewPath(v, 3); err == nil {
			t.Errorf("%d was accepted", i)
		}
	}
}
