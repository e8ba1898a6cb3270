package proxy

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

type worldDataNode struct {
	pb.UnimplementedDataNodeServer
	w *world
}

func (d worldDataNode) Write(_ context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	w := d.w
	if err := w.failure("Write"); err != nil {
		return nil, err
	}
	c := w.cache.CollectionByID(req.Collection)
	if c == nil {
		return nil, errs.New(errs.Moved, "collection %d is gone", req.Collection)
	}
	if req.SchemaVersion != c.Schema.Version {
		return nil, errs.New(errs.SchemaMismatch, "the schema is %d, not %d", c.Schema.Version, req.SchemaVersion)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ts, again := w.requests[string(req.RequestId)]; again {
		return &pb.WriteResponse{Timestamp: ts, Position: ts}, nil
	}
	w.writes = append(w.writes, req)
	ts := w.stamp()
	id := [2]int64{req.Collection, int64(req.Shard)}
	pk := c.Schema.PrimaryKey().ID
	if len(req.Keys) > 0 {
		keys, err := schema.DecodeKeys(req.Keys)
		if err != nil {
			return nil, err
		}
		if req.Kind == pb.WriteKind_UPSERT && req.ReadTs != 0 && w.writtenAfter(id, pk, keys, req.ReadTs) {
			return nil, errs.New(errs.WriteConflict, "a key was written since")
		}
		w.kill(id, pk, keys, ts, req)
	}
	for _, part := range req.Parts {
		b, err := schema.DecodeBatch(part.Rows)
		if err != nil {
			return nil, err
		}
		for i := range b.N {
			w.versions[id] = append(w.versions[id], &rowVersion{row: b.Gather([]int{i}), partition: part.Partition, ts: ts})
		}
	}
	w.requests[string(req.RequestId)] = ts
	return &pb.WriteResponse{Timestamp: ts, Position: ts}, nil
}

func (w *world) writtenAfter(id [2]int64, pk int64, keys schema.Keys, ts uint64) bool {
	for _, v := range w.versions[id] {
		if hasKeyOf(keys, v, pk) && (v.ts > ts || v.dead > ts) {
			return true
		}
	}
	return false
}

func hasKeyOf(keys schema.Keys, v *rowVersion, pk int64) bool {
	c := v.row.Column(pk)
	if c.Type == schema.VarChar {
		return slices.Contains(keys.Strings, c.Strings[0])
	}
	return slices.Contains(keys.Ints, c.Ints[0])
}

func (w *world) kill(id [2]int64, pk int64, keys schema.Keys, ts uint64, req *pb.WriteRequest) {
	for _, v := range w.versions[id] {
		if v.dead == 0 && hasKeyOf(keys, v, pk) && (req.DeletePartition == 0 || req.DeletePartition == v.partition) &&
			(req.Kind == pb.WriteKind_UPSERT || req.ReadTs == 0 || v.ts <= req.ReadTs) {
			v.dead = ts
		}
	}
}

func (d worldDataNode) Barrier(_ context.Context, req *pb.BarrierRequest) (*pb.BarrierResponse, error) {
	if err := d.w.failure("Barrier"); err != nil {
		return nil, err
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	ts := max(d.w.nextTS, req.GuaranteeTs)
	d.w.nextTS = ts
	return &pb.BarrierResponse{Position: ts, ReadTs: ts}, nil
}

func (d worldDataNode) Flush(_ context.Context, req *pb.FlushRequest) (*pb.FlushResponse, error) {
	w := d.w
	w.mu.Lock()
	ts := w.stamp()
	id := w.nextID
	w.nextID++
	var shards []catalog.Shard
	for _, shard := range req.Shards {
		n := len(w.versions[[2]int64{req.Collection, int64(shard)}])
		s := catalog.Shard{Collection: req.Collection, Index: int(shard), Log: int(req.Log), SealedTS: ts}
		if n > 0 {
			s.Segments = []catalog.Segment{{ID: id, Rows: n}}
		}
		shards = append(shards, s)
	}
	w.mu.Unlock()
	for _, s := range shards {
		w.put(catalog.ShardKey(s.Collection, s.Index), s)
	}
	return &pb.FlushResponse{Sealed: []int64{id}, FlushTs: ts}, nil
}

func (d worldDataNode) FlushState(_ context.Context, req *pb.FlushStateRequest) (*pb.FlushStateResponse, error) {
	if d.w.flushState != nil {
		return d.w.flushState(req), nil
	}
	return &pb.FlushStateResponse{Flushed: true}, nil
}

type worldQueryNode struct {
	pb.UnimplementedQueryNodeServer
	w *world
}

// visible returns the rows of a scope that a plan selects, as one batch, with their versions.
func (q worldQueryNode) visible(scope *pb.Scope, rawPlan []byte) (*schema.Batch, []*rowVersion, []int32, error) {
	w := q.w
	pl := plan.True()
	if len(rawPlan) > 0 {
		var err error
		if pl, err = plan.Decode(rawPlan); err != nil {
			return nil, nil, nil, err
		}
	}
	c := w.cache.CollectionByID(scope.Collection)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, scope)
	var found []*rowVersion
	var shards []int32
	for _, ref := range scope.Views {
		if v := w.cache.View(scope.Collection, int(ref.Shard), int(ref.Replica)); v == nil || v.Number != ref.Number {
			return nil, nil, nil, errs.New(errs.ViewStale, "view %d is gone", ref.Number)
		}
		var at uint64
		for _, s := range scope.Snapshots {
			if int(s.Log) == c.ShardLogs[ref.Shard] {
				at = s.ReadTs
			}
		}
		for _, v := range w.versions[[2]int64{scope.Collection, int64(ref.Shard)}] {
			if v.ts <= at && (v.dead == 0 || v.dead > at) && (len(scope.Partitions) == 0 || slices.Contains(scope.Partitions, v.partition)) {
				found, shards = append(found, v), append(shards, ref.Shard)
			}
		}
	}
	all := joinVersions(&c.Schema, found)
	set, err := pl.Bitmap(source{all})
	if err != nil {
		return nil, nil, nil, err
	}
	var rows []int
	var kept []*rowVersion
	var keptShards []int32
	for i := range found {
		if set.Has(i) {
			rows, kept, keptShards = append(rows, i), append(kept, found[i]), append(keptShards, shards[i])
		}
	}
	return all.Gather(rows), kept, keptShards, nil
}

// joinVersions makes one batch; fields that a row was written without are their default or null.
func joinVersions(s *schema.Schema, found []*rowVersion) *schema.Batch {
	out := &schema.Batch{N: len(found)}
	for i := range s.Fields {
		f := &s.Fields[i]
		col := schema.NewColumn(f)
		for _, v := range found {
			switch src := v.row.Column(f.ID); {
			case src != nil:
				col.AppendFrom(src, 0)
			case f.Default != nil:
				col.AppendFrom(f.Default, 0)
			default:
				col.AppendNull()
			}
		}
		out.Columns = append(out.Columns, col)
	}
	return out
}

type source struct{ b *schema.Batch }

func (s source) Rows() int { return s.b.N }

func (s source) Column(field int64) (*schema.Column, error) { return s.b.Column(field), nil }

func (q worldQueryNode) Query(_ context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	if err := q.w.failure("Query"); err != nil {
		return nil, err
	}
	b, kept, _, err := q.visible(req.Scope, req.Plan)
	if err != nil {
		return nil, err
	}
	if req.CountOnly {
		return &pb.QueryResponse{Count: int64(b.N)}, nil
	}
	keys := schema.KeysOf(b.Column(q.pk(req.Scope)))
	order := make([]int, b.N)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(compareKeys(keys, i, keys, j), cmp.Compare(kept[j].ts, kept[i].ts))
	})
	order = slices.CompactFunc(order, func(i, j int) bool { return compareKeys(keys, i, keys, j) == 0 })
	if req.Limit > 0 {
		order = order[:min(len(order), int(req.Limit))]
	}
	resp := &pb.QueryResponse{Count: int64(len(order))}
	for _, i := range order {
		resp.Timestamps = append(resp.Timestamps, kept[i].ts)
	}
	resp.Rows = columnsOnly(b.Gather(order), req.Fields).Encode(nil)
	return resp, nil
}

func (q worldQueryNode) pk(scope *pb.Scope) int64 {
	c := q.w.cache.CollectionByID(scope.Collection)
	return c.Schema.PrimaryKey().ID
}

func columnsOnly(b *schema.Batch, fields []int64) *schema.Batch {
	out := &schema.Batch{N: b.N}
	if b.N == 0 {
		return out
	}
	for _, id := range fields {
		out.Columns = append(out.Columns, b.Column(id))
	}
	return out
}

func (q worldQueryNode) Search(_ context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	if err := q.w.failure("Search"); err != nil {
		return nil, err
	}
	resp := &pb.SearchResponse{}
	for _, sub := range req.Searches {
		b, kept, shards, err := q.visible(req.Scope, sub.Plan)
		if err != nil {
			return nil, err
		}
		resp.Results = append(resp.Results, bruteForce(sub, b, kept, shards, q.pk(req.Scope)))
	}
	return resp, nil
}

func bruteForce(sub *pb.SubSearch, b *schema.Batch, kept []*rowVersion, shards []int32, pk int64) *pb.SubResult {
	out := &pb.SubResult{}
	var keys schema.Keys
	vectors := b.Column(sub.Field)
	size := vectors.Type.RowBytes(vectors.Dim)
	elem, _ := index.ElemOf(vectors.Type)
	numbers := func(row []byte) []float32 { return kernel.Set{}.Decode(elem, row, nil) }
	all := schema.KeysOf(b.Column(pk))
	for q := range int(sub.Nq) {
		query := numbers(sub.Vectors[q*size : (q+1)*size])
		var order []int
		scores := make([]float32, b.N)
		for i := range scores {
			if !vectors.IsNull(i) {
				order, scores[i] = append(order, i), score(sub.Metric, query, numbers(vectors.VectorRow(i)))
			}
		}
		asc := ascending(sub.Metric)
		slices.SortStableFunc(order, func(i, j int) int {
			if asc {
				return cmp.Compare(scores[i], scores[j])
			}
			return cmp.Compare(scores[j], scores[i])
		})
		n := int32(0)
		for _, i := range order {
			if n == sub.K {
				break
			}
			if !inBounds(sub, float64(scores[i]), asc) {
				continue
			}
			appendKey(&keys, all, i)
			out.Scores = append(out.Scores, scores[i])
			out.Segments = append(out.Segments, 0)
			out.Rows = append(out.Rows, int64(kept[i].ts)) // enough to find it again in these tests
			out.Shards = append(out.Shards, shards[i])
			out.Timestamps = append(out.Timestamps, kept[i].ts)
			n++
		}
		out.Counts = append(out.Counts, n)
	}
	out.Keys = keys.Encode(nil)
	// Rows name versions by key: the timestamp alone is shared by the rows of one request.
	for i := range out.Rows {
		out.Rows[i] = rowName(keys, i)
	}
	return out
}

// rowName is how these nodes name a row: by a hash of its key.
func rowName(k schema.Keys, i int) int64 {
	if k.Strings != nil {
		h := int64(7)
		for _, b := range []byte(k.Strings[i]) {
			h = h*31 + int64(b)
		}
		return h
	}
	return k.Ints[i]
}

func inBounds(sub *pb.SubSearch, s float64, asc bool) bool {
	if sub.Radius != nil && (asc && s >= *sub.Radius || !asc && s <= *sub.Radius) {
		return false
	}
	return sub.RangeFilter == nil || asc && s >= *sub.RangeFilter || !asc && s <= *sub.RangeFilter
}

func score(metric string, a, b []float32) float32 {
	var dot, na, nb, l2 float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot += x * y
		na += x * x
		nb += y * y
		l2 += (x - y) * (x - y)
	}
	switch metric {
	case "L2":
		return float32(l2)
	case "IP":
		return float32(dot)
	}
	if na == 0 || nb == 0 {
		return 0
	}
	return float32(dot / math.Sqrt(na*nb))
}

func (q worldQueryNode) Fetch(_ context.Context, req *pb.FetchRequest) (*pb.FetchResponse, error) {
	if err := q.w.failure("Fetch"); err != nil {
		return nil, err
	}
	b, kept, _, err := q.visible(req.Scope, nil)
	if err != nil {
		return nil, err
	}
	keys := schema.KeysOf(b.Column(q.pk(req.Scope)))
	at := map[int64]int{}
	for i := range b.N {
		name := rowName(keys, i)
		if old, seen := at[name]; !seen || kept[i].ts > kept[old].ts {
			at[name] = i
		}
	}
	var rows []int
	for _, name := range req.Rows {
		i, ok := at[name]
		if !ok {
			return nil, errs.New(errs.ViewStale, "row %d is not here", name)
		}
		rows = append(rows, i)
	}
	return &pb.FetchResponse{Rows: columnsOnly(b.Gather(rows), req.Fields).Encode(nil)}, nil
}
