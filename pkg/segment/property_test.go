package segment

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const testPartition = 5

// history is a random shard: what was written, and a naive account of which row is alive when.
type history struct {
	r       *rand.Rand
	schema  *schema.Schema
	ts, pos uint64
	rows    Rows // log order
	keys    []int
	dead    []uint64
	deletes Deletes
	growing *Growing
}

func newHistory(seed uint64, pk schema.Type) *history {
	s := testSchema(pk)
	return &history{
		r: rand.New(rand.NewPCG(seed, 7)), schema: s, ts: 100,
		rows: Rows{Batch: emptyBatch(s)}, growing: NewGrowing(testPartition, s),
	}
}

const historyKeys = 60

func (h *history) step(t *testing.T) {
	h.pos += 1 + uint64(h.r.IntN(3))
	h.ts += 1 + uint64(h.r.IntN(5))
	switch h.r.IntN(4) {
	case 0:
		h.delete(h.r.IntN(historyKeys))
	case 1: // upsert: the delete and the new row have one timestamp
		key := h.r.IntN(historyKeys)
		h.delete(key)
		h.insert(t, []int{key})
	default:
		var keys []int
		for range 1 + h.r.IntN(40) {
			keys = append(keys, h.r.IntN(historyKeys))
		}
		h.insert(t, keys)
	}
}

func (h *history) insert(t *testing.T, keys []int) {
	part := Rows{Batch: emptyBatch(h.schema)}
	for _, k := range keys {
		randomRow(h.r, h.schema, part.Batch, k)
		part.TS = append(part.TS, h.ts)
		h.ts += uint64(h.r.IntN(2))
		h.keys, h.dead = append(h.keys, k), append(h.dead, 0)
	}
	h.ts = max(h.ts, part.TS[len(part.TS)-1])
	for i, c := range part.Batch.Columns {
		appendRange(h.rows.Batch.Columns[i], c, 0, c.N)
	}
	h.rows.Batch.N += part.Batch.N
	h.rows.TS = append(h.rows.TS, part.TS...)
	if err := h.growing.Append(part, h.pos); err != nil {
		t.Fatal(err)
	}
}

func (h *history) delete(key int) {
	d := Deletes{TS: []uint64{h.ts}, ReadTS: []uint64{0}, Partition: []int64{0}, Position: []uint64{h.pos}}
	if h.schema.PrimaryKey().Type == schema.VarChar {
		d.Keys.Strings = []string{keyString(key)}
	} else {
		d.Keys.Ints = []int64{int64(key)}
	}
	if h.r.IntN(3) == 0 {
		d.ReadTS[0] = h.ts - uint64(h.r.IntN(30))
	}
	d.Partition[0] = []int64{0, 0, testPartition, testPartition + 1}[h.r.IntN(4)]
	for i, k := range h.keys {
		if k != key || h.rows.TS[i] >= h.ts || d.Partition[0] == testPartition+1 || (d.ReadTS[0] != 0 && h.rows.TS[i] > d.ReadTS[0]) {
			continue
		}
		if h.dead[i] == 0 {
			h.dead[i] = h.ts
		}
	}
	h.growing.ApplyDeletes(d, 0)
	h.deletes.add(d)
}

func (d *Deletes) add(o Deletes) {
	d.Keys.Ints = append(d.Keys.Ints, o.Keys.Ints...)
	d.Keys.Strings = append(d.Keys.Strings, o.Keys.Strings...)
	d.TS, d.ReadTS = append(d.TS, o.TS...), append(d.ReadTS, o.ReadTS...)
	d.Partition, d.Position = append(d.Partition, o.Partition...), append(d.Position, o.Position...)
}

// visible tells whether the model shows row i.
func (h *history) visible(i int, readTS, expireBelow uint64) bool {
	ts := h.rows.TS[i]
	return ts <= readTS && ts >= expireBelow && (h.dead[i] == 0 || h.dead[i] > readTS)
}

type batchSource struct{ *schema.Batch }

func (b batchSource) Rows() int { return b.N }
func (b batchSource) Column(f int64) (*schema.Column, error) {
	return b.Batch.Column(f), nil
}

// read is one question to all segments.
type read struct {
	ts, expire uint64
	plan       *plan.Plan
}

func (h *history) randomRead(t *testing.T) read {
	q := read{ts: 95 + uint64(h.r.IntN(int(h.ts-90)))}
	if h.r.IntN(3) == 0 {
		q.ts = math.MaxUint64 - uint64(h.r.IntN(2))
	}
	if h.r.IntN(4) == 0 {
		q.expire = 90 + uint64(h.r.IntN(int(h.ts-80)))
	}
	if h.r.IntN(4) > 0 {
		q.plan = h.randomPlan(t)
	}
	return q
}

func (h *history) randomPlan(t *testing.T) *plan.Plan {
	medium := plan.Operand{Field: fI32, Type: schema.Int32}
	pk := plan.Operand{Field: fPK, Type: h.schema.PrimaryKey().Type}
	key := func() plan.Value {
		k := h.r.IntN(historyKeys + 5)
		if pk.Type == schema.VarChar {
			return plan.StringValue(keyString(k))
		}
		return plan.IntValue(int64(k))
	}
	lo := int64(h.r.IntN(90))
	nodes := []plan.Node{
		plan.Const{Value: true},
		plan.Const{},
		&plan.Range{Operand: medium, Lo: plan.IntValue(lo), Hi: plan.IntValue(lo + 30), LoInc: true},
		&plan.IsNull{Operand: plan.Operand{Field: fText, Type: schema.VarChar}},
		&plan.Like{Operand: plan.Operand{Field: fText, Type: schema.VarChar}, Pattern: "w1%"},
		&plan.Compare{Operand: plan.Operand{Field: fJSON, Type: schema.JSON, Path: []string{"n"}}, Op: plan.LT, Value: plan.IntValue(8)},
		&plan.In{Operand: pk, Values: []plan.Value{key(), key(), key()}},
		plan.Conj(&plan.In{Operand: pk, Values: []plan.Value{key(), key(), key()}},
			&plan.Compare{Operand: medium, Op: plan.GT, Value: plan.IntValue(30)}),
		&plan.Compare{Operand: plan.Operand{Field: fNums, Type: schema.Array, Elem: schema.Int32, Length: true}, Op: plan.EQ, Value: plan.IntValue(2)},
	}
	p, err := plan.New(nodes[h.r.IntN(len(nodes))])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// want returns the rendered rows that q shall see.
func (h *history) want(t *testing.T, q read) []string {
	var match bitset.Set
	if q.plan != nil {
		var err error
		if match, err = q.plan.Bitmap(batchSource{h.rows.Batch}); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for i := range h.keys {
		if h.visible(i, q.ts, q.expire) && (match == nil || match.Has(i)) {
			out = append(out, fmt.Sprint(h.rows.TS[i], " ", render(h.rows.Batch, i)))
		}
	}
	sort.Strings(out)
	return out
}

// see returns the rendered rows that q sees in a segment, and checks Keys on the way.
func see(t *testing.T, s *schema.Schema, seg Segment, q read) []string {
	t.Helper()
	set, err := seg.Select(context.Background(), q.plan, q.ts, q.expire)
	if err != nil {
		t.Fatal(err)
	}
	var rows []uint32
	set.Each(func(i int) bool { rows = append(rows, uint32(i)); return true })
	b, err := seg.Fetch(rows, fieldIDs(s))
	if err != nil {
		t.Fatal(err)
	}
	keys, ts := seg.Keys(rows), seg.Timestamps(rows)
	var out []string
	for i := range rows {
		if compareKeys(keys, i, schema.KeysOf(b.Columns[0]), i) != 0 {
			t.Fatalf("Keys and Fetch disagree about row %d", rows[i])
		}
		out = append(out, fmt.Sprint(ts[i], " ", render(b, i)))
	}
	sort.Strings(out)
	return out
}

// scored is a search result that can be compared across segments. Among bits many rows have one score, and segments number
// them differently, so that only the scores count.
func scored(t *testing.T, seg Segment, spec SearchSpec) []string {
	t.Helper()
	hits, _, err := seg.Search(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for q := range hits.IDs {
		k, ts := seg.Keys(hits.IDs[q]), seg.Timestamps(hits.IDs[q])
		for i := range hits.IDs[q] {
			if spec.Field == fBits {
				out = append(out, fmt.Sprint(q, " ", hits.Scores[q][i]))
				continue
			}
			out = append(out, fmt.Sprint(q, " ", k.Strings[min(i, len(k.Strings)):min(i+1, len(k.Strings))],
				k.Ints[min(i, len(k.Ints)):min(i+1, len(k.Ints))], " ", ts[i], " ", hits.Scores[q][i]))
		}
	}
	return out
}

// nearest is what a search over the model finds: number of hits and best score, per query.
func (h *history) nearest(t *testing.T, spec SearchSpec, q read) []string {
	var match bitset.Set
	if q.plan != nil {
		match, _ = q.plan.Bitmap(batchSource{h.rows.Batch})
	}
	c := h.rows.Batch.Column(spec.Field)
	var out []string
	for n := range spec.NQ {
		var d []float64
		for i := range h.keys {
			if !h.visible(i, q.ts, q.expire) || (match != nil && !match.Has(i)) || c.IsNull(i) {
				continue
			}
			size := c.Type.RowBytes(c.Dim)
			d = append(d, squared(t, c, spec.Queries[n*size:(n+1)*size], c.VectorRow(i)))
		}
		slices.Sort(d)
		best := math.Inf(1)
		if len(d) > 0 {
			best = d[0]
		}
		out = append(out, fmt.Sprintf("%d %.3g", min(len(d), spec.K), best))
	}
	return out
}

// squared is the squared distance of two stored vectors, which for bits is the number of those that differ.
func squared(t *testing.T, c *schema.Column, a, b []byte) float64 {
	set, err := kernel.Default()
	if err != nil {
		t.Fatal(err)
	}
	elem, _ := index.ElemOf(c.Type)
	if elem == kernel.Bit {
		n := 0
		for i := range a {
			n += bits.OnesCount8(a[i] ^ b[i])
		}
		return float64(n)
	}
	x, y := set.Decode(elem, a, nil), set.Decode(elem, b, nil)
	sum := 0.0
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		sum += d * d
	}
	return sum
}

func summary(hits index.Hits) []string {
	var out []string
	for q := range hits.IDs {
		best := math.Inf(1)
		if len(hits.Scores[q]) > 0 {
			best = float64(hits.Scores[q][0])
		}
		out = append(out, fmt.Sprintf("%d %.3g", len(hits.IDs[q]), best))
	}
	return out
}

func (h *history) randomSearch(q read) SearchSpec {
	spec := SearchSpec{NQ: 1 + h.r.IntN(3), K: 1 + h.r.IntN(20), Metric: "L2", Plan: q.plan, ReadTS: q.ts, ExpireBelow: q.expire}
	spec.Field = []int64{fVec, fVec, fOptVec, fHalf, fBrain, fBytes, fBits}[h.r.IntN(7)]
	if spec.Field == fBits {
		spec.Metric = "HAMMING"
	}
	for range spec.NQ {
		c := randomValue(h.r, h.schema.FieldByID(spec.Field), 0)
		spec.Queries = append(spec.Queries, c.VectorRow(0)...)
	}
	return spec
}

// seal writes the history's rows and opens them with all deletes applied, in a random order and twice.
func (h *history) seal(t *testing.T) *Sealed {
	ctx, store := context.Background(), mem.New()
	rows, err := h.growing.Export(h.pos)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(ctx, store, "a", h.schema, rows); err != nil {
		t.Fatal(err)
	}
	cache, err := diskcache.Open(diskcache.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	onDisk := h.r.Uint64()
	seg, err := OpenSealed(ctx, store, SealedConfig{
		ID: 3, Partition: testPartition, Dir: "a", Schema: h.schema,
		Cache: cache, Cold: func(f int64) bool { return onDisk>>(f&63)&1 == 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(seg.Release)
	if _, err := WriteDelta(ctx, store, "delta", h.deletes); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDelta(ctx, store, "delta")
	if err != nil {
		t.Fatal(err)
	}
	var shuffled Deletes
	for _, i := range h.r.Perm(d.Len()) {
		shuffled.add(d.slice(i, i+1))
	}
	seg.ApplyDeletes(shuffled, 0)
	if n := seg.ApplyDeletes(d, 0); n != 0 {
		t.Fatalf("applying deletes again killed %d rows", n)
	}
	return seg
}

func (d *Deletes) slice(lo, hi int) Deletes {
	out := Deletes{TS: d.TS[lo:hi], ReadTS: d.ReadTS[lo:hi], Partition: d.Partition[lo:hi], Position: d.Position[lo:hi]}
	if d.Keys.Strings != nil {
		out.Keys.Strings = d.Keys.Strings[lo:hi]
	} else {
		out.Keys.Ints = d.Keys.Ints[lo:hi]
	}
	return out
}

// mergeHalves writes the history as two segments, each with its deletes applied, and merges them; rows dead at or below
// the horizon go.
func (h *history) mergeHalves(t *testing.T, horizon uint64) *Sealed {
	ctx, store := context.Background(), mem.New()
	cut := h.r.IntN(len(h.keys) + 1)
	var sources []*Sealed
	for i, bounds := range [][2]int{{0, cut}, {cut, len(h.keys)}} {
		rows := Rows{Batch: &schema.Batch{N: bounds[1] - bounds[0]}, TS: h.rows.TS[bounds[0]:bounds[1]]}
		for _, c := range h.rows.Batch.Columns {
			rows.Batch.Columns = append(rows.Batch.Columns, c.Slice(bounds[0], bounds[1]))
		}
		dir := fmt.Sprint("half", i)
		if _, err := Write(ctx, store, dir, h.schema, rows); err != nil {
			t.Fatal(err)
		}
		seg, err := OpenSealed(ctx, store, SealedConfig{ID: int64(10 + i), Partition: testPartition, Dir: dir, Schema: h.schema, NoVectors: i == 0})
		if err != nil {
			t.Fatal(err)
		}
		defer seg.Release()
		seg.ApplyDeletes(h.deletes, 0)
		sources = append(sources, seg)
	}
	info, mapping, err := Merge(ctx, store, MergeConfig{
		Dir: "merged", Schema: h.schema, Sources: sources,
		Drop: func(_, dead uint64) bool { return dead != 0 && dead <= horizon },
	})
	if err != nil {
		t.Fatal(err)
	}
	if info.Rows == 0 {
		t.Skip("nothing left")
	}
	seg, err := OpenSealed(ctx, store, SealedConfig{ID: 12, Partition: testPartition, Dir: "merged", Schema: h.schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(seg.Release)
	for _, s := range sources {
		for old, now := range mapping[s.ID()] {
			if now == Dropped {
				continue
			}
			a, b := s.Keys([]uint32{uint32(old)}), seg.Keys([]uint32{now})
			if compareKeys(a, 0, b, 0) != 0 || s.Timestamps([]uint32{uint32(old)})[0] != seg.Timestamps([]uint32{now})[0] {
				t.Fatalf("row %d of segment %d is not row %d of the merged one", old, s.ID(), now)
			}
		}
	}
	return seg
}

func diff(t *testing.T, what string, q read, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("%s at %d (expire %d, plan %v): %d rows instead of %d", what, q.ts, q.expire, q.plan, len(got), len(want))
	for i := 0; i < max(len(got), len(want)); i++ {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("first difference at %d:\n%v\n%v", i, got[min(i, len(got)):min(i+1, len(got))], want[min(i, len(want)):min(i+1, len(want))])
		}
	}
}

// TestSegmentsAgree runs random histories and asks every kind of segment, and a naive model, the same questions.
func TestSegmentsAgree(t *testing.T) {
	for seed := range uint64(14) {
		pk := []schema.Type{schema.Int64, schema.VarChar}[seed%2]
		t.Run(fmt.Sprint(seed, pk), func(t *testing.T) { segmentsAgree(t, seed, pk) })
	}
}

func segmentsAgree(t *testing.T, seed uint64, pk schema.Type) {
	h := newHistory(seed, pk)
	h.insert(t, []int{1})
	steps := 5 + h.r.IntN(60)
	if seed == 0 {
		steps = 300 // several chunks
	}
	for i := range steps {
		h.step(t)
		if i%7 == 0 { // reads between writes
			q := h.randomRead(t)
			diff(t, "growing", q, see(t, h.schema, h.growing, q), h.want(t, q))
		}
	}
	horizon := h.ts - uint64(h.r.IntN(int(h.ts-90)))
	sealed, merged := h.seal(t), h.mergeHalves(t, horizon)
	for range 25 {
		q := h.randomRead(t)
		want := h.want(t, q)
		spec := h.randomSearch(q)
		hits, _, err := sealed.Search(context.Background(), spec)
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "growing", q, see(t, h.schema, h.growing, q), want)
		diff(t, "sealed", q, see(t, h.schema, sealed, q), want)
		diff(t, "nearest", q, summary(hits), h.nearest(t, spec, q))
		spec.Metric = []string{"L2", "IP", "COSINE"}[h.r.IntN(3)]
		if spec.Field == fBits {
			spec.Metric = []string{"HAMMING", "JACCARD", "SUBSTRUCTURE", "SUPERSTRUCTURE"}[h.r.IntN(4)]
		}
		if h.r.IntN(3) == 0 {
			radius := map[string]float32{"L2": 6, "IP": -1, "COSINE": 0.1, "HAMMING": 11, "JACCARD": 0.6, "SUBSTRUCTURE": 1, "SUPERSTRUCTURE": 1}[spec.Metric]
			if spec.Field == fBytes && spec.Metric == "L2" {
				radius = 60000
			}
			spec.Radius = &radius
		}
		found := scored(t, sealed, spec)
		diff(t, "growing search", q, scored(t, h.growing, spec), found)
		if q.ts >= horizon {
			diff(t, "merged", q, see(t, h.schema, merged, q), want)
			diff(t, "merged search", q, scored(t, merged, spec), found)
		}
	}
}
