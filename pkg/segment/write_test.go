package segment

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/schema"
)

func open(t testing.TB, store *mem.Store, s *schema.Schema, dir string) *Sealed {
	t.Helper()
	seg, err := OpenSealed(context.Background(), store, SealedConfig{ID: 1, Partition: 5, Dir: dir, Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(seg.Release)
	return seg
}

func allRows(n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

func TestWriteAndOpen(t *testing.T) {
	for _, pk := range []schema.Type{schema.Int64, schema.VarChar} {
		for _, n := range []int{0, 1, 3, 1000, 9000} {
			t.Run(fmt.Sprint(pk, n), func(t *testing.T) { writeAndOpen(t, pk, n) })
		}
	}
}

func writeAndOpen(t *testing.T, pk schema.Type, n int) {
	ctx := context.Background()
	s := testSchema(pk)
	rows := randomRows(rand.New(rand.NewPCG(1, uint64(n))), s, n, n+1, 100)
	store := mem.New()
	info, err := Write(ctx, store, "seg", s, rows)
	if err != nil {
		t.Fatal(err)
	}
	if info.Rows != n || info.Bytes == 0 || (n > 0 && (info.MinTS != rows.TS[0] || info.MaxTS != rows.TS[n-1])) {
		t.Fatalf("info %+v", info)
	}
	seg := open(t, store, s, "seg")
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	keys := schema.KeysOf(rows.Batch.Columns[0])
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(compareKeys(keys, a, keys, b), cmp.Compare(rows.TS[a], rows.TS[b]))
	})
	got, err := seg.Fetch(allRows(n), fieldIDs(s))
	if err != nil {
		t.Fatal(err)
	}
	for i, from := range order {
		if a, b := render(got, i), render(rows.Batch, from); a != b {
			t.Fatalf("row %d is\n%s\ninstead of\n%s", i, a, b)
		}
	}
	few := []uint32{}
	for i := 0; i < n; i += 37 {
		few = append(few, uint32(n-1-i))
	}
	some, err := open(t, store, s, "seg").Fetch(few, fieldIDs(s)) // the way that decodes single blocks
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range few {
		if a, b := render(some, i), render(got, int(row)); a != b {
			t.Fatalf("row %d alone is\n%s\ninstead of\n%s", row, a, b)
		}
	}
}

func TestWriteParquetForOthers(t *testing.T) {
	path := os.Getenv("GYR_WRITE_PARQUET")
	if path == "" {
		t.Skip("set GYR_WRITE_PARQUET to a path to get a file for other programs")
	}
	store := mem.New()
	s := testSchema(schema.Int64)
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), s, 20000, 20000, 100)
	if _, err := Write(context.Background(), store, "seg", s, rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Clean(path), get(t, store, "seg/"+ParquetName), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, store *mem.Store, key string) []byte {
	t.Helper()
	o, err := store.Stat(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, o.Size)
	if _, err := store.ReadAt(context.Background(), key, raw, 0); err != nil {
		t.Fatal(err)
	}
	return raw
}
