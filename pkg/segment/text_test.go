package segment

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
)

// TestLongTexts: a filter reads columns of several MiB of text, and values that are longer than a block.
func TestLongTexts(t *testing.T) {
	s := &schema.Schema{Version: 1, Fields: []schema.Field{
		{ID: fPK, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: fText, Name: "text", Type: schema.VarChar, MaxLength: 65535},
	}}
	const n = 3000
	rows := Rows{Batch: emptyBatch(s)}
	for i := range n {
		rows.Batch.Columns[0].Ints = append(rows.Batch.Columns[0].Ints, int64(i))
		long := strings.Repeat(fmt.Sprintf("%d words ", i), 60)
		if i%500 == 0 {
			long = strings.Repeat(long, 90)
		}
		rows.Batch.Columns[1].Strings = append(rows.Batch.Columns[1].Strings, long)
		rows.TS = append(rows.TS, uint64(i+1))
	}
	rows.Batch.Columns[0].N, rows.Batch.Columns[1].N, rows.Batch.N = n, n, n
	store := mem.New()
	if _, err := Write(context.Background(), store, "seg", s, rows); err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(&plan.Like{Operand: plan.Operand{Field: fText, Type: schema.VarChar}, Pattern: "2%words%2"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := open(t, store, s, "seg").Select(context.Background(), p, n, 0); err != nil {
			t.Fatal(err)
		}
	}
	seg := open(t, store, s, "seg")
	few, err := seg.Fetch([]uint32{500, 7}, []int64{fText})
	if err != nil {
		t.Fatal(err)
	}
	all, err := seg.Column(fText)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range rows.Batch.Columns[1].Strings {
		if all.Strings[i] != want {
			t.Fatalf("row %d reads as %q", i, all.Strings[i][:40])
		}
	}
	if few.Columns[0].Strings[0] != all.Strings[500] || few.Columns[0].Strings[1] != all.Strings[7] {
		t.Fatal("fetched rows differ")
	}
}
