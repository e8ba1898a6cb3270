package proxy

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/plan"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// queryRows are rows in ascending order of their keys, one per key.
type queryRows struct {
	batch *schema.Batch
	keys  schema.Keys
}

// queryNodes returns the rows that a plan selects, those with the limit smallest keys (0: all). fields must hold pk.
func (p *Proxy) queryNodes(ctx context.Context, routes []route, pl *plan.Plan, fields []int64, pk int64, limit int64) (*queryRows, error) {
	parts := make([]queryPart, len(routes))
	var bytes atomic.Int64
	err := each(ctx, routes, func(ctx context.Context, i int) error {
		resp, err := routes[i].client.Query(ctx, &pb.QueryRequest{Scope: routes[i].scope, Plan: encodePlan(pl), Fields: fields, Limit: limit})
		if err != nil {
			return err
		}
		if err := p.checkResultSize(bytes.Add(int64(len(resp.Rows)))); err != nil {
			return err
		}
		parts[i], err = readPart(resp, fields, pk)
		return err
	})
	if err != nil {
		return nil, err
	}
	return mergeParts(parts, fields, pk, limit), nil
}

// queryPart is one node's answer.
type queryPart struct {
	batch *schema.Batch
	keys  schema.Keys
	ts    []uint64
}

func readPart(resp *pb.QueryResponse, fields []int64, pk int64) (queryPart, error) {
	b, err := readBatch(resp.Rows, len(resp.Timestamps), fields)
	if err != nil {
		return queryPart{}, err
	}
	out := queryPart{batch: b, ts: resp.Timestamps}
	if b.N > 0 {
		out.keys = schema.KeysOf(b.Column(pk))
	}
	if out.keys.Len() != b.N {
		return queryPart{}, errs.New(errs.Internal, "a query node returned %d rows with %d keys", b.N, out.keys.Len())
	}
	return out, nil
}

type partRow struct{ part, row int }

// mergeParts joins the nodes' rows: ascending keys, the newest version of each, at most limit (0: all).
func mergeParts(parts []queryPart, fields []int64, pk int64, limit int64) *queryRows {
	var with []queryPart
	for _, part := range parts {
		if part.batch.N > 0 {
			with = append(with, part)
		}
	}
	if len(with) == 0 {
		return &queryRows{batch: &schema.Batch{}}
	}
	if len(with) == 1 {
		return onlyPart(with[0], limit)
	}
	var order []partRow
	for i := range with {
		for row := range with[i].batch.N {
			order = append(order, partRow{i, row})
		}
	}
	slices.SortFunc(order, func(a, b partRow) int {
		return cmp.Or(compareKeys(with[a.part].keys, a.row, with[b.part].keys, b.row), cmp.Compare(with[b.part].ts[b.row], with[a.part].ts[a.row]))
	})
	order = slices.CompactFunc(order, func(a, b partRow) bool {
		return compareKeys(with[a.part].keys, a.row, with[b.part].keys, b.row) == 0
	})
	if limit > 0 && int64(len(order)) > limit {
		order = order[:limit]
	}
	out := &queryRows{batch: &schema.Batch{N: len(order)}}
	for _, id := range fields {
		first := with[0].batch.Column(id)
		col := &schema.Column{Field: id, Type: first.Type, Elem: first.Elem, Dim: first.Dim}
		for _, at := range order {
			col.AppendFrom(with[at.part].batch.Column(id), at.row)
		}
		out.batch.Columns = append(out.batch.Columns, col)
	}
	out.keys = schema.KeysOf(out.batch.Column(pk))
	return out
}

// onlyPart takes one node's rows, which are sorted and free of older versions already.
func onlyPart(part queryPart, limit int64) *queryRows {
	out := &queryRows{batch: part.batch, keys: part.keys}
	if limit <= 0 || int64(part.batch.N) <= limit {
		return out
	}
	cut := &schema.Batch{N: int(limit)}
	for _, c := range part.batch.Columns {
		cut.Columns = append(cut.Columns, c.Slice(0, int(limit)))
	}
	out.batch = cut
	if out.keys.Strings != nil {
		out.keys.Strings = out.keys.Strings[:limit]
	} else {
		out.keys.Ints = out.keys.Ints[:limit]
	}
	return out
}

// count returns the number of rows that a plan selects.
func (p *Proxy) count(ctx context.Context, r *reading, pl *plan.Plan) (int64, error) {
	var total atomic.Int64
	err := r.run(ctx, func(ctx context.Context, routes []route) error {
		total.Store(0)
		return each(ctx, routes, func(ctx context.Context, i int) error {
			resp, err := routes[i].client.Query(ctx, &pb.QueryRequest{Scope: routes[i].scope, Plan: encodePlan(pl), CountOnly: true})
			if err == nil {
				total.Add(resp.Count)
			}
			return err
		})
	})
	return total.Load(), err
}
