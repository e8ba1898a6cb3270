package proxy

import (
	"context"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// CreateAlias implements milvuspb.MilvusServiceServer.
func (p *Proxy) CreateAlias(ctx context.Context, req *milvuspb.CreateAliasRequest) (*commonpb.Status, error) {
	if err := checkNames(req.Alias, req.CollectionName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().CreateAlias(ctx, &pb.AliasRequest{Db: req.DbName, Alias: req.Alias, Collection: req.CollectionName})
	return success(), p.changed(ctx, ack, err)
}

func checkNames(alias, collection string) error {
	if err := checkAliasName(alias); err != nil {
		return err
	}
	return checkCollectionName(collection)
}

// AlterAlias implements milvuspb.MilvusServiceServer.
func (p *Proxy) AlterAlias(ctx context.Context, req *milvuspb.AlterAliasRequest) (*commonpb.Status, error) {
	if err := checkNames(req.Alias, req.CollectionName); err != nil {
		return nil, err
	}
	ack, err := p.deps.Peers.Coordinator().AlterAlias(ctx, &pb.AliasRequest{Db: req.DbName, Alias: req.Alias, Collection: req.CollectionName})
	return success(), p.changed(ctx, ack, err)
}

// DropAlias implements milvuspb.MilvusServiceServer. An alias that is not there counts as dropped.
func (p *Proxy) DropAlias(ctx context.Context, req *milvuspb.DropAliasRequest) (*commonpb.Status, error) {
	ack, err := p.deps.Peers.Coordinator().DropAlias(ctx, &pb.AliasRequest{Db: req.DbName, Alias: req.Alias})
	if errs.CodeOf(err) == errs.AliasNotFound {
		return success(), nil
	}
	return success(), p.changed(ctx, ack, err)
}

// DescribeAlias implements milvuspb.MilvusServiceServer.
func (p *Proxy) DescribeAlias(_ context.Context, req *milvuspb.DescribeAliasRequest) (*milvuspb.DescribeAliasResponse, error) {
	if _, err := p.database(req.DbName); err != nil {
		return nil, err
	}
	alias, found := p.deps.Cache.Alias(req.DbName, req.Alias)
	c := p.deps.Cache.CollectionByID(alias.Collection)
	if !found || c == nil {
		return nil, errs.Input(errs.AliasNotFound, "alias not found[database=%s][alias=%s]", req.DbName, req.Alias)
	}
	return &milvuspb.DescribeAliasResponse{Status: success(), DbName: req.DbName, Alias: req.Alias, Collection: c.Name}, nil
}

// ListAliases implements milvuspb.MilvusServiceServer. Without a collection it lists those of the whole database.
func (p *Proxy) ListAliases(_ context.Context, req *milvuspb.ListAliasesRequest) (*milvuspb.ListAliasesResponse, error) {
	if _, err := p.database(req.DbName); err != nil {
		return nil, err
	}
	out := &milvuspb.ListAliasesResponse{Status: success(), DbName: req.DbName, CollectionName: req.CollectionName}
	aliases := p.deps.Cache.Aliases(req.DbName)
	if req.CollectionName != "" {
		c, err := p.collection(req.DbName, req.CollectionName)
		if err != nil {
			return nil, err
		}
		aliases = p.deps.Cache.AliasesOf(c.ID)
	}
	for _, a := range aliases {
		out.Aliases = append(out.Aliases, a.Name)
	}
	return out, nil
}
