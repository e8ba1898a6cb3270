package proxy

import (
	"context"
	"sync/atomic"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// fetch reads fields of found rows from the nodes that found them; the batch has the hits' order.
func (p *Proxy) fetch(ctx context.Context, routes []route, hits []hit, fields []int64) (*schema.Batch, error) {
	out := &schema.Batch{N: len(hits)}
	if len(fields) == 0 || len(hits) == 0 {
		return out, nil
	}
	perRoute := make([][]int, len(routes))
	place := make([]int, len(hits)) // of a hit within its route's batch
	for i := range hits {
		r := hits[i].route
		place[i] = len(perRoute[r])
		perRoute[r] = append(perRoute[r], i)
	}
	batches := make([]*schema.Batch, len(routes))
	var bytes atomic.Int64
	err := each(ctx, routes, func(ctx context.Context, r int) (err error) {
		if len(perRoute[r]) > 0 {
			batches[r], err = p.fetchFrom(ctx, routes[r], hits, perRoute[r], fields, &bytes)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range fields {
		out.Columns = append(out.Columns, gatherField(batches, hits, place, id))
	}
	return out, nil
}

func (p *Proxy) fetchFrom(ctx context.Context, rt route, hits []hit, which []int, fields []int64, bytes *atomic.Int64) (*schema.Batch, error) {
	req := &pb.FetchRequest{Scope: rt.scope, Fields: fields}
	for _, i := range which {
		req.Segments = append(req.Segments, hits[i].segment)
		req.Rows = append(req.Rows, hits[i].row)
		req.Shards = append(req.Shards, hits[i].shard)
	}
	resp, err := rt.client.Fetch(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := p.checkResultSize(bytes.Add(int64(len(resp.Rows)))); err != nil {
		return nil, err
	}
	return readBatch(resp.Rows, len(which), fields)
}

func (p *Proxy) checkResultSize(bytes int64) error {
	if bytes > p.cfg.MaxResultBytes {
		return errs.Input(errs.ParameterTooLarge, "query results exceed the maxOutputSize Limit %d", p.cfg.MaxResultBytes)
	}
	return nil
}

// readBatch decodes rows of a node and checks that they are what was asked for.
func readBatch(raw []byte, rows int, fields []int64) (*schema.Batch, error) {
	b, err := schema.DecodeBatch(raw)
	if err != nil {
		return nil, errs.New(errs.Internal, "read rows of a query node: %w", err)
	}
	if b.N != rows {
		return nil, errs.New(errs.Internal, "a query node returned %d rows of %d", b.N, rows)
	}
	for _, id := range fields {
		if b.N > 0 && b.Column(id) == nil {
			return nil, errs.New(errs.Internal, "a query node returned no column of field %d", id)
		}
	}
	return b, nil
}

// gatherField joins one field's values in the order of the hits.
func gatherField(batches []*schema.Batch, hits []hit, place []int, id int64) *schema.Column {
	var out *schema.Column
	for i := range hits {
		src := batches[hits[i].route].Column(id)
		if out == nil {
			out = &schema.Column{Field: src.Field, Type: src.Type, Elem: src.Elem, Dim: src.Dim}
		}
		out.AppendFrom(src, place[i])
	}
	return out
}
