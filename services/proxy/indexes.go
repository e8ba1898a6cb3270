package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// CreateIndex implements milvuspb.MilvusServiceServer.
func (p *Proxy) CreateIndex(ctx context.Context, req *milvuspb.CreateIndexRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if err := checkIndexName(req.IndexName); err != nil {
		return nil, err
	}
	def, err := resolveIndex(&c.Schema, req.FieldName, req.ExtraParams)
	if err != nil {
		return nil, err
	}
	def.Name = req.IndexName
	if def.Name == "" {
		def.Name = defaultIndexName(c, def)
	}
	raw, err := json.Marshal(def)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().CreateIndex(ctx, &pb.CreateIndexRequest{Collection: ref(c.DB, c.Name), IndexJson: raw})
	return success(), p.changed(ctx, ack, err)
}

func checkIndexName(name string) error {
	if name == "" {
		return nil
	}
	if len(name) > maxNameLength {
		return errs.Invalid("Invalid index name: %s. The length of a index name must be less than %d characters.", name, maxNameLength)
	}
	if !letter(rune(name[0])) {
		return errs.Invalid("Invalid index name: %s. The first character of a index name must be an underscore or letter.", name)
	}
	if strings.ContainsFunc(name, func(r rune) bool { return !letter(r) && (r < '0' || r > '9') && r != '[' && r != ']' }) {
		return errs.Invalid("Invalid index name: %s. Index name can only contain numbers, letters, and underscores.", name)
	}
	return nil
}

// DescribeIndex implements milvuspb.MilvusServiceServer. Without a name and a field it lists all.
func (p *Proxy) DescribeIndex(_ context.Context, req *milvuspb.DescribeIndexRequest) (*milvuspb.DescribeIndexResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	out := &milvuspb.DescribeIndexResponse{Status: success()}
	for _, def := range matchingIndexes(c, req.IndexName, req.FieldName) {
		out.IndexDescriptions = append(out.IndexDescriptions, p.describeIndex(c, def))
	}
	if len(out.IndexDescriptions) == 0 {
		return nil, noSuchIndex(c, req.IndexName)
	}
	return out, nil
}

func noSuchIndex(c *catalog.Collection, name string) error {
	if name == "" {
		return indexNotFound(c.Name)
	}
	return errs.Input(errs.IndexNotFound, "index not found[indexName=%s]", name)
}

// matchingIndexes are a collection's indexes of that name and field; an empty name or field matches all.
func matchingIndexes(c *catalog.Collection, name, field string) []*catalog.Index {
	var out []*catalog.Index
	for i := range c.Indexes {
		def := &c.Indexes[i]
		f := indexFieldName(c, def)
		if f != "" && (name == "" || def.Name == name) && (field == "" || f == field) {
			out = append(out, def)
		}
	}
	return out
}

// coverage is how far an index is built over the sealed segments.
type coverage struct{ total, indexed, pending int64 }

func (p *Proxy) coverage(c *catalog.Collection, def *catalog.Index) coverage {
	var out coverage
	field := c.Schema.FieldByID(def.FieldID)
	for _, shard := range p.deps.Cache.Shards(c.ID) {
		for i := range shard.Segments {
			seg := &shard.Segments[i]
			rows := int64(seg.Rows)
			out.total += rows
			built := slices.ContainsFunc(seg.Indexes, func(x catalog.SegmentIndex) bool { return x.IndexID == def.ID })
			if built || seg.Rows < p.cfg.MinIndexRows || field == nil || !field.Type.IsVector() || index.IsScan(def.Type) {
				out.indexed += rows
			} else {
				out.pending += rows
			}
		}
	}
	return out
}

// failure is why the index of some segment cannot be built, "" when nothing failed for good.
func (p *Proxy) failure(c *catalog.Collection, def *catalog.Index) string {
	for _, t := range p.deps.Cache.Tasks() {
		if t.Kind == catalog.TaskIndex && t.Collection == c.ID && t.Index != nil && t.Index.ID == def.ID && t.Error != "" && t.Failures >= 5 {
			return t.Error
		}
	}
	return ""
}

func (p *Proxy) describeIndex(c *catalog.Collection, def *catalog.Index) *milvuspb.IndexDescription {
	cover := p.coverage(c, def)
	out := &milvuspb.IndexDescription{
		IndexName: def.Name, IndexID: def.ID, Params: kvPairs(def.UserParams), FieldName: indexFieldName(c, def),
		IndexedRows: cover.indexed, TotalRows: cover.total, PendingIndexRows: cover.pending, State: commonpb.IndexState_Finished,
	}
	if served := index.ServedBy(def.Type); served != "" {
		out.Params = append(out.Params, &commonpb.KeyValuePair{Key: "served_by", Value: served})
	}
	if cover.pending > 0 {
		out.State = commonpb.IndexState_InProgress
		if why := p.failure(c, def); why != "" {
			out.State, out.IndexStateFailReason = commonpb.IndexState_Failed, why
		}
	}
	return out
}

// GetIndexStatistics implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetIndexStatistics(_ context.Context, req *milvuspb.GetIndexStatisticsRequest) (*milvuspb.GetIndexStatisticsResponse, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	out := &milvuspb.GetIndexStatisticsResponse{Status: success()}
	for _, def := range matchingIndexes(c, req.IndexName, "") {
		out.IndexDescriptions = append(out.IndexDescriptions, p.describeIndex(c, def))
	}
	if len(out.IndexDescriptions) == 0 {
		return nil, noSuchIndex(c, req.IndexName)
	}
	return out, nil
}

// GetIndexState implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetIndexState(_ context.Context, req *milvuspb.GetIndexStateRequest) (*milvuspb.GetIndexStateResponse, error) {
	d, err := p.oneIndex(req.DbName, req.CollectionName, req.IndexName, req.FieldName)
	if err != nil {
		return nil, err
	}
	return &milvuspb.GetIndexStateResponse{Status: success(), State: d.State, FailReason: d.IndexStateFailReason}, nil
}

// GetIndexBuildProgress implements milvuspb.MilvusServiceServer.
func (p *Proxy) GetIndexBuildProgress(_ context.Context, req *milvuspb.GetIndexBuildProgressRequest) (*milvuspb.GetIndexBuildProgressResponse, error) {
	d, err := p.oneIndex(req.DbName, req.CollectionName, req.IndexName, req.FieldName)
	if err != nil {
		return nil, err
	}
	return &milvuspb.GetIndexBuildProgressResponse{Status: success(), IndexedRows: d.IndexedRows, TotalRows: d.TotalRows}, nil
}

func (p *Proxy) oneIndex(db, collection, name, field string) (*milvuspb.IndexDescription, error) {
	c, err := p.collection(db, collection)
	if err != nil {
		return nil, err
	}
	found := matchingIndexes(c, name, field)
	if len(found) == 0 {
		return nil, noSuchIndex(c, name)
	}
	return p.describeIndex(c, found[0]), nil
}

// AlterIndex implements milvuspb.MilvusServiceServer.
func (p *Proxy) AlterIndex(ctx context.Context, req *milvuspb.AlterIndexRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().AlterIndex(ctx, &pb.AlterIndexRequest{
		Collection: ref(c.DB, c.Name), Index: req.IndexName, Set: kvMap(req.ExtraParams), DeleteKeys: req.DeleteKeys,
	})
	return success(), p.changed(ctx, ack, err)
}

// DropIndex implements milvuspb.MilvusServiceServer.
func (p *Proxy) DropIndex(ctx context.Context, req *milvuspb.DropIndexRequest) (*commonpb.Status, error) {
	c, err := p.collection(req.DbName, req.CollectionName)
	if err != nil {
		return nil, err
	}
	if req.IndexName == "" && req.FieldName == "" {
		return nil, errs.Invalid("an index or a field must be named to drop an index of collection %s", c.Name)
	}
	ack, err := p.deps.Peers.Coordinator().DropIndex(ctx, &pb.DropIndexRequest{Collection: ref(c.DB, c.Name), Index: req.IndexName, Field: req.FieldName})
	return success(), p.changed(ctx, ack, err)
}

// indexFor returns the index of a vector field, or an error in the API's words.
func indexFor(c *catalog.Collection, fieldID int64) (*catalog.Index, error) {
	for i := range c.Indexes {
		if c.Indexes[i].FieldID == fieldID {
			return &c.Indexes[i], nil
		}
	}
	return nil, errs.Input(errs.IndexNotFound, "index not found[collection=%s][field=%s]", c.Name, fmt.Sprint(fieldID))
}
