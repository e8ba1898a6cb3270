package segment

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/schema"
)

const (
	benchRows = 50000
	benchDim  = 384
)

func benchSchema() *schema.Schema {
	s := bigSchema()
	s.Fields[1].Dim = benchDim
	s.Fields = append(s.Fields, schema.Field{ID: fText, Name: "title", Type: schema.VarChar, Nullable: true})
	return s
}

func benchData() Rows {
	r := rand.New(rand.NewPCG(2, 2))
	rows := Rows{Batch: emptyBatch(benchSchema())}
	for i := range benchRows {
		for _, c := range rows.Batch.Columns {
			switch c.Type {
			case schema.VarChar:
				c.Strings = append(c.Strings, keyString(r.IntN(1000))+" some words of a title")
			case schema.FloatVector:
				for range benchDim {
					c.Vectors = append(c.Vectors, r.Float32())
				}
			default:
				c.Ints = append(c.Ints, int64(r.IntN(1<<30)))
			}
			c.N++
		}
		rows.TS = append(rows.TS, uint64(1000+i))
	}
	rows.Batch.N = benchRows
	return rows
}

func BenchmarkWrite(b *testing.B) {
	rows := benchData()
	b.SetBytes(benchRows * benchDim * 4)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(context.Background(), mem.New(), "seg", benchSchema(), rows); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", benchSchema(), benchData()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchRows * benchDim * 4)
	b.ReportAllocs()
	for b.Loop() {
		seg, err := OpenSealed(context.Background(), store, SealedConfig{Dir: "seg", Schema: benchSchema()})
		if err != nil {
			b.Fatal(err)
		}
		seg.Release()
	}
}

func BenchmarkMerge(b *testing.B) {
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", benchSchema(), benchData()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(2 * benchRows * benchDim * 4)
	b.ReportAllocs()
	for b.Loop() {
		var sources []*Sealed
		for id := range int64(2) {
			seg, err := OpenSealed(context.Background(), store, SealedConfig{ID: id, Dir: "seg", Schema: benchSchema(), NoVectors: true})
			if err != nil {
				b.Fatal(err)
			}
			sources = append(sources, seg)
		}
		if _, _, err := Merge(context.Background(), store, MergeConfig{Dir: "out", Schema: benchSchema(), Sources: sources}); err != nil {
			b.Fatal(err)
		}
		for _, s := range sources {
			s.Release()
		}
	}
}

func BenchmarkApplyDeletes(b *testing.B) {
	seg := openBig(b, 200000)
	r := rand.New(rand.NewPCG(1, 1))
	d := Deletes{}
	for range 10000 {
		d.Keys.Ints = append(d.Keys.Ints, int64(r.IntN(2000000))) // one in ten is there
		d.TS = append(d.TS, 1<<50)
	}
	for b.Loop() {
		seg.ApplyDeletes(d, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/delete")
}
