package proxy

import (
	"context"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Search implements milvuspb.MilvusServiceServer.
func (p *Proxy) Search(ctx context.Context, req *milvuspb.SearchRequest) (*milvuspb.SearchResults, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if err := readable(c, req.PartitionNames); err != nil {
		return nil, err
	}
	spec, err := parseSearch(c, req, false)
	if err != nil {
		return nil, err
	}
	outs, err := parseOutputs(c, req.OutputFields, false)
	if err != nil {
		return nil, err
	}
	if outs.zone, err = askedZone(c, spec.params); err != nil {
		return nil, err
	}
	r, err := p.begin(ctx, c, readSpec{
		partitions: req.PartitionNames, ignoreGrowing: !spec.growing, filter: spec.filter,
		wish: wish{level: req.ConsistencyLevel, useDefault: req.UseDefaultConsistency, guarantee: req.GuaranteeTimestamp, iterator: spec.iter != nil},
	})
	if err != nil {
		return nil, err
	}
	var found *foundRows
	err = r.run(ctx, func(ctx context.Context, routes []route) (err error) {
		found, err = p.searchOnce(ctx, r, routes, spec, outs)
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := found.results(c, outs, spec.decimal)
	if err != nil {
		return nil, err
	}
	if spec.group != nil {
		spec.group.describe(out.Results, found.rows)
	}
	if spec.iter != nil {
		spec.iter.describe(out.Results, found)
	}
	out.CollectionName, out.SessionTs = req.CollectionName, r.sessionTS()
	return out, nil
}

// foundRows are the hits of each query, best first, with the fields asked for in the order of all hits.
type foundRows struct {
	hits [][]hit
	rows *schema.Batch
}

func (p *Proxy) searchOnce(ctx context.Context, r *reading, routes []route, spec *searchSpec, outs *outputs) (*foundRows, error) {
	if spec.ids.Len() > 0 {
		vectors, err := p.vectorsOf(ctx, r, routes, spec)
		if err != nil {
			return nil, err
		}
		spec.vectors = vectors
	}
	var found foundRows
	fields := outs.ids()
	if spec.group != nil {
		var err error
		if found.hits, err = p.searchGroups(ctx, routes, spec); err != nil {
			return nil, err
		}
		if !slices.Contains(fields, spec.group.field.ID) {
			fields = append(fields, spec.group.field.ID)
		}
	} else if spec.iter != nil && spec.iter.v2 {
		page, err := p.iteratorPage(ctx, routes, spec)
		if err != nil {
			return nil, err
		}
		found.hits = [][]hit{page}
	} else {
		merged, err := p.searchNodes(ctx, routes, []*pb.SubSearch{spec.request()})
		if err != nil {
			return nil, err
		}
		found.hits = merged[0]
		for q := range found.hits {
			found.hits[q] = window(found.hits[q], spec.offset, spec.topK)
		}
	}
	var err error
	found.rows, err = p.fetch(ctx, routes, found.all(), fields)
	return &found, err
}

func (f *foundRows) all() []hit {
	var all []hit
	for _, hits := range f.hits {
		all = append(all, hits...)
	}
	return all
}

// searchNodes runs searches on all nodes and returns the merged hits by search and query.
func (p *Proxy) searchNodes(ctx context.Context, routes []route, subs []*pb.SubSearch) ([][][]hit, error) {
	perRoute := make([][][][]hit, len(routes)) // by route, search, query
	err := each(ctx, routes, func(ctx context.Context, i int) error {
		resp, err := routes[i].client.Search(ctx, &pb.SearchRequest{Scope: routes[i].scope, Searches: subs})
		if err != nil {
			return err
		}
		if len(resp.Results) != len(subs) {
			return errs.New(errs.Internal, "query node %d answered %d searches of %d", routes[i].node, len(resp.Results), len(subs))
		}
		perRoute[i] = make([][][]hit, len(subs))
		for s, res := range resp.Results {
			if perRoute[i][s], err = readHits(i, res, int(subs[s].Nq)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([][][]hit, len(subs))
	for s, sub := range subs {
		out[s] = make([][]hit, sub.Nq)
		for q := range out[s] {
			lists := make([][]hit, len(routes))
			for i := range routes {
				lists[i] = perRoute[i][s][q]
			}
			out[s][q] = mergeHits(lists, ascending(sub.Metric))
		}
	}
	return out, nil
}

// vectorsOf reads the vectors of the keys that a search goes by.
func (p *Proxy) vectorsOf(ctx context.Context, r *reading, routes []route, spec *searchSpec) ([]byte, error) {
	pk := r.c.Schema.PrimaryKey()
	pl, err := keysPlan(pk, spec.ids)
	if err != nil {
		return nil, err
	}
	rows, err := p.queryNodes(ctx, routes, pl, []int64{spec.field.ID, pk.ID}, pk.ID, 0)
	if err != nil {
		return nil, err
	}
	at := map[any]int{}
	vectors := rows.batch.Column(spec.field.ID)
	for i := range rows.keys.Len() {
		at[keyAt(rows.keys, i)] = i
	}
	var out []byte
	for i := range spec.ids.Len() {
		row, ok := at[keyAt(spec.ids, i)]
		if !ok {
			return nil, errs.Invalid("search by ids: there is no row with primary key %v", keyAt(spec.ids, i))
		}
		if vectors.IsNull(row) {
			return nil, errs.Invalid("search by ids: the row with primary key %v has no vector in field %s", keyAt(spec.ids, i), spec.field.Name)
		}
		out = append(out, vectors.VectorRow(row)...)
	}
	return out, nil
}

// results is the answer in the API's form.
func (f *foundRows) results(c *catalog.Collection, outs *outputs, decimal int) (*milvuspb.SearchResults, error) {
	pk := c.Schema.PrimaryKey()
	data := &schemapb.SearchResultData{
		NumQueries: int64(len(f.hits)), Topks: make([]int64, len(f.hits)), OutputFields: outs.names, PrimaryFieldName: pk.Name,
	}
	var keys schema.Keys
	for q, hits := range f.hits {
		data.Topks[q] = int64(len(hits))
		data.TopK = max(data.TopK, int64(len(hits)))
		for i := range hits {
			if pk.Type == schema.VarChar {
				keys.Strings = append(keys.Strings, hits[i].s)
			} else {
				keys.Ints = append(keys.Ints, hits[i].i)
			}
			data.Scores = append(data.Scores, round(hits[i].score, decimal))
		}
	}
	data.Ids = publicIDs(pk, keys)
	data.AllSearchCount = int64(keys.Len())
	var err error
	if data.FieldsData, err = outs.columns(f.rows); err != nil {
		return nil, err
	}
	return &milvuspb.SearchResults{Status: success(), Results: data}, nil
}
