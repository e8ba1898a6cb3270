package proxy

import (
	"fmt"
	"strconv"

	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

// Limits of the API on schemas.
const (
	maxShards        = 16
	maxFields        = 64
	maxVectorFields  = 10
	minDim           = 2
	maxDim           = 32768
	maxVarCharLength = 65535
	maxArrayCapacity = 4096
	maxNameLength    = 255
)

// parseSchema reads the schema of a request to create a collection, checks it in the API's order, so that of several
// faults the same one is reported, and gives the fields their ids.
func parseSchema(raw []byte, collection string, shards int32) (*schema.Schema, *schemapb.CollectionSchema, error) {
	var in schemapb.CollectionSchema
	if err := proto.Unmarshal(raw, &in); err != nil {
		return nil, nil, errs.Invalid("the schema is no valid CollectionSchema: %v", err)
	}
	for _, check := range []func() error{
		func() error { return checkParts(&in) },
		func() error { return checkCounts(&in, shards) },
		func() error { return checkCollectionName(collection) },
		func() error { return checkReserved(&in) },
		func() error { return checkPrimaryKey(&in) },
		func() error { return checkDynamicFlags(&in) },
		func() error { return checkAutoID(&in) },
		func() error { return checkTypes(&in) },
		func() error { return checkPartitionKey(&in) },
		func() error { return checkNoClusteringKey(&in) },
	} {
		if err := check(); err != nil {
			return nil, nil, err
		}
	}
	out := &schema.Schema{EnableDynamic: in.EnableDynamicField}
	for _, f := range in.Fields {
		field, err := parseField(f, collection)
		if err != nil {
			return nil, nil, err
		}
		field.ID = schema.FirstUserField + int64(len(out.Fields))
		out.Fields = append(out.Fields, field)
	}
	if err := checkDuplicates(out); err != nil {
		return nil, nil, err
	}
	if out.EnableDynamic {
		out.Fields = append(out.Fields, schema.Field{
			ID: schema.FirstUserField + int64(len(out.Fields)), Name: schema.DynamicFieldName,
			Description: "dynamic schema", Type: schema.JSON, Dynamic: true, Nullable: true,
		})
	}
	return out, &in, nil
}

// checkParts refuses what schemas may hold and this server has not.
func checkParts(in *schemapb.CollectionSchema) error {
	switch {
	case len(in.Functions) > 0:
		return notBuilt(fmt.Sprintf("function %s of type %s in a schema", in.Functions[0].Name, in.Functions[0].Type))
	case len(in.StructArrayFields) > 0:
		return notBuilt("array of structs, field " + in.StructArrayFields[0].Name)
	case in.EnableNamespace:
		return notBuilt("namespace of a collection")
	case in.ExternalSource != "":
		return notBuilt("external collection")
	}
	return nil
}

func checkCounts(in *schemapb.CollectionSchema, shards int32) error {
	vectors := 0
	for _, f := range in.Fields {
		if schema.Type(f.DataType).IsVector() {
			vectors++
		}
	}
	switch {
	case shards > maxShards:
		return errs.Invalid("maximum shards's number should be limited to %d", maxShards)
	case len(in.Fields) > maxFields:
		return errs.Invalid("maximum field's number should be limited to %d", maxFields)
	case vectors > maxVectorFields:
		return errs.Invalid("maximum vector field's number should be limited to %d", maxVectorFields)
	case vectors == 0:
		return errs.Invalid("schema does not contain vector field")
	}
	return nil
}

func checkReserved(in *schemapb.CollectionSchema) error {
	for _, f := range in.Fields {
		switch f.Name {
		case "RowID", "Timestamp", "__virtual_pk__":
			return errs.Invalid("%s is not a valid field name, it is reserved by the system", f.Name)
		}
	}
	return nil
}

func checkPrimaryKey(in *schemapb.CollectionSchema) error {
	name := ""
	for _, f := range in.Fields {
		if !f.IsPrimaryKey {
			continue
		}
		switch {
		case name != "":
			return errs.Invalid("there are more than one primary key, field name = %s, %s", name, f.Name)
		case f.DataType != schemapb.DataType_Int64 && f.DataType != schemapb.DataType_VarChar:
			return errs.Invalid("the data type of primary key should be Int64 or VarChar")
		case f.DefaultValue != nil:
			return errs.Invalid("primary field not support default_value")
		case f.Nullable:
			return errs.Invalid("primary field not support null")
		}
		name = f.Name
	}
	if name == "" {
		return errs.Invalid("primary key is not specified")
	}
	return nil
}

func checkDynamicFlags(in *schemapb.CollectionSchema) error {
	for _, f := range in.Fields {
		if f.IsDynamic {
			return errs.Invalid("cannot explicitly set a field as a dynamic field")
		}
	}
	return nil
}

func checkAutoID(in *schemapb.CollectionSchema) error {
	for _, f := range in.Fields {
		if f.AutoID && !f.IsPrimaryKey {
			return errs.Invalid("only primary field can speficy AutoID with true, field name = %s", f.Name)
		}
	}
	return nil
}

// checkTypes refuses types that are none, and those that this server has not.
func checkTypes(in *schemapb.CollectionSchema) error {
	for _, f := range in.Fields {
		if err := checkType(f); err != nil {
			return err
		}
	}
	return nil
}

func checkType(f *schemapb.FieldSchema) error {
	_, known := schemapb.DataType_name[int32(f.DataType)]
	kept, _ := storedType(f.DataType)
	switch {
	case f.DataType == schemapb.DataType_None || !known:
		return errs.Invalid("data type not support: %s, field name = %s", f.DataType, f.Name)
	case f.DataType == schemapb.DataType_String:
		return errs.Invalid("string data type not supported yet, please use VarChar type instead")
	case !builtType(kept):
		return notBuilt(fmt.Sprintf("data type %s of field %s", f.DataType, f.Name))
	case f.DataType == schemapb.DataType_Array && !elementType(schema.Type(f.ElementType)):
		return errs.Invalid("element type %s is not supported, field name = %s", f.ElementType, f.Name)
	}
	return nil
}

func builtType(t schema.Type) bool {
	switch t {
	case schema.Bool, schema.Int8, schema.Int16, schema.Int32, schema.Int64, schema.Float, schema.Double, schema.VarChar,
		schema.Array, schema.JSON, schema.FloatVector, schema.Float16Vector, schema.BFloat16Vector, schema.Int8Vector,
		schema.BinaryVector:
		return true
	}
	return false
}

func elementType(t schema.Type) bool {
	return builtType(t) && t != schema.Array && t != schema.JSON && !t.IsVector()
}

func checkPartitionKey(in *schemapb.CollectionSchema) error {
	name := ""
	for _, f := range in.Fields {
		if !f.IsPartitionKey {
			continue
		}
		switch {
		case name != "":
			return errs.Invalid("there are more than one partition key, field name = %s, %s", name, f.Name)
		case f.IsPrimaryKey:
			return errs.Invalid("the partition key field must not be primary field")
		case f.DataType != schemapb.DataType_Int64 && f.DataType != schemapb.DataType_VarChar:
			return errs.Invalid("the data type of partition key should be Int64 or VarChar")
		case f.Nullable:
			return errs.Invalid("partition key field not support nullable")
		}
		name = f.Name
	}
	return nil
}

func checkNoClusteringKey(in *schemapb.CollectionSchema) error {
	for _, f := range in.Fields {
		if f.IsClusteringKey {
			return notBuilt("clustering key, field " + f.Name)
		}
	}
	return nil
}

func checkDuplicates(s *schema.Schema) error {
	seen := map[string]bool{}
	for i := range s.Fields {
		if seen[s.Fields[i].Name] {
			return errs.Invalid("duplicated field name %s", s.Fields[i].Name)
		}
		seen[s.Fields[i].Name] = true
	}
	return nil
}

// parseField translates one field and checks its name and parameters.
func parseField(f *schemapb.FieldSchema, collection string) (schema.Field, error) {
	out := schema.Field{
		Name: f.Name, Description: f.Description, PrimaryKey: f.IsPrimaryKey, AutoID: f.AutoID,
		PartitionKey: f.IsPartitionKey, Nullable: f.Nullable,
	}
	out.Type, out.Form = storedType(f.DataType)
	if err := checkFieldName(f.Name); err != nil {
		return out, err
	}
	if out.Type == schema.Array {
		out.Elem = schema.Type(f.ElementType)
	}
	params := map[string]string{}
	for _, kv := range f.TypeParams {
		if _, twice := params[kv.Key]; twice {
			return out, errs.Invalid("duplicated type param key %s of field %s", kv.Key, f.Name)
		}
		params[kv.Key] = kv.Value
		out.TypeParams = append(out.TypeParams, schema.KV{Key: kv.Key, Value: kv.Value})
	}
	if err := parseTypeParams(&out, params, collection); err != nil {
		return out, err
	}
	return out, parseDefault(&out, f.DefaultValue)
}

func parseTypeParams(f *schema.Field, params map[string]string, collection string) error {
	var err error
	if f.Type.IsDense() {
		if f.Dim, err = parseDim(f, params["dim"]); err != nil {
			return err
		}
	}
	if f.Form == schema.Geometry {
		f.MaxLength = maxVarCharLength
		return nil
	}
	if f.Type == schema.VarChar || f.Elem == schema.VarChar {
		if f.MaxLength, err = parseMaxLength(f.Name, collection, params["max_length"]); err != nil {
			return err
		}
	}
	if f.Type == schema.Array {
		if f.MaxCapacity, err = parseMaxCapacity(f.Name, collection, params["max_capacity"]); err != nil {
			return err
		}
	}
	return nil
}

func parseDim(f *schema.Field, text string) (int, error) {
	if text == "" {
		return 0, errs.Invalid("dimension is not defined in field type params of field %s, check type param `dim` for vector field", f.Name)
	}
	dim, err := strconv.ParseInt(text, 10, 64)
	bits := f.Type == schema.BinaryVector
	switch {
	case err != nil:
		return 0, errs.Invalid("invalid dimension: %s of field %s", text, f.Name)
	case dim < minDim:
		return 0, errs.Invalid("invalid dimension: %d. should be in range %d ~ %d", dim, minDim, maxDim)
	case bits && dim%8 != 0:
		return 0, errs.Invalid("invalid dimension: %d of field %s. binary vector dimension should be multiple of 8. ", dim, f.Name)
	case bits && dim > 8*maxDim:
		return 0, errs.Invalid("invalid dimension: %d of field %s. binary vector dimension should be in range %d ~ %d", dim, f.Name, minDim, 8*maxDim)
	case !bits && dim > maxDim:
		return 0, errs.Invalid("invalid dimension: %d of field %s. float vector dimension should be in range %d ~ %d", dim, f.Name, minDim, maxDim)
	}
	return int(dim), nil
}

func parseMaxLength(field, collection, text string) (int, error) {
	if text == "" {
		return 0, errs.Invalid("type param(max_length) should be specified for the field(%s) of collection %s", field, collection)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errs.Invalid("the value for max_length of field %s must be an integer: %s", field, text)
	}
	if n <= 0 || n > maxVarCharLength {
		return 0, errs.Invalid("the maximum length specified for the field(%s) should be in (0, %d], but got %d instead", field, maxVarCharLength, n)
	}
	return int(n), nil
}

func parseMaxCapacity(field, collection, text string) (int, error) {
	if text == "" {
		return 0, errs.Invalid("type param(max_capacity) should be specified for array field %s of collection %s", field, collection)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errs.Invalid("the value for max_capacity of field %s must be an integer: %s", field, text)
	}
	if n <= 0 || n > maxArrayCapacity {
		return 0, errs.Invalid("the maximum capacity specified for a Array should be in (0, %d]", maxArrayCapacity)
	}
	return int(n), nil
}

// parseDefault reads a field's default value.
func parseDefault(f *schema.Field, v *schemapb.ValueField) error {
	if v == nil || v.Data == nil {
		return nil
	}
	if f.Type == schema.Array || f.Type == schema.JSON || f.Type.IsVector() {
		return errs.Invalid("type not support default_value, type:%s, name:%s", f.Type, f.Name)
	}
	v, err := keptDefault(f, v)
	if err != nil {
		return err
	}
	c := schema.NewColumn(f)
	c.N = 1
	mismatch := errs.Invalid("type (%s) of field (%s) is not equal to the type(DataType_%s) of default_value", f.Type, f.Name, defaultTypeName(v))
	switch d := v.Data.(type) {
	case *schemapb.ValueField_BoolData:
		if f.Type != schema.Bool {
			return mismatch
		}
		c.Bools = []bool{d.BoolData}
	case *schemapb.ValueField_IntData:
		if !f.Type.IsInt() || f.Type == schema.Int64 {
			return mismatch
		}
		c.Ints = []int64{int64(d.IntData)}
	case *schemapb.ValueField_LongData:
		if f.Type != schema.Int64 {
			return mismatch
		}
		c.Ints = []int64{d.LongData}
	case *schemapb.ValueField_FloatData:
		if f.Type != schema.Float {
			return mismatch
		}
		c.Floats = []float32{d.FloatData}
	case *schemapb.ValueField_DoubleData:
		if f.Type != schema.Double {
			return mismatch
		}
		c.Doubles = []float64{d.DoubleData}
	case *schemapb.ValueField_StringData:
		if f.Type != schema.VarChar {
			return mismatch
		}
		c.Strings = []string{d.StringData}
	default:
		return mismatch
	}
	if err := checkColumn(f, c); err != nil {
		return err
	}
	f.Default = c
	return nil
}

func defaultTypeName(v *schemapb.ValueField) string {
	switch v.Data.(type) {
	case *schemapb.ValueField_BoolData:
		return "Bool"
	case *schemapb.ValueField_IntData:
		return "Int32"
	case *schemapb.ValueField_LongData:
		return "Int64"
	case *schemapb.ValueField_FloatData:
		return "Float"
	case *schemapb.ValueField_DoubleData:
		return "Double"
	case *schemapb.ValueField_StringData:
		return "VarChar"
	}
	return "Unknown"
}
