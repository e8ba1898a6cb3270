package segment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// scalarSchema has two fields of each scalar type, one of them nullable.
func scalarSchema() *schema.Schema {
	s := &schema.Schema{Version: 1, Fields: []schema.Field{{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true}}}
	for i, t := range []schema.Type{schema.Bool, schema.Int8, schema.Int32, schema.Int64, schema.Float, schema.Double, schema.VarChar} {
		for j := range 2 {
			id := int64(101 + 2*i + j)
			s.Fields = append(s.Fields, schema.Field{ID: id, Name: fmt.Sprint("f", id), Type: t, Nullable: j == 1})
		}
	}
	return s
}

// drawScalar draws one of about `values` values.
func drawScalar(r *rand.Rand, t schema.Type, values int) plan.Value {
	k := r.IntN(values)
	switch {
	case t == schema.Bool:
		return plan.BoolValue(k%2 == 0)
	case t == schema.Int8:
		return plan.IntValue(int64(k%256 - 128))
	case t.IsInt():
		return plan.IntValue(int64(k - values/2))
	case t == schema.VarChar:
		return plan.StringValue(fmt.Sprintf("%03d/%d", k%1000, k))
	}
	return plan.FloatValue(float64(k)/4 - 10)
}

func scalarRows(r *rand.Rand, s *schema.Schema, n, values int, nan bool) Rows {
	rows := Rows{Batch: emptyBatch(s)}
	for i := range n {
		for j, c := range rows.Batch.Columns {
			f := &s.Fields[j]
			if f.Nullable && r.IntN(5) == 0 {
				c.AppendNull()
				continue
			}
			v := drawScalar(r, f.Type, values)
			if f.PrimaryKey {
				v = plan.IntValue(int64(i))
			}
			if nan && v.Kind == plan.KindFloat && r.IntN(20) == 0 {
				v.Float = math.NaN()
			}
			c.AppendFrom(&schema.Column{
				Type: f.Type, N: 1, Bools: []bool{v.Bool}, Ints: []int64{v.Int}, Floats: []float32{float32(v.Float)},
				Doubles: []float64{v.Float}, Strings: []string{v.Str},
			}, 0)
		}
		rows.TS = append(rows.TS, uint64(i+1))
	}
	rows.Batch.N = n
	return rows
}

func scalarNode(r *rand.Rand, s *schema.Schema, values, depth int) plan.Node {
	if depth > 0 && r.IntN(2) == 0 {
		a, b := scalarNode(r, s, values, depth-1), scalarNode(r, s, values, depth-1)
		return []plan.Node{&plan.And{Terms: []plan.Node{a, b}}, &plan.Or{Terms: []plan.Node{a, b}}, &plan.Not{Term: a}}[r.IntN(3)]
	}
	f := &s.Fields[r.IntN(len(s.Fields))]
	o := plan.Operand{Field: f.ID, Type: f.Type}
	value := func() plan.Value { return drawScalar(r, f.Type, values) }
	op := plan.CmpOp(r.IntN(6) + 1)
	switch r.IntN(7) {
	case 0:
		list := make([]plan.Value, []int{0, 1, 3, 20}[r.IntN(4)])
		for i := range list {
			list[i] = value()
		}
		return &plan.In{Operand: o, Values: list}
	case 1:
		lo, hi := value(), value()
		if r.IntN(2) == 0 {
			hi = lo // a stretch of one value, or of none
		}
		return &plan.Range{Operand: o, Lo: lo, Hi: hi, LoInc: r.IntN(2) == 0, HiInc: r.IntN(2) == 0}
	case 2:
		return &plan.IsNull{Operand: o}
	case 3:
		if f.Type == schema.VarChar {
			return &plan.Like{Operand: o, Pattern: []string{"01%", "007/%", "%3", "0_1/%", "999/%", "%"}[r.IntN(6)]}
		}
	case 4:
		if f.Type.IsInt() {
			return &plan.Compare{Operand: o, Op: op, Value: value(), Arith: &plan.Arith{Op: plan.Mul, Value: plan.IntValue(3)}}
		}
	case 5:
		if f.Type == schema.Int32 {
			return &plan.CompareColumns{Left: o, Right: plan.Operand{Field: f.ID + 2, Type: schema.Int64}, Op: op}
		}
	}
	return &plan.Compare{Operand: o, Op: op, Value: value()}
}

// TestIndexedAnswers: scalar indexes give the answers that scans of the columns give.
func TestIndexedAnswers(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 10
	}
	s := scalarSchema()
	forms := map[string]int{}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 8))
		n, values := 1+r.IntN(3000), []int{1, 3, 40, 2000, 1 << 30}[seed%5]
		rows := scalarRows(r, s, n, values, seed%3 == 0)
		if seed%2 == 0 {
			for i := range s.Fields {
				rows.Indexed = append(rows.Indexed, s.Fields[i].ID)
			}
		}
		seg := open(t, writeAll(t, s, rows), s, "seg")
		for range 60 {
			p, err := plan.New(scalarNode(r, s, values, 2))
			if err != nil {
				t.Fatal(err)
			}
			want, err := p.Bitmap(batchSource{rows.Batch})
			if err != nil {
				t.Fatal(err)
			}
			got, err := seg.Select(context.Background(), p, 1<<60, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %d rows of %d values, %s: %d rows by indexes, %d by columns", seed, n, values, p, got.Count(), want.Count())
			}
		}
		for _, l := range seg.scalars {
			switch {
			case l.meta.Index.Values != nil:
				forms["values"]++
			default:
				forms["order"]++
			}
		}
	}
	if forms["values"] < rounds || forms["order"] < rounds {
		t.Fatalf("%v indexes in %d segments: the test shows nothing", forms, rounds)
	}
}

// TestMergedIndexes: a merge writes what a seal writes.
func TestMergedIndexes(t *testing.T) {
	s, r := scalarSchema(), rand.New(rand.NewPCG(4, 8))
	store := mem.New()
	var sources []*Sealed
	for id := range int64(2) {
		dir := fmt.Sprint("src", id)
		if _, err := Write(context.Background(), store, dir, s, scalarRows(r, s, 2500, 3000, false)); err != nil {
			t.Fatal(err)
		}
		seg := open(t, store, s, dir)
		if len(seg.scalars) > 0 {
			t.Fatal("a small segment has indexes")
		}
		seg.cfg.ID = id
		sources = append(sources, seg)
	}
	double, text := int64(111), int64(113)
	info, _, err := Merge(context.Background(), store, MergeConfig{Dir: "out", Schema: s, Sources: sources, Indexed: []int64{double, text}})
	if err != nil {
		t.Fatal(err)
	}
	seg := open(t, store, s, "out")
	if seg.scalars[double] == nil || seg.scalars[text] == nil || seg.scalars[101] == nil || seg.scalars[double+1] != nil {
		t.Fatalf("indexes of %v", seg.scalars)
	}
	for range 100 {
		p, err := plan.New(scalarNode(r, s, 3000, 2))
		if err != nil {
			t.Fatal(err)
		}
		got, err := seg.Select(context.Background(), p, 1<<60, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, src := range sources {
			set, err := p.Bitmap(src)
			if err != nil {
				t.Fatal(err)
			}
			want += set.Count()
		}
		if got.Count() != want || info.Rows != 5000 {
			t.Fatalf("%s: %d rows merged, %d before", p, got.Count(), want)
		}
	}
}

func TestPostings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 300_000
	var lists [][]uint32
	for _, share := range []float64{0, 1e-5, 0.01, 0.3, 0.9, 1} {
		var rows []uint32
		for i := range uint32(n) {
			if r.Float64() < share {
				rows = append(rows, i)
			}
		}
		lists = append(lists, rows)
	}
	var runs []uint32
	for i := range uint32(n) {
		if i/5000%2 == 1 {
			runs = append(runs, i)
		}
	}
	lists = append(lists, runs)
	raw := encodePostings(lists)
	p, err := openPostings(raw, len(lists), n)
	if err != nil {
		t.Fatal(err)
	}
	for i, rows := range lists {
		set, want := bitset.New(n), bitset.New(n)
		p.Add(i, set)
		for _, row := range rows {
			want.Add(int(row))
		}
		if !slices.Equal(set, want) || p.Count(i) != len(rows) {
			t.Fatalf("list %d: %d rows instead of %d", i, set.Count(), len(rows))
		}
	}
	if size := p.offset(7) - p.offset(6); size > 1000 {
		t.Fatalf("runs take %d bytes", size)
	}
	if _, err := openPostings(raw, len(lists), n-1); err == nil {
		t.Fatal("rows behind the last were accepted")
	}
	for i := 0; i < len(raw); i += 1 + r.IntN(97) {
		if _, err := openPostings(raw[:i], len(lists), n); err == nil {
			t.Fatalf("%d of %d bytes were accepted", i, len(raw))
		}
	}
}

// FuzzPostings: whatever passes the check can be read.
func FuzzPostings(f *testing.F) {
	f.Add(encodePostings([][]uint32{{1, 2, 3, 70}, {}, {5}}), 3)
	f.Add(encodePostings([][]uint32{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}), 1)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		const rows = 100
		p, err := openPostings(raw, n&0xff, rows)
		if err != nil {
			return
		}
		for i := range p.n {
			set := bitset.New(rows)
			p.Add(i, set)
			if set.Count() != p.Count(i) || set[1]>>(rows-64) != 0 {
				t.Fatalf("value %d has %d rows, says %d", i, set.Count(), p.Count(i))
			}
		}
	})
}

// FuzzAccelerated damages a file that has paths and indexes: a filter may be refused or answer otherwise, but must
// neither crash nor take memory without bound.
func FuzzAccelerated(f *testing.F) {
	g := docGen{rand.New(rand.NewPCG(3, 3))}
	s := docSchema()
	s.Fields = append(s.Fields,
		schema.Field{ID: 200, Name: "few", Type: schema.Int32, Nullable: true},
		schema.Field{ID: 201, Name: "many", Type: schema.VarChar})
	rows := g.rows(docSchema(), 90)
	few, many := schema.NewColumn(&s.Fields[2]), schema.NewColumn(&s.Fields[3])
	for i := range 90 {
		few.Ints, few.Valid = append(few.Ints, int64(i%3)), append(few.Valid, i%7 > 0)
		many.Strings = append(many.Strings, fmt.Sprint(i*i))
	}
	few.N, many.N = 90, 90
	rows.Batch.Columns = append(rows.Batch.Columns, few, many)
	rows.Indexed = []int64{200, 201}
	store := writeAll(f, s, rows)
	var plans []*plan.Plan
	for range 40 {
		plans = append(plans, g.plan())
	}
	for _, n := range []plan.Node{
		&plan.Compare{Operand: plan.Operand{Field: 200, Type: schema.Int32}, Op: plan.GT, Value: plan.IntValue(1)},
		&plan.IsNull{Operand: plan.Operand{Field: 200, Type: schema.Int32}},
		&plan.Like{Operand: plan.Operand{Field: 201, Type: schema.VarChar}, Pattern: "4%"},
	} {
		p, err := plan.New(n)
		if err != nil {
			f.Fatal(err)
		}
		plans = append(plans, p)
	}
	name := "seg/" + ColumnsName
	raw := get(f, store, name)
	f.Add(uint32(16), byte(1), uint32(40), byte(9))
	f.Add(uint32(4096), byte(0xff), uint32(len(raw)-60), byte(0xff))
	f.Fuzz(func(t *testing.T, at1 uint32, x1 byte, at2 uint32, x2 byte) {
		bad := slices.Clone(raw)
		bad[int(at1)%len(bad)] ^= x1
		bad[int(at2)%len(bad)] ^= x2
		reseal(bad)
		put(t, store, name, bad)
		seg, err := OpenSealed(context.Background(), store, SealedConfig{ID: 1, Dir: "seg", Schema: s})
		if err != nil {
			return
		}
		defer seg.Release()
		for _, p := range plans {
			_, _ = seg.Select(context.Background(), p, 1<<60, 0)
			_ = seg.share(p)
		}
	})
}

// TestSample: an estimate reads the sample and no column, and is near the truth.
func TestSample(t *testing.T) {
	s := docSchema()
	s.Fields = append(s.Fields, schema.Field{ID: 200, Name: "number", Type: schema.Double}, schema.Field{ID: 201, Name: "text", Type: schema.VarChar})
	rows := Rows{Batch: emptyBatch(s)}
	const n = bitmapRows + 3616
	for i := range n {
		for _, c := range rows.Batch.Columns {
			switch c.N++; c.Type {
			case schema.JSON:
				c.Bytes = append(c.Bytes, fmt.Appendf(nil, `{"n":%d,"long":"%0300d"}`, i%1000, i))
			case schema.Double:
				c.Doubles = append(c.Doubles, float64(i))
			case schema.VarChar:
				c.Strings = append(c.Strings, fmt.Sprint(i))
			default:
				c.Ints = append(c.Ints, int64(i))
			}
		}
		rows.TS = append(rows.TS, uint64(i+1))
	}
	rows.Batch.N = n
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", s, rows); err != nil {
		t.Fatal(err)
	}
	late := *s
	late.Fields = append(slices.Clone(s.Fields), schema.Field{ID: 300, Name: "late", Type: schema.Int64, Nullable: true})
	seg := open(t, store, &late, "seg")
	for _, c := range []struct {
		node plan.Node
		want float64
	}{
		{&plan.Compare{Operand: plan.Operand{Field: 200, Type: schema.Double}, Op: plan.LT, Value: plan.FloatValue(n / 4)}, 0.25},
		{&plan.Like{Operand: plan.Operand{Field: 201, Type: schema.VarChar}, Pattern: "%7"}, 0.1},
		{&plan.Compare{Operand: docPath("n"), Op: plan.GE, Value: plan.IntValue(300)}, 0.7},
		{&plan.IsNull{Operand: plan.Operand{Field: 300, Type: schema.Int64}}, 1},
		{&plan.Compare{Operand: plan.Operand{Field: schema.TimestampField, Type: schema.Int64}, Op: plan.LE, Value: plan.IntValue(n / 2)}, 0.5},
	} {
		p, err := plan.New(c.node)
		if err != nil {
			t.Fatal(err)
		}
		if got := seg.share(p); math.Abs(got-c.want) > 0.06 {
			t.Errorf("%s: estimated share %.3f, want about %.2f", p, got, c.want)
		}
	}
	for id, l := range seg.columns {
		if (l.full != nil || l.text != nil) && id != fPK {
			t.Errorf("the estimate read column %d", id)
		}
	}
	if b := seg.sample.batch; b == nil || b.N < sampleCount/4 || b.N > sampleCount {
		t.Fatal("no sample of the size wanted")
	}
}
