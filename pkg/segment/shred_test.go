package segment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// docGen draws documents whose paths are frequent or rare, of one type or mixed, and now and then odd ones.
type docGen struct{ *rand.Rand }

func (g docGen) number() string {
	return []string{"1", "2", "-3", "2.5", "1.0", "7", "1e2", "9007199254740993", "-9223372036854775808", "18446744073709551616", "-0"}[g.IntN(11)]
}

func (g docGen) text() string {
	return []string{`"x"`, `"xy"`, `"\u0078\n"`, `"é"`, `""`, `"x%"`, `"zz top"`}[g.IntN(7)]
}

func (g docGen) scalar() string {
	switch g.IntN(4) {
	case 0:
		return g.number()
	case 1:
		return []string{"true", "false", "null"}[g.IntN(3)]
	default:
		return g.text()
	}
}

func (g docGen) doc() string {
	switch g.IntN(60) {
	case 0:
		return g.scalar()
	case 1:
		return "[" + g.scalar() + ", {\"i\": 3}]"
	case 2: // a key twice, here or below
		return `{"i":1,"i":"x","o":{"n":1,"n":2}}`
	case 3:
		return `{"o":1,"o":{"n":2,"b":true}}`
	case 4:
		return `{"i": 1, "o"` // cut short
	}
	var parts []string
	add := func(share int, key, value string) {
		if g.IntN(share) > 0 {
			parts = append(parts, key+" : "+value)
		}
	}
	add(20, `"i"`, fmt.Sprint(g.IntN(9)-4))
	add(5, `"f"`, fmt.Sprintf("%.1f", g.Float64()*8-4))
	add(4, `"mix"`, g.number())
	add(3, `"s"`, g.text())
	add(3, `"any"`, g.scalar())
	add(3, `"tags"`, "["+g.text()+","+g.number()+"]")
	if g.IntN(12) == 0 {
		add(9, `"i2"`, g.text())
	} else {
		add(9, `"i2"`, fmt.Sprint(g.Int64()))
	}
	switch g.IntN(10) {
	case 0:
		add(9, `"o"`, g.scalar())
	case 1:
		add(9, `"o"`, "[{\"n\":1},2]")
	default:
		add(9, `"o"`, fmt.Sprintf(`{"n":%d,"b":%t,"s\u0022":%s,"0":%d,"deep":{"x.y":%s}}`, g.IntN(5), g.IntN(2) == 0, g.text(), g.IntN(3), g.text()))
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g docGen) path() []string {
	return [][]string{
		{"i"},
		{"i"},
		{"f"},
		{"mix"},
		{"mix"},
		{"s"},
		{"any"},
		{"tags"},
		{"tags", "0"},
		{"i2"},
		{"o"},
		{"o", "n"},
		{"o", "b"},
		{"o", `s"`},
		{"o", "0"},
		{"o", "0", "n"},
		{"o", "deep", "x.y"},
		{"none"},
		{"1", "i"},
		nil,
	}[g.IntN(20)]
}

func (g docGen) value() plan.Value {
	switch g.IntN(8) {
	case 0:
		return plan.BoolValue(g.IntN(2) == 0)
	case 1, 2:
		return plan.IntValue(int64(g.IntN(9) - 4))
	case 3:
		return plan.FloatValue(float64(g.IntN(17))/2 - 4)
	case 4:
		return []plan.Value{plan.IntValue(9007199254740993), plan.IntValue(-1 << 63), plan.FloatValue(1 << 64), plan.FloatValue(1e300)}[g.IntN(4)]
	case 5:
		return plan.ArrayValue(plan.StringValue("x"), plan.IntValue(1))
	}
	return plan.StringValue([]string{"x", "xy", "x\n", "é", "", "x%", "zz top"}[g.IntN(7)])
}

func (g docGen) node(depth int) plan.Node {
	if depth > 0 && g.IntN(2) == 0 {
		a, b := g.node(depth-1), g.node(depth-1)
		return []plan.Node{&plan.And{Terms: []plan.Node{a, b}}, &plan.Or{Terms: []plan.Node{a, b}}, &plan.Not{Term: a}}[g.IntN(3)]
	}
	o := plan.Operand{Field: fMeta, Type: schema.JSON, Path: g.path(), Length: g.IntN(12) == 0}
	switch op := plan.CmpOp(g.IntN(6) + 1); g.IntN(8) {
	case 0:
		var list []plan.Value
		for range []int{0, 1, 3, 9}[g.IntN(4)] {
			list = append(list, g.value())
		}
		return &plan.In{Operand: o, Values: list}
	case 1:
		return &plan.Like{Operand: o, Pattern: []string{"x%", "%y", "_", "x\\%", "%"}[g.IntN(5)]}
	case 2:
		o.Length = false
		return &plan.Exists{Operand: o}
	case 3:
		o.Length = false
		return &plan.IsNull{Operand: o}
	case 4:
		o.Length = false
		return &plan.Contains{Operand: o, Mode: plan.ContainsAny, Values: []plan.Value{g.value(), g.value()}}
	case 5:
		return &plan.Range{Operand: o, Lo: g.value(), Hi: g.value(), LoInc: g.IntN(2) == 0, HiInc: g.IntN(2) == 0}
	case 6:
		return &plan.Compare{Operand: o, Op: op, Value: g.value(), Arith: &plan.Arith{Op: plan.ArithOp(g.IntN(5) + 1), Value: plan.IntValue(int64(g.IntN(3) + 1))}}
	default:
		return &plan.Compare{Operand: o, Op: op, Value: g.value()}
	}
}

func (g docGen) plan() *plan.Plan {
	for {
		if p, err := plan.New(g.node(2)); err == nil {
			return p
		}
	}
}

func docSchema() *schema.Schema {
	return &schema.Schema{Version: 1, EnableDynamic: true, Fields: []schema.Field{
		{ID: fPK, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: fMeta, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true, Nullable: true},
	}}
}

// writeAll writes rows with everything that makes filters cheaper, however few they are.
func writeAll(t testing.TB, s *schema.Schema, rows Rows) *mem.Store {
	t.Helper()
	store := mem.New()
	src, err := sortRows(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	l := layoutOf(s, rows.Indexed)
	l.least = 1
	if _, err := writeFiles(context.Background(), store, "seg", s, src, l); err != nil {
		t.Fatal(err)
	}
	return store
}

func (g docGen) rows(s *schema.Schema, n int) Rows {
	rows := Rows{Batch: emptyBatch(s)}
	for i := range n {
		rows.Batch.Columns[0].Ints = append(rows.Batch.Columns[0].Ints, int64(i))
		rows.Batch.Columns[0].N++
		if g.IntN(30) == 0 {
			rows.Batch.Columns[1].AppendNull()
		} else {
			one := &schema.Column{Type: schema.JSON, N: 1, Bytes: [][]byte{[]byte(g.doc())}}
			rows.Batch.Columns[1].AppendFrom(one, 0)
		}
		rows.TS = append(rows.TS, uint64(i+1))
	}
	rows.Batch.N = n
	return rows
}

// TestShreddedAnswers: columns taken out of documents give the answers that the documents give.
func TestShreddedAnswers(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	shredded, asked := 0, 0
	for seed := range rounds {
		g := docGen{rand.New(rand.NewPCG(uint64(seed), 3))}
		s := docSchema()
		n := 1 + g.IntN(400)
		if seed%20 == 0 {
			n = 6000
		}
		rows := g.rows(s, n)
		seg := open(t, writeAll(t, s, rows), s, "seg")
		shredded += len(seg.paths)
		for range 80 {
			p := g.plan()
			want, err := p.Bitmap(batchSource{rows.Batch})
			if err != nil {
				t.Fatal(err)
			}
			got, err := seg.Select(context.Background(), p, 1<<60, 0)
			if err != nil {
				t.Fatal(err)
			}
			asked += want.Count()
			if !slices.Equal(got, want) {
				explain(t, p, rows.Batch, got.Has, want.Has)
			}
			all, err := matchRows(p, seg, allRows(n), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(all, want) {
				explain(t, p, rows.Batch, all.Has, want.Has)
			}
		}
	}
	if shredded < 4*rounds || asked == 0 {
		t.Fatalf("%d paths in %d segments, %d rows matched: the test shows nothing", shredded, rounds, asked)
	}
}

func explain(t *testing.T, p *plan.Plan, b *schema.Batch, got, want func(int) bool) {
	t.Helper()
	for i := range b.N {
		if got(i) != want(i) {
			t.Fatalf("%s: selected %v, want %v: row %d, %s", p, got(i), want(i), i, b.Columns[1].Bytes[i])
		}
	}
}

// A filter on a frequent path reads no documents, and neither does one whose path has values of another type in rows
// that are few.
func TestShreddedReadsNoDocuments(t *testing.T) {
	s := docSchema()
	rows := Rows{Batch: emptyBatch(s)}
	for i := range 5000 {
		doc := fmt.Sprintf(`{"n":%d,"tag":"t%d","nested":{"ok":%t},"text":%q}`, i, i%7, i%2 == 0, strings.Repeat("long ", 80))
		if i == 17 {
			doc = `{"n":"seventeen"}`
		}
		rows.Batch.Columns[0].Ints = append(rows.Batch.Columns[0].Ints, int64(i))
		rows.Batch.Columns[1].Bytes = append(rows.Batch.Columns[1].Bytes, []byte(doc))
		rows.TS = append(rows.TS, uint64(i+1))
	}
	for _, c := range rows.Batch.Columns {
		c.N = 5000
	}
	rows.Batch.N = 5000
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", s, rows); err != nil {
		t.Fatal(err)
	}
	seg := open(t, store, s, "seg")
	for _, c := range []struct {
		node plan.Node
		want int
	}{
		{&plan.Compare{Operand: docPath("n"), Op: plan.LT, Value: plan.IntValue(100)}, 99},
		{&plan.Compare{Operand: docPath("n"), Op: plan.EQ, Value: plan.StringValue("seventeen")}, 1},
		{&plan.In{Operand: docPath("tag"), Values: []plan.Value{plan.StringValue("t1"), plan.StringValue("t2")}}, 1429},
		{&plan.Compare{Operand: docPath("nested", "ok"), Op: plan.EQ, Value: plan.BoolValue(true)}, 2500},
		{&plan.IsNull{Operand: docPath("tag")}, 1},
	} {
		p, err := plan.New(c.node)
		if err != nil {
			t.Fatal(err)
		}
		set, err := seg.Select(context.Background(), p, 1<<60, 0)
		if err != nil || set.Count() != c.want {
			t.Fatalf("%s: %d rows, %v; want %d", p, set.Count(), err, c.want)
		}
	}
	if seg.columns[fMeta].full != nil {
		t.Fatal("the documents were decoded")
	}
	if seg.paths[pathKey(fMeta, []string{"text"})] != nil {
		t.Fatal("long texts were written twice")
	}
}

func docPath(steps ...string) plan.Operand {
	return plan.Operand{Field: fMeta, Type: schema.JSON, Path: steps}
}
