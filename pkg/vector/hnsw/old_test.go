package hnsw

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

// TestMinor0 opens a file that a program of format version 1.0 wrote: whole codes, no tuning.
func TestMinor0(t *testing.T) {
	packed, err := os.ReadFile("testdata/minor0.hnsw.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	rows := sample.Clustered(9, 0, 200, 70, 4)
	x, err := NewIndex(testSet(t), img, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	queries := sample.Clustered(9, 1, 20, 70, 4).Data
	for _, f := range []*sample.Bits{nil, sample.Share(1, 200, 0.3)} {
		var vf vector.Filter
		if f != nil {
			vf = f
		}
		hits, _, err := x.Search(t.Context(), queries, Params{K: 5, Ef: 40, Filter: vf})
		if err != nil {
			t.Fatal(err)
		}
		checkHits(t, x, queries, hits, 5, f)
		if r := sample.Recall(vector.Cosine, hits, exact(t, rows, vector.Cosine, queries, 5, vf)); r < 0.99 {
			t.Fatalf("recall %.3f", r)
		}
	}
}
