package plan

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/schema"
)

// Every random plan gives the rows that the row-by-row reference gives, through Bitmap, through a Matcher, after a
// round trip through bytes, and by Estimate over all rows.
func TestRandomPlansAgreeWithReference(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		g := gen{rand.New(rand.NewPCG(uint64(seed), 7))}
		b := g.batch(1 + g.IntN(200))
		for range 60 {
			checkPlan(t, g, b, g.node(3))
		}
	}
}

func checkPlan(t *testing.T, g gen, b *batch, root Node) {
	t.Helper()
	p, err := New(root)
	if err != nil {
		t.Fatalf("%s: %v", render(root), err)
	}
	bm, err := p.Bitmap(b)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for row := range b.n {
		want := refNode(root, b, row) == yes
		if want {
			count++
		}
		if bm.Has(row) != want {
			for _, f := range p.Fields() {
				t.Logf("field %d: %s %v", f, b.cols[f].Slice(row, row+1).Bytes, refWhole(b.cols[f], row))
			}
			t.Fatalf("%s: row %d is selected: %v, want %v", p, row, bm.Has(row), want)
		}
	}
	if bm.Count() != count {
		t.Fatalf("%s: bits behind the last row", p)
	}
	if est := p.Estimate(b, b.n); est != float64(count)/float64(b.n) {
		t.Fatalf("%s: estimate over all rows %v, want %d of %d", p, est, count, b.n)
	}
	checkMatcher(t, g, b, p, bm.Has)
	again, err := Decode(p.Encode())
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	if !bytes.Equal(again.Encode(), p.Encode()) || again.String() != p.String() || again.Key() != p.Key() {
		t.Fatalf("%s comes back as %s", p, again)
	}
	bm2, err := again.Bitmap(b)
	if err != nil || !slices.Equal(bm, bm2) {
		t.Fatalf("%s: decoded plan selects other rows (%v)", p, err)
	}
}

func checkMatcher(t *testing.T, g gen, b *batch, p *Plan, want func(int) bool) {
	t.Helper()
	m, err := p.Matcher(b)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		rows := make([]uint32, g.IntN(65))
		for i := range rows {
			rows[i] = uint32(g.IntN(b.n))
		}
		mask := m.Test(rows)
		for i, r := range rows {
			if (mask>>i&1 != 0) != want(int(r)) {
				t.Fatalf("%s: matcher says %v for row %d", p, mask>>i&1 != 0, r)
			}
		}
		if len(rows) < 64 && mask>>len(rows) != 0 {
			t.Fatalf("%s: mask has bits for rows not asked about", p)
		}
	}
}

// Negation splits the known rows in two; a term and its negation never share a row.
func TestNegationExcludesUnknown(t *testing.T) {
	g := gen{rand.New(rand.NewPCG(1, 2))}
	b := g.batch(300)
	for range 500 {
		n := g.leaf()
		pos, err := New(n)
		if err != nil {
			t.Fatal(err)
		}
		neg, err := New(&Not{Term: n})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := pos.Bitmap(b)
		z, _ := neg.Bitmap(b)
		a.And(z)
		if a.Count() != 0 {
			t.Fatalf("%s and its negation share %d rows", pos, a.Count())
		}
	}
}

func TestBigIntegersKeepTheirLastDigit(t *testing.T) {
	b := &batch{n: 3, cols: map[int64]*schema.Column{1: {Type: schema.JSON, N: 3, Bytes: [][]byte{
		[]byte(`{"a":9007199254740993}`), []byte(`{"a":9007199254740992}`), []byte(`{"a":9007199254740992.0}`),
	}}}}
	o := Operand{Field: 1, Type: schema.JSON, Path: []string{"a"}}
	for want, v := range map[string]int64{"[0]": 9007199254740993, "[1 2]": 9007199254740992} {
		p, err := New(&Compare{Operand: o, Op: EQ, Value: IntValue(v)})
		if err != nil {
			t.Fatal(err)
		}
		bm, _ := p.Bitmap(b)
		var rows []int
		bm.Each(func(i int) bool { rows = append(rows, i); return true })
		if got := strings.Trim(strings.ReplaceAll(string(mustFormat(rows)), ",", " "), ""); got != want {
			t.Errorf("== %d: rows %s, want %s", v, got, want)
		}
	}
}

func mustFormat(rows []int) []byte {
	out := []byte{'['}
	for i, r := range rows {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, byte('0'+r))
	}
	return append(out, ']')
}

func TestSourceErrors(t *testing.T) {
	o := Operand{Field: 1, Type: schema.Int64}
	p, err := New(&Compare{Operand: o, Op: EQ, Value: IntValue(1)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*schema.Column{
		"other type": {Type: schema.VarChar, N: 2, Strings: []string{"a", "b"}},
		"too short":  {Type: schema.Int64, N: 1, Ints: []int64{1}},
		"broken":     {Type: schema.Int64, N: 2, Ints: []int64{1}},
		"missing":    nil,
	} {
		b := &batch{n: 2, cols: map[int64]*schema.Column{1: c}}
		if _, err := p.Bitmap(b); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := p.Matcher(b); err == nil {
			t.Errorf("%s: no error from Matcher", name)
		}
		if got := p.Estimate(b, 1); got != 1 {
			t.Errorf("%s: estimate %v", name, got)
		}
	}
	if _, err := p.Bitmap(failing{}); !errors.Is(err, errRead) {
		t.Errorf("the source's error is lost: %v", err)
	}
}

var errRead = errors.New("read failed")

type failing struct{}

func (failing) Rows() int                            { return 5 }
func (failing) Column(int64) (*schema.Column, error) { return nil, errRead }

// A column that has grown since Rows was asked does no harm.
func TestLongerColumns(t *testing.T) {
	b := &batch{n: 3, cols: map[int64]*schema.Column{
		1: {Type: schema.Int64, N: 5, Ints: []int64{1, 2, 3, 1, 1}, Valid: []bool{true, true, true, true, true}},
	}}
	p, err := New(&Compare{Operand: Operand{Field: 1, Type: schema.Int64}, Op: NE, Value: IntValue(2)})
	if err != nil {
		t.Fatal(err)
	}
	bm, err := p.Bitmap(b)
	if err != nil || len(bm) != 1 || bm[0] != 0b101 {
		t.Fatalf("%b, %v", bm, err)
	}
}

func TestKeys(t *testing.T) {
	pk := Operand{Field: 9, Type: schema.Int64}
	other := Operand{Field: 8, Type: schema.Int64}
	eq := func(o Operand, v int64) Node { return &Compare{Operand: o, Op: EQ, Value: IntValue(v)} }
	in := &In{Operand: pk, Values: []Value{IntValue(3), IntValue(1), IntValue(3)}}
	for _, c := range []struct {
		root        Node
		exact, must []int64
	}{
		{eq(pk, 7), []int64{7}, []int64{7}},
		{in, []int64{3, 1, 3}, []int64{3, 1, 3}},
		{&In{Operand: pk}, []int64{}, []int64{}},
		{Conj(eq(other, 1), in), nil, []int64{3, 1, 3}},
		{Conj(in, eq(other, 1), eq(pk, 1)), nil, []int64{1}},
		{Disj(eq(pk, 7), eq(other, 1)), nil, nil},
		{Neg(eq(pk, 7)), nil, nil},
		{&Compare{Operand: pk, Op: NE, Value: IntValue(1)}, nil, nil},
		{&Compare{Operand: pk, Arith: &Arith{Op: Add, Value: IntValue(1)}, Op: EQ, Value: IntValue(1)}, nil, nil},
	} {
		p, err := New(c.root)
		if err != nil {
			t.Fatal(err)
		}
		k, ok := p.PrimaryKeys(9)
		if ok != (c.exact != nil) || !slices.Equal(k.Ints, c.exact) {
			t.Errorf("%s: keys %v %v, want %v", p, k, ok, c.exact)
		}
		k, ok = p.RequiredKeys(9)
		if ok != (c.must != nil) || !slices.Equal(k.Ints, c.must) {
			t.Errorf("%s: required %v %v, want %v", p, k, ok, c.must)
		}
	}
}

func TestEstimateOfASample(t *testing.T) {
	const n = 100_000
	c := &schema.Column{Type: schema.Int64, N: n}
	for i := range n {
		c.Ints = append(c.Ints, int64(i%100)) // periodic on purpose
	}
	b := &batch{n: n, cols: map[int64]*schema.Column{1: c}}
	p, err := New(&Compare{Operand: Operand{Field: 1, Type: schema.Int64}, Op: LT, Value: IntValue(23)})
	if err != nil {
		t.Fatal(err)
	}
	if est := p.Estimate(b, 1000); math.Abs(est-0.23) > 0.05 {
		t.Errorf("estimate %v, want about 0.23", est)
	}
	if True().Estimate(b, 10) != 1 || !True().IsTrue() {
		t.Error("true selects everything")
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true},
		{"abc", "abcd", false},
		{"", "", true},
		{"", "a", false},
		{"ab%", "ab", true},
		{"%ab", "xab", true},
		{"%ab%", "xabx", true},
		{"%ab%", "xaxb", false},
		{"a%b%c", "a-b-b-c", true},
		{"ab%ba", "aba", false},
		{"a_c", "abc", true},
		{"a_c", "ac", false},
		{"_", "é", true},
		{"__", "é", false},
		{"%_", "", false},
		{"_%", "ab", true},
		{"%a_c%", "xxabcx", true},
		{`\%`, "%", true},
		{`\%`, "a", false},
		{`a\_b`, "a_b", true},
		{`a\_b`, "axb", false},
		{`a\\%`, `a\x`, true},
		{`a\b`, `a\b`, true},
		{`a\`, `a\`, true},
		{"%%", "", true},
		{"100\\%%", "100% sure", true},
	} {
		if got := newPattern(c.pattern).match(c.text); got != c.want {
			t.Errorf("%q like %q: %v", c.text, c.pattern, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	i64 := Operand{Field: 1, Type: schema.Int64}
	deep := Node(Const{Value: true})
	for range maxDepth + 2 {
		deep = &Not{Term: deep}
	}
	for name, n := range map[string]Node{
		"nil":           nil,
		"deep":          deep,
		"wrong kind":    &Compare{Operand: i64, Op: EQ, Value: StringValue("a")},
		"no value":      &Compare{Operand: i64, Op: EQ},
		"operator":      &Compare{Operand: i64, Op: 9, Value: IntValue(1)},
		"division":      &Compare{Operand: i64, Op: EQ, Value: IntValue(1), Arith: &Arith{Op: Div, Value: IntValue(0)}},
		"vector":        &IsNull{Operand: Operand{Field: 1, Type: schema.FloatVector}},
		"path":          &IsNull{Operand: Operand{Field: 1, Type: schema.Int64, Path: []string{"a"}}},
		"like":          &Like{Operand: i64},
		"columns":       &CompareColumns{Left: i64, Right: Operand{Field: 2, Type: schema.VarChar}, Op: EQ},
		"two types":     &And{Terms: []Node{&IsNull{Operand: i64}, &IsNull{Operand: Operand{Field: 1, Type: schema.JSON}}}},
		"array order":   &Compare{Operand: Operand{Field: 1, Type: schema.JSON}, Op: LT, Value: ArrayValue()},
		"contains none": &Contains{Operand: Operand{Field: 1, Type: schema.JSON}, Mode: ContainsOne},
	} {
		if _, err := New(n); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := True().Encode()
	for name, b := range map[string][]byte{
		"empty": nil, "version": {2, tagTrue}, "trailing": append(slices.Clone(good), 0), "tag": {1, 99}, "cut": {1, tagAnd, 2, tagTrue},
		"count": {1, tagAnd, 0xff, 0xff, 0xff, 0xff, 0x7f}, "nesting": append([]byte{1}, bytes.Repeat([]byte{tagNot}, 100_000)...),
	} {
		if _, err := Decode(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzDecode: foreign bytes never panic, neither in decoding nor in evaluation, and what is accepted is stable.
func FuzzDecode(f *testing.F) {
	g := gen{rand.New(rand.NewPCG(3, 4))}
	for range 100 {
		if p, err := New(g.node(3)); err == nil {
			f.Add(p.Encode())
		}
	}
	b := g.batch(70)
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Decode(in)
		if err != nil {
			return
		}
		enc := p.Encode()
		again, err := Decode(enc)
		if err != nil || !bytes.Equal(again.Encode(), enc) {
			t.Fatalf("%s does not come back: %v", p, err)
		}
		if bm, err := p.Bitmap(b); err == nil {
			checkMatcher(t, gen{rand.New(rand.NewPCG(1, 1))}, b, p, bm.Has)
		}
	})
}

func BenchmarkFilterLess(b *testing.B) {
	const n = 1 << 20
	c := &schema.Column{Type: schema.Int64, N: n, Ints: make([]int64, n)}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range c.Ints {
		c.Ints[i] = r.Int64N(1000)
	}
	src := &batch{n: n, cols: map[int64]*schema.Column{1: c}}
	o := Operand{Field: 1, Type: schema.Int64}
	many := make([]Value, 16384)
	for i := range many {
		many[i] = IntValue(r.Int64())
	}
	for name, root := range map[string]Node{
		"less":   &Compare{Operand: o, Op: LT, Value: IntValue(230)},
		"range":  &Range{Operand: o, Lo: IntValue(100), Hi: IntValue(330)},
		"in16":   &In{Operand: o, Values: many[:16]},
		"in16k":  &In{Operand: o, Values: many},
		"dense":  &In{Operand: o, Values: []Value{IntValue(1), IntValue(5), IntValue(9), IntValue(900), IntValue(950)}},
		"arith":  &Compare{Operand: o, Arith: &Arith{Op: Mod, Value: IntValue(2)}, Op: EQ, Value: IntValue(0)},
		"negate": &Not{Term: &Compare{Operand: o, Op: LT, Value: IntValue(230)}},
	} {
		p, err := New(root)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Bitmap(src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

func BenchmarkMatcher(b *testing.B) {
	const n = 1 << 20
	c := &schema.Column{Type: schema.Int64, N: n, Ints: make([]int64, n)}
	src := &batch{n: n, cols: map[int64]*schema.Column{1: c}}
	p, err := New(&Compare{Operand: Operand{Field: 1, Type: schema.Int64}, Op: LT, Value: IntValue(230)})
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.Matcher(src)
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]uint32, 64)
	for i := range rows {
		rows[i] = uint32(i * 1000)
	}
	for b.Loop() {
		m.Test(rows)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/row")
}

func BenchmarkFilterJSON(b *testing.B) {
	const n = 1 << 16
	c := &schema.Column{Type: schema.JSON, N: n}
	for i := range n {
		c.Bytes = append(c.Bytes, []byte(`{"name":"abcdefgh","tags":["x","y"],"nested":{"a":1.5,"size":`+string(rune('0'+i%10))+`}}`))
	}
	src := &batch{n: n, cols: map[int64]*schema.Column{1: c}}
	o := Operand{Field: 1, Type: schema.JSON, Path: []string{"nested", "size"}}
	p, err := New(&Compare{Operand: o, Op: LT, Value: IntValue(5)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Bitmap(src); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}
