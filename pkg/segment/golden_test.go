package segment

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/schema"
)

// goldenRows are the rows in testdata/v1; GYR_GOLDEN=write makes the files anew, which only a new format version needs.
func goldenRows() (*schema.Schema, Rows, Deletes) {
	s := goldenSchema(schema.VarChar)
	rows := randomRows(rand.New(rand.NewPCG(11, 12)), s, 7, 5, 1000)
	rows.Dead = []uint64{0, 0, 2000, 0, 0, 0, 0}
	return s, rows, Deletes{
		Keys: schema.Keys{Strings: []string{keyString(1), keyString(3)}},
		TS:   []uint64{1500, 1600}, ReadTS: []uint64{0, 1003}, Partition: []int64{0, testPartition}, Position: []uint64{7, 9},
	}
}

// TestGolden opens files that an earlier build wrote.
func TestGolden(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join("testdata", "v1")
	if os.Getenv("GYR_GOLDEN") == "write" {
		writeGolden(t, dir)
	}
	store := mem.New()
	for _, name := range []string{ParquetName, ColumnsName, "delta.gyrd"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, store, "v1/"+name, raw)
	}
	d, err := ReadDelta(ctx, store, "v1/delta.gyrd")
	if err != nil {
		t.Fatal(err)
	}
	s := lateSchema(goldenSchema(schema.VarChar))
	got := goldenText(t, open(t, store, s, "v1"), s, d)
	want, err := os.ReadFile(filepath.Join(dir, "want.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("the files of version 1 read as\n%s\ninstead of\n%s", got, want)
	}
}

func goldenText(t *testing.T, seg *Sealed, s *schema.Schema, d Deletes) string {
	t.Helper()
	var out strings.Builder
	for range 2 {
		b, err := seg.Fetch(allRows(seg.Rows()), fieldIDs(s))
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			fmt.Fprintln(&out, seg.ts[i], seg.deaths.at(i), render(b, i))
		}
		seg.ApplyDeletes(d, 0)
	}
	fmt.Fprintln(&out, d)
	return out.String()
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	ctx, store := context.Background(), mem.New()
	s, rows, d := goldenRows()
	if _, err := Write(ctx, store, "v1", s, rows); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteDelta(ctx, store, "v1/delta.gyrd", d); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ParquetName, ColumnsName, "delta.gyrd"} {
		if err := os.WriteFile(filepath.Join(dir, name), get(t, store, "v1/"+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	late := lateSchema(goldenSchema(schema.VarChar))
	text := goldenText(t, open(t, store, late, "v1"), late, d)
	if err := os.WriteFile(filepath.Join(dir, "want.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
