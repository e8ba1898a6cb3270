package segment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

const million = 1_000_000

// Fields of the million rows: few and many distinct values, numbers and texts.
const (
	mPK = schema.FirstUserField + iota
	mGroup
	mNumber
	mTag
	mName
	mMeta
)

func millionSchema() *schema.Schema {
	return &schema.Schema{Version: 1, Fields: []schema.Field{
		{ID: mPK, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: mGroup, Name: "group", Type: schema.Int32},
		{ID: mNumber, Name: "number", Type: schema.Int64},
		{ID: mTag, Name: "tag", Type: schema.VarChar},
		{ID: mName, Name: "name", Type: schema.VarChar},
		{ID: mMeta, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true},
	}}
}

// millionStore writes a million rows: group and tag have 1,000 values, number and name as many as there are rows.
func millionStore(b *testing.B, least int, indexed ...int64) objstore.Store {
	b.Helper()
	s, r := millionSchema(), rand.New(rand.NewPCG(5, 6))
	rows := Rows{Batch: emptyBatch(s)}
	for i := range million {
		group, number := r.IntN(1000), r.IntN(million)
		for _, c := range rows.Batch.Columns {
			switch c.N++; c.Field {
			case mPK:
				c.Ints = append(c.Ints, int64(i))
			case mGroup:
				c.Ints = append(c.Ints, int64(group))
			case mNumber:
				c.Ints = append(c.Ints, int64(number))
			case mTag:
				c.Strings = append(c.Strings, fmt.Sprintf("tag-%04d", group))
			case mName:
				c.Strings = append(c.Strings, fmt.Sprintf("%06d-package-name", number))
			case mMeta:
				c.Bytes = append(c.Bytes, fmt.Appendf(nil, `{"group":%d,"number":%d,"tag":"tag-%04d","score":%.3f,"ok":%t,"more":{"deep":%d}}`,
					group, number, group, r.Float64(), number%2 == 0, number%77))
			}
		}
		rows.TS = append(rows.TS, uint64(i+1))
	}
	rows.Batch.N = million
	store := mem.New()
	src, err := sortRows(s, rows)
	if err != nil {
		b.Fatal(err)
	}
	l := layoutOf(s, nil)
	l.least, l.indexed = least, indexed
	began := time.Now()
	info, err := writeFiles(context.Background(), store, "seg", s, src, l)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d rows, files of %.1f MB in %.1f s", info.Rows, float64(info.Bytes)/1e6, time.Since(began).Seconds())
	return store
}

func millionFilters() []struct {
	name string
	node plan.Node
} {
	group := plan.Operand{Field: mGroup, Type: schema.Int32}
	number := plan.Operand{Field: mNumber, Type: schema.Int64}
	tag := plan.Operand{Field: mTag, Type: schema.VarChar}
	name := plan.Operand{Field: mName, Type: schema.VarChar}
	doc := func(path ...string) plan.Operand { return plan.Operand{Field: mMeta, Type: schema.JSON, Path: path} }
	ints, groups, texts := make([]plan.Value, 100), make([]plan.Value, 100), make([]plan.Value, 100)
	for i := range ints {
		ints[i] = plan.IntValue(int64(i * 9973))
		groups[i] = plan.StringValue(fmt.Sprintf("tag-%04d", i*10))
		texts[i] = plan.StringValue(fmt.Sprintf("%06d-package-name", i*9973))
	}
	return []struct {
		name string
		node plan.Node
	}{
		{"equal/int/few", &plan.Compare{Operand: group, Op: plan.EQ, Value: plan.IntValue(500)}},
		{"equal/text/few", &plan.Compare{Operand: tag, Op: plan.EQ, Value: plan.StringValue("tag-0500")}},
		{"equal/int/many", &plan.Compare{Operand: number, Op: plan.EQ, Value: plan.IntValue(500)}},
		{"equal/text/many", &plan.Compare{Operand: name, Op: plan.EQ, Value: plan.StringValue("000500-package-name")}},
		{"range/int/few", &plan.Range{Operand: group, Lo: plan.IntValue(100), Hi: plan.IntValue(110), LoInc: true}},
		{"range/int/many", &plan.Range{Operand: number, Lo: plan.IntValue(100000), Hi: plan.IntValue(110000), LoInc: true}},
		{"prefix/text/few", &plan.Like{Operand: tag, Pattern: "tag-050%"}},
		{"prefix/text/many", &plan.Like{Operand: name, Pattern: "0005%"}},
		{"in100/text/few", &plan.In{Operand: tag, Values: groups}},
		{"in100/int/many", &plan.In{Operand: number, Values: ints}},
		{"in100/text/many", &plan.In{Operand: name, Values: texts}},
		{"json/equal/text", &plan.Compare{Operand: doc("tag"), Op: plan.EQ, Value: plan.StringValue("tag-0500")}},
		{"json/range/int", &plan.Range{Operand: doc("number"), Lo: plan.IntValue(100000), Hi: plan.IntValue(110000), LoInc: true}},
		{"json/less/float", &plan.Compare{Operand: doc("score"), Op: plan.LT, Value: plan.FloatValue(0.01)}},
		{"json/deep", &plan.Compare{Operand: doc("more", "deep"), Op: plan.EQ, Value: plan.IntValue(7)}},
		{"json/exists", &plan.Exists{Operand: doc("score")}},
	}
}

// BenchmarkFilters evaluates filters over a million rows by scans of columns and documents, and by what the file has
// to make them cheaper. MB is what the first evaluation brings into memory.
func BenchmarkFilters(b *testing.B) {
	for _, mode := range []struct {
		name    string
		least   int
		indexed []int64
	}{{"scan", million + 1, nil}, {"auto", 1, nil}, {"asked", 1, []int64{mGroup, mNumber, mTag, mName}}} {
		store := millionStore(b, mode.least, mode.indexed...)
		for _, f := range millionFilters() {
			p, err := plan.New(f.node)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(f.name+"/"+mode.name, func(b *testing.B) { benchFilter(b, store, p) })
		}
	}
}

func benchFilter(b *testing.B, store objstore.Store, p *plan.Plan) {
	seg, err := OpenSealed(context.Background(), store, SealedConfig{Dir: "seg", Schema: millionSchema()})
	if err != nil {
		b.Fatal(err)
	}
	defer seg.Release()
	before := seg.Bytes()
	set, err := p.Bitmap(seg)
	if err != nil {
		b.Fatal(err)
	}
	held := seg.Bytes() - before
	for b.Loop() {
		if _, err := p.Bitmap(seg); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(held)/1e6, "MB")
	b.ReportMetric(float64(set.Count()), "rows")
}
