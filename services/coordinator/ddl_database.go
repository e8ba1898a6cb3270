package coordinator

import (
	"context"
	"maps"
	"strconv"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// propMaxCollections is the database property that bounds its collections.
const propMaxCollections = "database.max.collections"

// propReplicas is the database property that gives the number of replicas of a load that names none.
const propReplicas = "database.replica.number"

func (t *term) createDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	if err := checkName("database", req.GetName()); err != nil {
		return nil, errs.Input(errs.DatabaseInvalidName, "%w", err)
	}
	id, err := t.id(ctx)
	if err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	cache := t.c.deps.Cache
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		if cache.Database(req.GetName()) != nil {
			return errs.Invalid("database already exist: %s", req.GetName())
		}
		if limit := t.c.cfg.Limits.Databases; len(cache.Databases()) >= limit {
			return errs.Input(errs.DatabaseLimit, "exceeded the limit number of database[limit=%d]", limit)
		}
		put(b, catalog.DatabaseKey(req.GetName()), &catalog.Database{
			ID: id, Name: req.GetName(), Properties: maps.Clone(req.GetProperties()), CreatedTS: ts,
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id)
}

func (t *term) dropDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	name := req.GetName()
	if name == DefaultDatabase {
		return nil, errs.Invalid("can not drop default database")
	}
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		if t.c.deps.Cache.Database(name) == nil {
			return noDatabase(name)
		}
		if len(t.c.deps.Cache.Collections(name)) > 0 {
			return errs.Invalid("database:%s not empty, must drop all collections before drop database", name)
		}
		b.remove(catalog.DatabaseKey(name))
		b.removeAll(catalog.AliasKey(name, ""))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, 0)
}

func (t *term) alterDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	if err := eitherSetOrDelete(req.GetProperties(), req.GetDeleteKeys()); err != nil {
		return nil, err
	}
	var id int64
	rev, err := t.ddl.change(ctx, func(b *batch) error {
		db := t.c.deps.Cache.Database(req.GetName())
		if db == nil {
			return noDatabase(req.GetName())
		}
		id = db.ID
		changed := *db
		changed.Properties = setProperties(db.Properties, req.GetProperties(), req.GetDeleteKeys())
		if !maps.Equal(changed.Properties, db.Properties) {
			put(b, catalog.DatabaseKey(db.Name), &changed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id)
}

func eitherSetOrDelete(set map[string]string, remove []string) error {
	if len(set) > 0 && len(remove) > 0 {
		return errs.Invalid("can not provide properties and deletekeys at the same time")
	}
	return nil
}

// intProperty reads a whole number from a database's properties; def when it is not there or not a number.
func intProperty(props map[string]string, key string, def int) int {
	n, err := strconv.Atoi(props[key])
	if err != nil || n <= 0 {
		return def
	}
	return n
}
