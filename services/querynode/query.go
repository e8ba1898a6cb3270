package querynode

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gyr-db/gyr/pkg/bitset"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// Query implements pb.QueryNodeServer.
func (n *Node) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	done, err := n.admit()
	if err != nil {
		return nil, err
	}
	defer done()
	defer n.metrics.observe("query", time.Now())
	var p *plan.Plan
	if len(req.Plan) > 0 {
		if p, err = plan.Decode(req.Plan); err != nil {
			return nil, err
		}
	}
	sc, err := n.openScope(ctx, req.Scope)
	if err != nil {
		return nil, err
	}
	defer sc.close()
	if req.CountOnly {
		count, err := sc.count(ctx, p)
		return &pb.QueryResponse{Count: count}, err
	}
	return sc.query(ctx, p, req)
}

func (sc *scope) count(ctx context.Context, p *plan.Plan) (int64, error) {
	var total atomic.Int64
	err := sc.eachPart(ctx, sc.possible(p), func(ctx context.Context, i int) error {
		set, err := sc.parts[i].seg.Select(ctx, p, sc.parts[i].readTS, sc.expireBelow)
		if err == nil {
			total.Add(int64(set.Count()))
		}
		return err
	})
	return total.Load(), err
}

// match is a row that a query returns.
type match struct {
	part int
	row  uint32
	i    int64
	s    string
	ts   uint64
}

func compareMatches(a, b match) int {
	return cmp.Or(cmp.Compare(a.i, b.i), cmp.Compare(a.s, b.s), cmp.Compare(b.ts, a.ts))
}

func (sc *scope) query(ctx context.Context, p *plan.Plan, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	found := make([][]match, len(sc.parts))
	err := sc.eachPart(ctx, sc.possible(p), func(ctx context.Context, i int) error {
		set, err := sc.parts[i].seg.Select(ctx, p, sc.parts[i].readTS, sc.expireBelow)
		if err == nil {
			found[i] = sc.matches(i, set, req.Limit)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	all := slices.Concat(found...)
	slices.SortFunc(all, compareMatches)
	// Of several versions of a key the newest comes first; keep that one.
	all = slices.CompactFunc(all, func(a, b match) bool { return a.i == b.i && a.s == b.s })
	if req.Limit > 0 && int64(len(all)) > req.Limit {
		all = all[:req.Limit]
	}
	rows := make([]rowRef, len(all))
	ts := make([]uint64, len(all))
	for i, m := range all {
		rows[i], ts[i] = rowRef{m.part, m.row}, m.ts
	}
	batch, err := sc.fetch(ctx, rows, req.Fields)
	if err != nil {
		return nil, err
	}
	return &pb.QueryResponse{Count: int64(len(all)), Rows: batch.Encode(nil), Timestamps: ts}, nil
}

// matches returns the rows of set in ascending key order, those with the first limit distinct keys (0: all).
func (sc *scope) matches(p int, set bitset.Set, limit int64) []match {
	rows := make([]uint32, 0, set.Count())
	set.Each(func(i int) bool { rows = append(rows, uint32(i)); return true })
	_, sorted := sc.parts[p].seg.(*segment.Sealed)
	if sorted && limit > 0 {
		rows = sc.firstKeys(p, rows, int(limit))
	}
	out := sc.lookUp(p, rows)
	if !sorted {
		slices.SortFunc(out, compareMatches)
	}
	if limit <= 0 {
		return out
	}
	distinct := int64(0)
	for i := range out {
		if i == 0 || out[i].i != out[i-1].i || out[i].s != out[i-1].s {
			if distinct++; distinct > limit {
				return out[:i]
			}
		}
	}
	return out
}

// firstKeys shortens the rows of a sealed segment, which are in key order already, so that not every key has to be
// looked up: it doubles until limit distinct keys are in.
func (sc *scope) firstKeys(p int, rows []uint32, limit int) []uint32 {
	for n := 2*limit + 16; n < len(rows); n *= 2 {
		found := sc.lookUp(p, rows[:n])
		distinct := 1
		for i := 1; i < len(found); i++ {
			if found[i].i != found[i-1].i || found[i].s != found[i-1].s {
				distinct++
			}
		}
		if distinct > limit {
			return rows[:n]
		}
	}
	return rows
}

func (sc *scope) lookUp(p int, rows []uint32) []match {
	keys, ts := sc.parts[p].seg.Keys(rows), sc.parts[p].seg.Timestamps(rows)
	out := make([]match, len(rows))
	for i, r := range rows {
		out[i] = match{part: p, row: r, ts: ts[i]}
		if keys.Strings != nil {
			out[i].s = keys.Strings[i]
		} else {
			out[i].i = keys.Ints[i]
		}
	}
	return out
}

// rowRef names a row of a part.
type rowRef struct {
	part int
	row  uint32
}

// fetch reads fields of rows of several parts, in the given order.
func (sc *scope) fetch(ctx context.Context, rows []rowRef, fields []int64) (*schema.Batch, error) {
	batches := make([]*schema.Batch, len(sc.parts))
	at := make([]int, len(rows)) // index within its part's batch
	perPart := make([][]uint32, len(sc.parts))
	for i, r := range rows {
		at[i] = len(perPart[r.part])
		perPart[r.part] = append(perPart[r.part], r.row)
	}
	var with []int
	for i := range perPart {
		if len(perPart[i]) > 0 {
			with = append(with, i)
		}
	}
	err := sc.eachPart(ctx, with, func(_ context.Context, i int) (err error) {
		batches[i], err = sc.parts[i].seg.Fetch(perPart[i], fields)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &schema.Batch{N: len(rows)}
	for i := range fields {
		var col *schema.Column
		for j, r := range rows {
			src := batches[r.part].Columns[i]
			if col == nil {
				col = &schema.Column{Field: src.Field, Type: src.Type, Elem: src.Elem, Dim: src.Dim}
			}
			col.AppendFrom(src, at[j])
		}
		if col != nil {
			out.Columns = append(out.Columns, col)
		}
	}
	return out, nil
}

// Fetch implements pb.QueryNodeServer.
func (n *Node) Fetch(ctx context.Context, req *pb.FetchRequest) (*pb.FetchResponse, error) {
	done, err := n.admit()
	if err != nil {
		return nil, err
	}
	defer done()
	defer n.metrics.observe("fetch", time.Now())
	if len(req.Segments) != len(req.Rows) || len(req.Shards) != len(req.Rows) {
		return nil, errs.New(errs.Internal, "fetch names %d rows, %d segments, %d shards", len(req.Rows), len(req.Segments), len(req.Shards))
	}
	sc, err := n.openScope(ctx, req.Scope)
	if err != nil {
		return nil, err
	}
	defer sc.close()
	rows := make([]rowRef, len(req.Rows))
	for i, handle := range req.Rows {
		p := sc.find(req.Shards[i], req.Segments[i], handle)
		if p == nil {
			return nil, errs.New(errs.ViewStale, "row %d of segment %d of shard %d is not in this view", handle, req.Segments[i], req.Shards[i])
		}
		row := uint32(handle)
		if int(row) >= p.Rows() {
			return nil, errs.New(errs.Internal, "segment %d has no row %d", req.Segments[i], row)
		}
		rows[i] = rowRef{sc.indexOf(p), row}
	}
	batch, err := sc.fetch(ctx, rows, req.Fields)
	if err != nil {
		return nil, fmt.Errorf("fetch rows: %w", err)
	}
	return &pb.FetchResponse{Rows: batch.Encode(nil)}, nil
}

// Rows is the number of rows of the part's segment.
func (p *part) Rows() int { return p.seg.Rows() }

func (sc *scope) indexOf(p *part) int {
	for i := range sc.parts {
		if &sc.parts[i] == p {
			return i
		}
	}
	return -1
}
