package proxy

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

func keysOfHits(hits []hit) []int64 {
	var out []int64
	for _, h := range hits {
		out = append(out, h.i)
	}
	return out
}

func TestMergeHits(t *testing.T) {
	a := []hit{{i: 1, score: 0.9, ts: 5}, {i: 2, score: 0.5, ts: 5}}
	b := []hit{{i: 2, score: 0.95, ts: 4}, {i: 4, score: 0.5, ts: 9}, {i: 3, score: 0.5, ts: 9}}
	got := mergeHits([][]hit{a, b}, false)
	if want := []int64{1, 2, 3, 4}; !reflect.DeepEqual(keysOfHits(got), want) {
		t.Fatalf("descending: %v, want %v (the newer version of 2 counts, ties by key)", keysOfHits(got), want)
	}
	got = mergeHits([][]hit{{{i: 1, score: 3}}, {{i: 2, score: 1}, {i: 3, score: 2}}}, true)
	if want := []int64{2, 3, 1}; !reflect.DeepEqual(keysOfHits(got), want) {
		t.Fatalf("ascending: %v", keysOfHits(got))
	}
	if got := window(got, 1, 5); len(got) != 2 || got[0].i != 3 {
		t.Fatalf("window: %v", got)
	}
	if got := window(got, 9, 5); len(got) != 0 {
		t.Fatalf("window behind the end: %v", got)
	}
}

// TestMergeIsOneBigSort compares merging many nodes' lists with sorting everything at once.
func TestMergeIsOneBigSort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		lists := make([][]hit, 1+r.IntN(5))
		best := map[int64]hit{}
		for l := range lists {
			for range r.IntN(20) {
				h := hit{i: r.Int64N(30), score: float32(r.IntN(8)), ts: r.Uint64()}
				lists[l] = append(lists[l], h)
				if old, ok := best[h.i]; !ok || h.ts > old.ts {
					best[h.i] = h
				}
			}
		}
		got := mergeHits(lists, true)
		if len(got) != len(best) {
			t.Fatalf("%d hits of %d keys", len(got), len(best))
		}
		for i, h := range got {
			if best[h.i] != h {
				t.Fatalf("key %d: %+v, want %+v", h.i, h, best[h.i])
			}
			if i > 0 && (got[i-1].score > h.score || got[i-1].score == h.score && got[i-1].i >= h.i) {
				t.Fatalf("out of order at %d: %+v", i, got)
			}
		}
	}
}

func TestForeignAnswersAreChecked(t *testing.T) {
	good := func() *pb.SubResult {
		return &pb.SubResult{
			Counts: []int32{1, 1}, Keys: schema.Keys{Ints: []int64{7, 8}}.Encode(nil), Scores: []float32{1, 2},
			Segments: []int64{0, 0}, Rows: []int64{1, 2}, Shards: []int32{0, 0}, Timestamps: []uint64{1, 1},
		}
	}
	if hits, err := readHits(0, good(), 2); err != nil || len(hits) != 2 || hits[1][0].i != 8 {
		t.Fatalf("%v, %v", hits, err)
	}
	for name, spoil := range map[string]func(*pb.SubResult){
		"queries":  func(r *pb.SubResult) { r.Counts = r.Counts[:1] },
		"counts":   func(r *pb.SubResult) { r.Counts[1] = 2 },
		"negative": func(r *pb.SubResult) { r.Counts = []int32{-1, 3} },
		"few":      func(r *pb.SubResult) { r.Counts[1] = 0 },
		"scores":   func(r *pb.SubResult) { r.Scores = r.Scores[:1] },
		"keys":     func(r *pb.SubResult) { r.Keys = []byte{9, 9} },
	} {
		r := good()
		spoil(r)
		if _, err := readHits(0, r, 2); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRankers(t *testing.T) {
	lists := [][]hit{{{i: 1, score: 0.9}, {i: 2, score: 0.8}}, {{i: 2, score: 3}, {i: 3, score: 2}}}
	r, err := rrf(paramSet{})
	if err != nil {
		t.Fatal(err)
	}
	got := r.join(lists)
	if want := []int64{2, 1, 3}; !reflect.DeepEqual(keysOfHits(got), want) {
		t.Fatalf("rrf: %v", got)
	}
	if want := 1.0/62 + 1.0/61; math.Abs(float64(got[0].score)-want) > 1e-6 {
		t.Errorf("rrf score %v, want %v", got[0].score, want)
	}
	w, err := weighted(paramSet{"weights": "[0.5, 1]"}, []string{"COSINE", "IP"})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.join(lists); got[0].i != 2 || math.Abs(float64(got[0].score)-3.4) > 1e-6 {
		t.Errorf("weighted: %+v", got)
	}
	w, err = weighted(paramSet{"weights": "[1, 1]"}, []string{"L2", "L2"})
	if err != nil || !w.asc {
		t.Errorf("distances alone keep their direction: %v, %v", w.asc, err)
	}
	w, err = weighted(paramSet{"weights": "[1, 1]"}, []string{"L2", "IP"})
	if err != nil || w.asc || w.part(0, 1, 0) != 1 {
		t.Errorf("a distance beside a similarity is turned round: %v, %v", w.asc, err)
	}
	w, err = weighted(paramSet{"weights": "[1]", "norm_score": "True"}, []string{"COSINE"})
	if err != nil || w.part(0, 1, 1) != 1 || w.part(0, 1, -1) != 0 {
		t.Errorf("normalised cosine: %v", err)
	}
	for text, params := range map[string]paramSet{
		"the length of weights param mismatch with ann search requests: invalid parameter[expected=1][actual=2]: invalid parameter": {"weights": "[1,1]"},
		"rank param weight should be in range [0, 1]: invalid parameter":                                                            {"weights": "[2]"},
	} {
		if _, err := weighted(params, []string{"IP"}); err == nil || err.Error() != text {
			t.Errorf("%v: %v", params, err)
		}
	}
}

func TestQueryPartsAreMerged(t *testing.T) {
	part := func(ts uint64, keys ...int64) queryPart {
		b := &schema.Batch{N: len(keys), Columns: []*schema.Column{{Field: 100, Type: schema.Int64, N: len(keys), Ints: keys}}}
		p := queryPart{batch: b, keys: schema.Keys{Ints: keys}}
		for range keys {
			p.ts = append(p.ts, ts)
		}
		return p
	}
	got := mergeParts([]queryPart{part(1, 1, 4, 6), part(2, 2, 4, 9), part(3)}, []int64{100}, 100, 4)
	if !reflect.DeepEqual(got.keys.Ints, []int64{1, 2, 4, 6}) || got.batch.N != 4 {
		t.Fatalf("%+v", got.keys)
	}
	if w := got.window(1, 2); !reflect.DeepEqual(w.Columns[0].Ints, []int64{2, 4}) {
		t.Fatalf("window %v", w.Columns[0].Ints)
	}
	if got := mergeParts([]queryPart{part(1, 1, 4, 6)}, []int64{100}, 100, 2); got.keys.Len() != 2 || got.batch.N != 2 {
		t.Fatalf("one part: %+v", got)
	}
}
