package coordinator

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Collection properties with a meaning here.
const (
	propDynamic   = "dynamicfield.enabled"
	propIsolation = "partitionkey.isolation"
	propTTL       = "collection.ttl.seconds"
)

func (t *term) alterCollection(ctx context.Context, req *pb.AlterCollectionRequest) (*pb.Ack, error) {
	if err := eitherSetOrDelete(req.GetSet(), req.GetDeleteKeys()); err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	coll, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		if req.GetField() != "" {
			return alterField(c, req, ts)
		}
		return alterProperties(c, req, ts)
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, coll.ID, coll.ShardLogs...)
}

// alterProperties changes a collection's properties and description; turning dynamic fields on changes the schema.
func alterProperties(c *catalog.Collection, req *pb.AlterCollectionRequest, ts tso.Timestamp) (bool, error) {
	set := maps.Clone(req.GetSet())
	for _, k := range append(slices.Collect(maps.Keys(set)), req.GetDeleteKeys()...) {
		if (k == catalog.MmapKey || k == propIsolation) && c.Load != nil {
			what := map[string]string{catalog.MmapKey: "mmap", propIsolation: "partition key isolation"}[k]
			return false, errs.Input(errs.CollectionLoaded, "can not alter %s properties if collection loaded: collection already loaded[collection=%s]", what, c.Name)
		}
	}
	if v, ok := set[propTTL]; ok {
		if n, err := strconv.Atoi(v); err != nil || n < -1 {
			return false, errs.Invalid("%s value %s is invalid, it should be a whole number of seconds, or -1 for none", propTTL, v)
		}
	}
	changed := false
	if v, ok := set[propDynamic]; ok {
		delete(set, propDynamic)
		made, err := setDynamic(c, v, ts)
		if err != nil {
			return false, err
		}
		changed = made
	}
	props := setProperties(c.Properties, set, req.GetDeleteKeys())
	if !maps.Equal(props, c.Properties) {
		c.Properties, changed = props, true
	}
	if req.Description != nil && req.GetDescription() != c.Description {
		c.Description, changed = req.GetDescription(), true
	}
	return changed, nil
}

func setDynamic(c *catalog.Collection, value string, ts tso.Timestamp) (bool, error) {
	on, err := parseBool(value)
	switch {
	case err != nil:
		return false, errs.Invalid("%s value %s is not a boolean", propDynamic, value)
	case on == c.Schema.EnableDynamic:
		return false, nil
	case !on:
		return false, errs.Invalid("dynamic schema cannot be disabled once it is enabled")
	}
	c.Schema.Fields = append(slices.Clone(c.Schema.Fields), schema.Field{
		ID: nextFieldID(&c.Schema), Name: schema.DynamicFieldName, Description: "dynamic schema", Type: schema.JSON,
		Dynamic: true, Nullable: true,
	})
	c.Schema.EnableDynamic = true
	touchSchema(c, ts)
	return true, nil
}

func nextFieldID(s *schema.Schema) int64 {
	next := schema.FirstUserField
	for _, f := range s.Fields {
		next = max(next, f.ID+1)
	}
	return next
}

// alterField changes one field's parameters. Only those that change what a row may hold change the schema.
func alterField(c *catalog.Collection, req *pb.AlterCollectionRequest, ts tso.Timestamp) (bool, error) {
	fields := slices.Clone(c.Schema.Fields)
	i := slices.IndexFunc(fields, func(f schema.Field) bool { return f.Name == req.GetField() && !f.Dynamic })
	if i < 0 {
		return false, errs.Input(errs.FieldNotFound, "field not found[field=%s]", req.GetField())
	}
	f := &fields[i]
	before := *f
	params := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(req.GetSet())) {
		if err := setFieldParam(f, params, k, req.GetSet()[k]); err != nil {
			return false, err
		}
	}
	for i, k := range req.GetDeleteKeys() {
		if !freeFieldParam(k) {
			return false, errs.Invalid("%s is not allowed to drop in collection field param", req.GetDeleteKeys()[i])
		}
	}
	f.TypeParams = setKVs(f.TypeParams, params, req.GetDeleteKeys())
	if sameField(before, *f) {
		return false, nil
	}
	c.Schema.Fields = fields
	if f.MaxLength != before.MaxLength || f.MaxCapacity != before.MaxCapacity {
		touchSchema(c, ts)
	}
	return true, nil
}

func freeFieldParam(key string) bool {
	return key == catalog.MmapKey || key == "mmap_enabled" || strings.HasPrefix(key, "warmup")
}

func setFieldParam(f *schema.Field, params map[string]string, key, value string) error {
	number := func(limit int) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > limit {
			return 0, errs.Invalid("the value %s for %s of field %s should be in range [1, %d]", value, key, f.Name, limit)
		}
		return n, nil
	}
	var err error
	switch {
	case key == "max_length" && (f.Type == schema.VarChar || f.Elem == schema.VarChar):
		f.MaxLength, err = number(65535)
	case key == "max_capacity" && f.Type == schema.Array:
		f.MaxCapacity, err = number(4096)
	case key == "field.description":
		f.Description = value
		return nil
	case key == "mmap_enabled":
		key = catalog.MmapKey
	case freeFieldParam(key):
	case key == "max_length" || key == "max_capacity":
		return errs.Invalid("%s can not modify the %s of field %s", f.Type, key, f.Name)
	default:
		return errs.Invalid("%s does not allow update in collection field param", key)
	}
	params[key] = value
	return err
}

func (t *term) addField(ctx context.Context, req *pb.AddFieldRequest) (*pb.Ack, error) {
	var field schema.Field
	if err := json.Unmarshal(req.GetFieldJson(), &field); err != nil {
		return nil, errs.Invalid("the field cannot be read: %v", err)
	}
	if err := checkNewField(&field); err != nil {
		return nil, err
	}
	ts, err := t.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	coll, rev, err := t.editCollection(ctx, req.GetCollection(), func(c *catalog.Collection) (bool, error) {
		return true, insertField(c, field, t.c.cfg.Limits, ts)
	})
	if err != nil {
		return nil, err
	}
	return t.finish(ctx, rev, coll.ID, coll.ShardLogs...)
}

func checkNewField(f *schema.Field) error {
	switch {
	case f.PrimaryKey:
		return errs.Invalid("not support to add pk field, field name = %s", f.Name)
	case f.AutoID:
		return errs.Invalid("only primary field can speficy AutoID with true, field name = %s", f.Name)
	case f.PartitionKey:
		return errs.Invalid("not support to add partition key field, field name  = %s", f.Name)
	case f.Type.IsVector():
		return errs.Invalid("not support to add vector field, field name = %s", f.Name)
	case f.Dynamic:
		return errs.Invalid("not support to add dynamic field, field name = %s", f.Name)
	case !f.Nullable:
		return errs.Invalid("added field must be nullable, please check it, field name = %s", f.Name)
	}
	return checkName("field", f.Name)
}

// insertField adds a field with the next id. The hidden dynamic field stays the last one.
func insertField(c *catalog.Collection, f schema.Field, limits Limits, ts tso.Timestamp) error {
	if c.Schema.Field(f.Name) != nil {
		return errs.Invalid("duplicate field name: %s", f.Name)
	}
	fields := slices.Clone(c.Schema.Fields)
	at := len(fields)
	if at > 0 && fields[at-1].Dynamic {
		at--
	}
	if at >= limits.Fields {
		return errs.Invalid("The number of fields has reached the maximum value %d", limits.Fields)
	}
	f.ID = nextFieldID(&c.Schema)
	c.Schema.Fields = slices.Insert(fields, at, f)
	touchSchema(c, ts)
	return nil
}
