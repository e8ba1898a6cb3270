package hnsw

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sample"
)

func productImage(t testing.TB, rows vector.Rows, metric vector.Metric, p Product, workers int) []byte {
	t.Helper()
	cfg := Config{Set: testSet(t), Metric: metric, M: 8, EfConstruction: 60, Workers: workers, Product: p}
	img, err := Build(t.Context(), cfg, rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := img.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	if err := img.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func loadProduct(t testing.TB, b []byte, rows vector.Rows) *Index {
	t.Helper()
	img, err := Load(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewIndex(testSet(t), img, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// TestProductRecall: graphs of product codes find what those of integers do, with pools that are a little larger.
func TestProductRecall(t *testing.T) {
	const n, dim, k = 6000, 48, 10
	rows := sample.Clustered(31, 0, n, dim, 60)
	queries := sample.Clustered(31, 1, 100, dim, 60).Data
	filters := map[string]*sample.Bits{
		"all": nil, "half": sample.Share(7, n, 0.5), "tenth": sample.Share(7, n, 0.1), "few": sample.Share(7, n, 0.004),
		"correlated": sample.Where(n, func(i int) bool { return rows.Vector(i)[0] < -0.4 }),
	}
	for i, p := range []Product{{Parts: 24, Bits: 8, Stages: 1}, {Parts: 48, Bits: 4, Stages: 1}, {Parts: 6, Bits: 6, Stages: 4}} {
		metric := []vector.Metric{vector.Cosine, vector.L2, vector.IP}[i]
		for _, metric := range slices.Compact([]vector.Metric{metric, vector.L2}) {
			x := loadProduct(t, productImage(t, rows, metric, p, 0), rows)
			for name, f := range filters {
				var vf vector.Filter
				if f != nil {
					vf = f
				}
				hits, stats, err := x.Search(t.Context(), queries, Params{K: k, Ef: 100, Filter: vf})
				if err != nil {
					t.Fatal(err)
				}
				checkHits(t, x, queries, hits, k, f)
				recall := sample.Recall(metric, hits, exact(t, rows, metric, queries, k, vf))
				t.Logf("%+v %s %s: recall %.4f, %d distances", p, metric, name, recall, stats.Distances/100)
				if recall < 0.95 {
					t.Errorf("%+v %s %s: recall %.4f", p, metric, name, recall)
				}
			}
			for _, target := range []float64{0.9, 0.99} {
				hits, _, err := x.Search(t.Context(), queries, Params{K: k, TargetRecall: target})
				if err != nil {
					t.Fatal(err)
				}
				if r := sample.Recall(metric, hits, exact(t, rows, metric, queries, k, nil)); x.img.table.Empty() || r < target-0.01 {
					t.Errorf("%+v %s: asked for %g, got %.4f", p, metric, target, r)
				}
			}
		}
	}
}

// TestLookup: distances by tables are those from the query to what codes stand for, whatever the number of bits.
func TestLookup(t *testing.T) {
	const n, dim = 300, 12
	rows := sample.Clustered(32, 0, n, dim, 10)
	query := sample.Clustered(32, 1, 1, dim, 10).Data
	for bits := 1; bits <= MaxBits; bits++ {
		for _, metric := range []vector.Metric{vector.L2, vector.IP} {
			for _, stages := range []int{1, 3} {
				p := Product{Parts: 6, Bits: bits, Stages: stages}
				x := loadProduct(t, productImage(t, rows, metric, p, 2), rows)
				l := newLookup(x.product)
				l.query(query)
				ids, got := make([]uint32, n-1), make([]int32, n-1) // no multiple of four
				for i := range ids {
					ids[i] = uint32(i)
				}
				l.measure(ids, got)
				for i := range ids {
					want := byDecoding(x.product, ids[i], query)
					have := float64(math.Float32frombits(uint32(ordered(math.Float32frombits(uint32(got[i])))))) // its own reverse
					if math.Abs(have-want) > 1e-3 {
						t.Fatalf("%+v %s row %d: %g, want %g", p, metric, i, have, want)
					}
				}
			}
		}
	}
}

// byDecoding is the distance of a query from what a row's code stands for, less what is equal for all rows.
func byDecoding(p *product, id uint32, query []float32) float64 {
	y, part := make([]float64, len(p.mean)), make([]float32, len(p.mean))
	code := p.codes.Row(id)
	at := 0
	for s := range p.stages {
		parts := make([]byte, p.Parts)
		for j := range parts {
			parts[j] = code[at/p.perByte()] >> (at % p.perByte() * p.Bits) & (1<<p.Bits - 1)
			at++
		}
		p.stages[s].Decode(parts, part)
		for d, v := range part {
			y[d] += float64(v)
		}
	}
	sum := 0.0
	for d, v := range y {
		q := float64(query[d])
		if p.metric == vector.IP {
			sum -= q * v
			continue
		}
		q -= float64(p.mean[d])
		sum += v*v - 2*q*v
	}
	return sum
}

func TestOrdered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	all := []float32{float32(math.Inf(-1)), -1, -1e-40, 0, 1e-40, 1, float32(math.Inf(1))}
	for range 1000 {
		all = append(all, float32(r.NormFloat64()))
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i-1] < all[i] && ordered(all[i-1]) >= ordered(all[i]) {
			t.Fatalf("%g and %g", all[i-1], all[i])
		}
	}
}

// TestProductFile: files depend on rows alone, are as small as they should be, and every flipped bit is found.
func TestProductFile(t *testing.T) {
	const n = 300
	rows := sample.Clustered(33, 0, n, 6, 4)
	p := Product{Parts: 3, Bits: 3, Stages: 2}
	b := productImage(t, rows, vector.L2, p, 1)
	if !bytes.Equal(b, productImage(t, rows, vector.L2, p, 4)) {
		t.Error("the file depends on the number of workers")
	}
	l, _, err := format().Header(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Find(kindCodes); ok {
		t.Error("integer codes were kept")
	}
	if s, _ := l.Find(kindParts); s.Length != n*3 {
		t.Errorf("%d bytes of codes", s.Length)
	}
	for at := 0; at < len(b); at += 61 {
		b[at] ^= 4
		err := load(b)
		b[at] ^= 4
		if !errors.Is(err, vector.ErrCorrupt) || !strings.Contains(err.Error(), ": "+l.Where(uint64(at))+":") {
			t.Fatalf("byte %d of %s: %v", at, l.Where(uint64(at)), err)
		}
	}
	for _, c := range []struct{ parts, bits, stages int }{{4, 3, 2}, {0, 3, 2}, {3, 9, 2}, {3, 0, 2}, {3, 3, 0}, {3, 3, 65}, {6, 3, 2}, {3, 3, 1}} {
		forged := bytes.Clone(b)
		binary.LittleEndian.PutUint16(forged[44:], uint16(c.parts))
		forged[46], forged[47] = byte(c.bits), byte(c.stages)
		format().Reseal(forged)
		if err := load(forged); !errors.Is(err, vector.ErrCorrupt) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	// Bytes of codes that no part has lead nowhere.
	s, _ := l.Find(kindParts)
	for i := range s.Length {
		b[s.Off+i] = 0xff
	}
	format().Reseal(b)
	x := loadProduct(t, b, rows)
	if _, _, err := x.Search(t.Context(), make([]float32, 6), Params{K: 5, Ef: 20}); err != nil {
		t.Fatal(err)
	}
}

// TestProductSizes builds few rows, equal rows and none.
func TestProductSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 9, 600} {
		rows := sample.Clustered(34, 0, n, 4, 3)
		for i := n / 2; i < n; i++ {
			copy(rows.Vector(i), rows.Vector(0))
		}
		for _, p := range []Product{{2, 8, 1}, {4, 1, 1}, {1, 5, 2}} {
			x := loadProduct(t, productImage(t, rows, vector.L2, p, 2), rows)
			q := []float32{1, 2, 3, 4}
			hits, _, err := x.Search(t.Context(), q, Params{K: 7, Ef: 1000, Rerank: 9})
			if err != nil {
				t.Fatal(err)
			}
			checkHits(t, x, q, hits, 7, nil)
		}
	}
}

// TestProductLines: no code reaches into more cache lines than are asked for.
func TestProductLines(t *testing.T) {
	for stride := 1; stride < 300; stride++ {
		p := &product{}
		p.codes.Stride = stride
		most := 0
		for i := range 64 {
			most = max(most, (i*stride+stride-1)/64-i*stride/64+1)
		}
		if p.lines() != most {
			t.Errorf("stride %d: %d lines, not %d", stride, p.lines(), most)
		}
	}
}

func TestProductConfig(t *testing.T) {
	rows := sample.Clustered(9, 0, 10, 6, 2)
	for _, p := range []Product{{4, 8, 1}, {3, 9, 1}, {3, 0, 1}, {3, 8, 0}, {3, 8, 65}} {
		_, err := Build(t.Context(), Config{Set: testSet(t), M: 4, EfConstruction: 10, Product: p}, rows, nil)
		if err == nil {
			t.Errorf("%+v was built", p)
		}
	}
}

// BenchmarkLookup measures rows in a random order.
func BenchmarkLookup(b *testing.B) {
	const n = 60000
	r := rand.New(rand.NewPCG(1, 2))
	for _, parts := range []int{32, 48, 96} {
		p := newProduct(Product{Parts: parts, Bits: 8, Stages: 1}, vector.L2, make([]float32, parts*8), make([]float32, parts*8*256))
		p.codes.Data, p.codes.Stride = make([]byte, n*parts), parts
		for i := range p.codes.Data {
			p.codes.Data[i] = byte(r.Uint32())
		}
		p.prepare(testSet(b))
		l := newLookup(p)
		ids, out := make([]uint32, 32), make([]int32, 32)
		b.Run(fmt.Sprintf("query/%d", parts), func(b *testing.B) {
			x := make([]float32, parts*8)
			for b.Loop() {
				l.query(x)
			}
		})
		b.Run(fmt.Sprintf("measure/%d", parts), func(b *testing.B) {
			for b.Loop() {
				for i := range ids {
					ids[i] = r.Uint32N(n)
				}
				testSet(b).Prefetch(p.codes, ids, p.lines())
				l.measure(ids, out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/row")
		})
	}
}
