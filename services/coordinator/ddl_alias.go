package coordinator

import (
	"context"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// createAlias gives a collection a further name; the same alias of the same collection is success.
func (t *term) createAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	if err := checkName("collection alias", req.GetAlias()); err != nil {
		return nil, err
	}
	return t.setAlias(ctx, req, func(coll *catalog.Collection) error {
		alias, found := t.c.deps.Cache.Alias(req.GetDb(), req.GetAlias())
		if !found || alias.Collection == coll.ID {
			return nil
		}
		other := t.c.deps.Cache.CollectionByID(alias.Collection)
		if other == nil {
			return nil // left over from a collection that is gone
		}
		return errs.Input(errs.AliasExists, "%s is alias to another collection: %s: alias already exist[database=%s][alias=%s]",
			req.GetAlias(), other.Name, req.GetDb(), req.GetAlias())
	})
}

// alterAlias makes an alias that exists mean another collection.
func (t *term) alterAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	return t.setAlias(ctx, req, func(*catalog.Collection) error {
		if _, found := t.c.deps.Cache.Alias(req.GetDb(), req.GetAlias()); !found {
			return noAlias(req)
		}
		return nil
	})
}

// setAlias points an alias at a collection if allow says nothing against it.
func (t *term) setAlias(ctx context.Context, req *pb.AliasRequest, allow func(*catalog.Collection) error) (*pb.Ack, error) {
	cache := t.c.deps.Cache
	var id int64
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		coll, err := t.aliasTarget(req)
		if err != nil {
			return err
		}
		id = coll.ID
		if other := liveByName(cache, req.GetDb(), req.GetAlias()); other != nil {
			return errs.Input(errs.AliasCollectionClash, "alias and collection name conflict[database=%s][alias=%s]", req.GetDb(), req.GetAlias())
		}
		if err := allow(coll); err != nil {
			return err
		}
		if alias, found := cache.Alias(req.GetDb(), req.GetAlias()); !found || alias.Collection != id {
			b.number(catalog.AliasKey(req.GetDb(), req.GetAlias()), id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id)
}

// aliasTarget finds the collection that an alias shall mean; it must be named by its own name.
func (t *term) aliasTarget(req *pb.AliasRequest) (*catalog.Collection, error) {
	if t.c.deps.Cache.Database(req.GetDb()) == nil {
		return nil, noDatabase(req.GetDb())
	}
	coll := liveByName(t.c.deps.Cache, req.GetDb(), req.GetCollection())
	if coll == nil {
		return nil, noCollection(req.GetDb(), req.GetCollection())
	}
	return coll, nil
}

// liveByName finds a collection by its own name, not by an alias.
func liveByName(cache *catalog.Cache, db, name string) *catalog.Collection {
	if coll := cache.Collection(db, name); coll != nil && coll.Name == name {
		return coll
	}
	return nil
}

func (t *term) dropAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		if t.c.deps.Cache.Database(req.GetDb()) == nil {
			return noDatabase(req.GetDb())
		}
		if _, found := t.c.deps.Cache.Alias(req.GetDb(), req.GetAlias()); !found {
			return noAlias(req)
		}
		b.remove(catalog.AliasKey(req.GetDb(), req.GetAlias()))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, 0)
}

func noAlias(req *pb.AliasRequest) error {
	return errs.Input(errs.AliasNotFound, "alias not found[database=%s][alias=%s]", req.GetDb(), req.GetAlias())
}
