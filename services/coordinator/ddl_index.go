package coordinator

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// createIndex defines an index on a field; the same definition again is success. Segments are built by tasks later.
func (t *term) createIndex(ctx context.Context, req *pb.CreateIndexRequest) (*pb.Ack, error) {
	var index catalog.Index
	if err := json.Unmarshal(req.GetIndexJson(), &index); err != nil {
		return nil, errs.Invalid("the index definition cannot be read: %v", err)
	}
	id, err := t.id(ctx)
	if err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	index.ID, index.CreatedTS = id, ts
	_, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		same, err := addIndex(c, index)
		if same != nil {
			id = same.ID
		}
		return same == nil, err
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, id)
}

// jsonPath is the parameter of indexes on documents by which one field may have several.
const jsonPath = "json_path"

// addIndex adds a definition; an equal one that exists is returned instead.
func addIndex(c *catalog.Collection, index catalog.Index) (*catalog.Index, error) {
	field := c.Schema.FieldByID(index.FieldID)
	if field == nil {
		return nil, errs.Input(errs.FieldNotFound, "cannot create index on non-exist field: %d", index.FieldID)
	}
	if index.Name == "" {
		index.Name = field.Name
	}
	for i := range c.Indexes {
		have := &c.Indexes[i]
		switch {
		case sameIndex(have, &index):
			return have, nil
		case have.FieldID == index.FieldID && (have.Name == index.Name || have.Params[jsonPath] == index.Params[jsonPath]):
			return nil, errs.Invalid("CreateIndex failed: at most one distinct index is allowed per field")
		case have.Name == index.Name:
			return nil, errs.Invalid("CreateIndex failed: index name %s is taken by another field, at most one distinct index is allowed per field", index.Name)
		}
	}
	c.Indexes = append(slices.Clone(c.Indexes), index)
	return nil, nil
}

// alterIndex changes the parameters that do not change what is built.
func (t *term) alterIndex(ctx context.Context, req *pb.AlterIndexRequest) (*pb.Ack, error) {
	if err := eitherSetOrDelete(req.GetSet(), req.GetDeleteKeys()); err != nil {
		return nil, err
	}
	for k := range req.GetSet() {
		if !alterableIndexParam(k) {
			return nil, errs.Invalid("%s is not a configable index property", k)
		}
	}
	for _, k := range req.GetDeleteKeys() {
		if !alterableIndexParam(k) {
			return nil, errs.Invalid("%s is not a configable index property", k)
		}
	}
	coll, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		i := slices.IndexFunc(c.Indexes, func(x catalog.Index) bool { return x.Name == req.GetIndex() })
		if i < 0 {
			return false, errs.Input(errs.IndexNotFound, "index not found[index=%s]", req.GetIndex())
		}
		if c.Load != nil {
			return false, errs.Input(errs.CollectionLoaded, "can't alter index on loaded collection, please release the collection first: collection already loaded[collection=%s]", c.Name)
		}
		changed := setKVs(c.Indexes[i].UserParams, req.GetSet(), req.GetDeleteKeys())
		if slices.Equal(changed, c.Indexes[i].UserParams) {
			return false, nil
		}
		c.Indexes = slices.Clone(c.Indexes)
		c.Indexes[i].UserParams = changed
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, coll.ID)
}

func alterableIndexParam(key string) bool {
	return key == catalog.MmapKey || key == "indexoffsetcache.enabled" || strings.HasPrefix(key, "warmup")
}

// dropIndex removes a definition, by its name or its field; one that is not there counts as dropped. Files and tasks of
// it go later: the planner takes them out of the manifests.
func (t *term) dropIndex(ctx context.Context, req *pb.DropIndexRequest) (*pb.Ack, error) {
	coll, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		var kept []catalog.Index
		for _, x := range c.Indexes {
			if !namesIndex(c, req, x) {
				kept = append(kept, x)
				continue
			}
			if f := c.Schema.FieldByID(x.FieldID); f != nil && f.Type.IsVector() && c.Load != nil {
				return false, errs.Invalid("vector index cannot be dropped on loaded collection: %d", c.ID)
			}
		}
		changed := len(kept) != len(c.Indexes)
		c.Indexes = kept
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, coll.ID)
}

// namesIndex reports whether a request to drop means index x. With neither name nor field it means every index.
func namesIndex(c *catalog.Collection, req *pb.DropIndexRequest, x catalog.Index) bool {
	if req.GetIndex() != "" && x.Name != req.GetIndex() {
		return false
	}
	if req.GetField() != "" {
		f := c.Schema.Field(req.GetField())
		return f != nil && f.ID == x.FieldID
	}
	return true
}
