package segment

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// TestManyPages: vectors over several row groups and pages, with and without nulls, in memory and read by the page.
func TestManyPages(t *testing.T) {
	const n, dim = 2500, 300
	s := &schema.Schema{Fields: []schema.Field{
		{ID: fPK, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: fVec, Name: "vec", Type: schema.FloatVector, Dim: dim},
		{ID: fOptVec, Name: "side", Type: schema.FloatVector, Dim: dim, Nullable: true},
		{ID: fHalf, Name: "half", Type: schema.Float16Vector, Dim: 2 * dim, Nullable: true},
		{ID: fBrain, Name: "brain", Type: schema.BFloat16Vector, Dim: 2 * dim},
		{ID: fBytes, Name: "bytes", Type: schema.Int8Vector, Dim: 4 * dim, Nullable: true},
		{ID: fBits, Name: "bits", Type: schema.BinaryVector, Dim: 32 * dim},
	}}
	ids := fieldIDs(s)[1:]
	r := rand.New(rand.NewPCG(8, 8))
	rows := Rows{Batch: emptyBatch(s)}
	for i := range n {
		randomRow(r, s, rows.Batch, i)
		rows.TS = append(rows.TS, uint64(1+i))
	}
	src, err := sortRows(s, rows)
	if err != nil {
		t.Fatal(err)
	}
	store := mem.New()
	if _, err := writeFiles(context.Background(), store, "seg", s, src, layout{step: 1100, least: accelRows}); err != nil {
		t.Fatal(err)
	}
	cache, err := diskcache.Open(diskcache.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var found []index.Hits
	for _, place := range []string{"memory", "disk", "bucket"} {
		bucket := place == "bucket"
		seg, err := OpenSealed(context.Background(), store, SealedConfig{
			ID: 1, Dir: "seg", Schema: s, NoVectors: bucket, Cache: cache, Cold: func(int64) bool { return place == "disk" },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if pages := len(seg.vectors[id].pages); pages < 3 {
				t.Fatalf("field %d has only %d pages", id, pages)
			}
		}
		some := allRows(n)
		r.Shuffle(n, func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:200]
		b, err := seg.Fetch(some, ids)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range some {
			for f, c := range b.Columns {
				want := rows.Batch.Columns[f+1]
				if c.IsNull(i) != want.IsNull(int(row)) || !bytes.Equal(c.VectorRow(i), want.VectorRow(int(row))) {
					t.Fatalf("row %d, column %d, %s: another vector", row, f, place)
				}
			}
		}
		if _, err := seg.Vectors(fVec); (err != nil) != bucket {
			t.Fatal(err)
		}
		hits, _, err := seg.Search(context.Background(), SearchSpec{Field: fVec, Queries: make([]byte, 4*dim), NQ: 1, K: 3, Metric: "L2", ReadTS: 1 << 60})
		if (err != nil) != bucket {
			t.Fatal(err)
		}
		found = append(found, hits)
		if used, _ := cache.Usage(); (used > 0) != (place == "disk") {
			t.Fatalf("%s: %d bytes in the disk cache", place, used)
		}
		if place == "disk" && seg.Bytes() > n*dim {
			t.Fatalf("%d bytes in memory though the vectors are on disk", seg.Bytes())
		}
		seg.Release()
	}
	if used, _ := cache.Usage(); used != 0 {
		t.Fatalf("%d bytes left in the disk cache", used)
	}
	if !reflect.DeepEqual(found[0], found[1]) {
		t.Fatalf("from memory %v, from disk %v", found[0], found[1])
	}
}

// TestExcludes compares the verdict from bounds with the rows that a plan selects, and checks that bounds are of use.
func TestExcludes(t *testing.T) {
	s := testSchema(schema.VarChar)
	rows := randomRows(rand.New(rand.NewPCG(6, 6)), s, 40, 40, 10)
	for i := range 40 { // few values, of one half, and of documents
		rows.Batch.Column(fI8).Ints[i] = int64(3 + 4*(i%2))
		rows.Batch.Column(fMeta).Bytes[i] = fmt.Appendf(nil, `{"n":%d,"s":"%d"}`, 10+i, 3+i%2)
	}
	seg := open(t, writeAll(t, s, rows), s, "seg")
	r := rand.New(rand.NewPCG(1, 6))
	excluded := map[string]int{}
	for range 6000 {
		p, err := plan.New(randomBoundsPlan(r, 2))
		if err != nil {
			t.Fatal(err)
		}
		set, err := p.Bitmap(seg)
		if err != nil {
			t.Fatal(err)
		}
		if seg.excludes(p) {
			excluded[fmt.Sprintf("%T", p.Root())]++
			if set.Count() > 0 {
				t.Fatalf("%v is excluded and selects %d rows", p, set.Count())
			}
		}
	}
	for _, kind := range []plan.Node{&plan.Compare{}, &plan.Range{}, &plan.In{}, &plan.Like{}, &plan.IsNull{}, &plan.And{}, &plan.Or{}} {
		if excluded[fmt.Sprintf("%T", kind)] < 15 {
			t.Fatalf("too few plans are excluded: %v", excluded)
		}
	}
}

func randomBoundsPlan(r *rand.Rand, depth int) plan.Node {
	if depth > 0 && r.IntN(2) == 0 {
		a, b := randomBoundsPlan(r, depth-1), randomBoundsPlan(r, depth-1)
		return []plan.Node{plan.Conj(a, b), plan.Disj(a, b), plan.Neg(a)}[r.IntN(3)]
	}
	ops := []plan.CmpOp{plan.EQ, plan.NE, plan.LT, plan.LE, plan.GT, plan.GE}
	medium := plan.Operand{Field: fI32, Type: schema.Int32}
	weight := plan.Operand{Field: fDouble, Type: schema.Double}
	title := plan.Operand{Field: fText, Type: schema.VarChar}
	number, text := plan.Operand{Field: fMeta, Type: schema.JSON, Path: []string{"n"}}, plan.Operand{Field: fMeta, Type: schema.JSON, Path: []string{"s"}}
	switch r.IntN(11) {
	case 5:
		return &plan.Compare{Operand: plan.Operand{Field: fI8, Type: schema.Int8}, Op: ops[r.IntN(6)], Value: plan.IntValue(int64(r.IntN(11)))}
	case 6:
		return &plan.Like{Operand: title, Pattern: []string{"w%", "x%y", "a\\%%", "w2_", "%w", "", "W%"}[r.IntN(7)]}
	case 7:
		return &plan.IsNull{Operand: []plan.Operand{title, medium, weight}[r.IntN(3)]}
	case 8:
		return &plan.Compare{Operand: plan.Operand{Field: fFloat, Type: schema.Float}, Op: ops[r.IntN(6)], Value: plan.FloatValue(r.Float64()*3 - 1)}
	case 9:
		return &plan.Compare{Operand: number, Op: ops[r.IntN(6)], Value: []plan.Value{plan.IntValue(int64(r.IntN(70))), plan.FloatValue(r.Float64() * 70), plan.StringValue("3")}[r.IntN(3)]}
	case 10:
		return &plan.Like{Operand: text, Pattern: []string{"3%", "4", "5%", "x"}[r.IntN(4)]}
	case 0:
		return &plan.Compare{Operand: weight, Op: ops[r.IntN(6)], Value: plan.FloatValue(r.NormFloat64() * 3)}
	case 1:
		return &plan.Compare{Operand: title, Op: ops[r.IntN(6)], Value: plan.StringValue([]string{"", "a", "w2", "w99", "x"}[r.IntN(5)])}
	case 2:
		lo := r.IntN(150) - 20
		return &plan.Range{Operand: medium, Lo: plan.IntValue(int64(lo)), Hi: plan.IntValue(int64(lo + r.IntN(30))), LoInc: r.IntN(2) == 0, HiInc: r.IntN(2) == 0}
	case 3:
		return &plan.In{Operand: medium, Values: []plan.Value{plan.IntValue(int64(r.IntN(150) - 20)), plan.IntValue(int64(r.IntN(150) - 20))}}
	}
	return &plan.Compare{Operand: medium, Op: ops[r.IntN(6)], Value: plan.IntValue(int64(r.IntN(150) - 20))}
}
