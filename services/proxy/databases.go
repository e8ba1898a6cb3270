package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// CreateDatabase implements milvuspb.MilvusServiceServer.
func (p *Proxy) CreateDatabase(ctx context.Context, req *milvuspb.CreateDatabaseRequest) (*commonpb.Status, error) {
	if err := checkDatabaseName(req.DbName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().CreateDatabase(ctx, &pb.DatabaseRequest{Name: req.DbName, Properties: kvMap(req.Properties)})
	return success(), p.changed(ctx, ack, err)
}

// DropDatabase implements milvuspb.MilvusServiceServer.
func (p *Proxy) DropDatabase(ctx context.Context, req *milvuspb.DropDatabaseRequest) (*commonpb.Status, error) {
	if err := checkDatabaseName(req.DbName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().DropDatabase(ctx, &pb.DatabaseRequest{Name: req.DbName})
	return success(), p.changed(ctx, ack, err)
}

// AlterDatabase implements milvuspb.MilvusServiceServer.
func (p *Proxy) AlterDatabase(ctx context.Context, req *milvuspb.AlterDatabaseRequest) (*commonpb.Status, error) {
	ack, err := p.deps.Peers.Coordinator().AlterDatabase(ctx, &pb.DatabaseRequest{
		Name: orDefaultDB(req.DbName), Properties: kvMap(req.Properties), DeleteKeys: req.DeleteKeys,
	})
	return success(), p.changed(ctx, ack, err)
}

func orDefaultDB(name string) string {
	if name == "" {
		return defaultDB
	}
	return name
}

// ListDatabases implements milvuspb.MilvusServiceServer.
func (p *Proxy) ListDatabases(context.Context, *milvuspb.ListDatabasesRequest) (*milvuspb.ListDatabasesResponse, error) {
	out := &milvuspb.ListDatabasesResponse{Status: success()}
	for _, db := range p.deps.Cache.Databases() {
		out.DbNames = append(out.DbNames, db.Name)
		out.CreatedTimestamp = append(out.CreatedTimestamp, db.CreatedTS)
		out.DbIds = append(out.DbIds, db.ID)
	}
	return out, nil
}

// DescribeDatabase implements milvuspb.MilvusServiceServer.
func (p *Proxy) DescribeDatabase(_ context.Context, req *milvuspb.DescribeDatabaseRequest) (*milvuspb.DescribeDatabaseResponse, error) {
	db, err := p.database(orDefaultDB(req.DbName))
	if err != nil {
		return nil, err
	}
	return &milvuspb.DescribeDatabaseResponse{
		Status: success(), DbName: db.Name, DbID: db.ID, CreatedTimestamp: db.CreatedTS, Properties: sortedKVs(db.Properties),
	}, nil
}
