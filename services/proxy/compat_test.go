package proxy

import (
	"reflect"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
)

func TestDropAbsentAlias(t *testing.T) {
	w := newWorld(t)
	w.failNext("DropAlias", errs.Input(errs.AliasNotFound, "alias not found"))
	st, err := w.client().DropAlias(testContext(t), &milvuspb.DropAliasRequest{Alias: "nope"})
	done(t, st, err)
}

// TestIndexWithoutName: a request without a name means the index that the field has.
func TestIndexWithoutName(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "c", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "c", Schema: raw})
	done(t, st, err)
	for _, name := range []string{"mine", ""} {
		st, err = c.CreateIndex(ctx, &milvuspb.CreateIndexRequest{CollectionName: "c", FieldName: "vec", IndexName: name, ExtraParams: kv("metric_type", "L2", "index_type", "FLAT")})
		done(t, st, err)
	}
	coll, err := w.proxy.collection("default", "c")
	mustStatus(t, err)
	for i := range coll.Indexes {
		if coll.Indexes[i].Name != "mine" {
			t.Errorf("index %s", coll.Indexes[i].Name)
		}
	}
}

func TestEmptyDocuments(t *testing.T) {
	for nullable, want := range map[bool][]string{true: {`{"a":1}`, "", ""}, false: {`{"a":1}`, "null", ""}} {
		f := &schema.Field{Name: "doc", Type: schema.JSON, Nullable: nullable}
		in := schema.NewColumn(f)
		in.N, in.Valid, in.Bytes = 3, []bool{true, true, false}, [][]byte{[]byte(`{"a":1}`), {}, {}}
		out := fillDocuments(f, in)
		var got []string
		for _, doc := range out.Bytes {
			got = append(got, string(doc))
		}
		if !reflect.DeepEqual(got, want) || out.IsNull(0) || out.IsNull(1) != nullable || !out.IsNull(2) {
			t.Errorf("nullable %v: %q, %v", nullable, got, out.Valid)
		}
	}
}

func arrayOp(field string, op schemapb.FieldPartialUpdateOp_OpType) *schemapb.FieldPartialUpdateOp {
	return &schemapb.FieldPartialUpdateOp{FieldName: field, Op: op}
}

func TestReadFieldOps(t *testing.T) {
	s := &schema.Schema{Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "name", Type: schema.VarChar},
		{ID: 102, Name: "tags", Type: schema.Array, Elem: schema.Int64, MaxCapacity: 4},
		{ID: 103, Name: "more", Type: schema.Array, Elem: schema.Int64, MaxCapacity: 4},
	}}
	sent := &schema.Batch{Columns: []*schema.Column{{Field: 100}, {Field: 101}, {Field: 102}}}
	const add, del, set = schemapb.FieldPartialUpdateOp_ARRAY_APPEND, schemapb.FieldPartialUpdateOp_ARRAY_REMOVE, schemapb.FieldPartialUpdateOp_REPLACE
	for name, c := range map[string]struct {
		ops  []*schemapb.FieldPartialUpdateOp
		want string
	}{
		"fine":    {[]*schemapb.FieldPartialUpdateOp{arrayOp("tags", add), arrayOp("name", set)}, ""},
		"key":     {[]*schemapb.FieldPartialUpdateOp{arrayOp("id", add)}, `field "id" is the primary key and cannot carry a partial-update op`},
		"type":    {[]*schemapb.FieldPartialUpdateOp{arrayOp("name", del)}, `op ARRAY_REMOVE requires Array field, but field "name" is VarChar`},
		"unknown": {[]*schemapb.FieldPartialUpdateOp{arrayOp("x", del)}, `field "x" not found in collection schema`},
		"absent":  {[]*schemapb.FieldPartialUpdateOp{arrayOp("more", add)}, `partial-update op targets field "more" not present in fields_data`},
		"twice":   {[]*schemapb.FieldPartialUpdateOp{arrayOp("tags", add), arrayOp("tags", del)}, `duplicate partial-update op for field "tags"`},
		"no name": {[]*schemapb.FieldPartialUpdateOp{arrayOp("", add)}, "FieldPartialUpdateOp.field_name is required"},
		"op":      {[]*schemapb.FieldPartialUpdateOp{arrayOp("tags", 99)}, "unsupported partial update op: 99"},
	} {
		ops, err := readFieldOps(s, c.ops, sent)
		if c.want == "" {
			if err != nil || len(ops) != 1 || ops[102] != add {
				t.Errorf("%s: %v, %v", name, ops, err)
			}
			continue
		}
		st := statusOf(err)
		if st.ErrorCode != commonpb.ErrorCode_IllegalArgument || st.Reason != c.want+": invalid parameter" {
			t.Errorf("%s: %v", name, st)
		}
	}
}

func TestMergeArrays(t *testing.T) {
	f := &schema.Field{ID: 102, Name: "tags", Type: schema.Array, Elem: schema.Int64, MaxCapacity: 4, Nullable: true}
	column := func(rows ...[]int64) *schema.Column {
		c := schema.NewColumn(f)
		for _, r := range rows {
			if r == nil {
				c.AppendNull()
				continue
			}
			c.AppendFrom(&schema.Column{Type: schema.Array, N: 1, Arrays: []schema.Column{{Type: schema.Int64, N: len(r), Ints: r}}}, 0)
		}
		return c
	}
	old := column([]int64{1, 2, 1}, nil)
	for name, c := range map[string]struct {
		op   schemapb.FieldPartialUpdateOp_OpType
		sent *schema.Column
		want [][]int64 // of the rows: an old one, an old one without a value, a new one
	}{
		"append": {schemapb.FieldPartialUpdateOp_ARRAY_APPEND, column([]int64{3}, []int64{4}, []int64{5}), [][]int64{{1, 2, 1, 3}, {4}, {5}}},
		"remove": {schemapb.FieldPartialUpdateOp_ARRAY_REMOVE, column([]int64{1, 9}, []int64{4}, []int64{5}), [][]int64{{2}, {}, {}}},
		"null":   {schemapb.FieldPartialUpdateOp_ARRAY_APPEND, column(nil, nil, nil), [][]int64{{1, 2, 1}, nil, nil}},
	} {
		out, err := mergeArrays(f, c.op, c.sent, old, []int{0, 1, -1})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			got := out.Arrays[i].Ints
			if out.IsNull(i) != (want == nil) || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: row %d is %v", name, i, got)
			}
		}
	}
	if !reflect.DeepEqual(old.Arrays[0].Ints, []int64{1, 2, 1}) {
		t.Error("the old row changed")
	}
	_, err := mergeArrays(f, schemapb.FieldPartialUpdateOp_ARRAY_APPEND, column([]int64{1, 2}), old, []int{0})
	if err == nil || errs.CodeOf(err) != errs.InvalidParameter {
		t.Errorf("over capacity: %v", err)
	}
}

func TestJSONIndexes(t *testing.T) {
	s := &schema.Schema{EnableDynamic: true, Fields: []schema.Field{
		{ID: 100, Name: "id", Type: schema.Int64, PrimaryKey: true},
		{ID: 101, Name: "doc", Type: schema.JSON},
		{ID: 102, Name: schema.DynamicFieldName, Type: schema.JSON, Dynamic: true},
	}}
	for name, c := range map[string]struct {
		field, kind, cast, path string
		want                    string // the path or the error
	}{
		"whole":       {"doc", "INVERTED", "VARCHAR", "", "doc"},
		"path":        {"doc", "INVERTED", "double", `doc["a"]['b'][0]`, "doc/a/b/0"},
		"odd key":     {"doc", "BITMAP", "BOOL", `doc["a/b"]`, "doc/a~1b"},
		"dynamic":     {"key", "STL_SORT", "DOUBLE", "", "key"},
		"dynamic 2":   {"key", "AUTOINDEX", "JSON", `key['a']`, "key/a"},
		"meta":        {schema.DynamicFieldName, "INVERTED", "VARCHAR", `$meta["key"]`, "key"},
		"no cast":     {"doc", "INVERTED", "", "", "json index must specify cast type: invalid parameter"},
		"odd cast":    {"doc", "INVERTED", "BLOB", "", "index params[json_cast_type] error: invalid cast type: BLOB: invalid parameter"},
		"bitmap":      {"doc", "BITMAP", "DOUBLE", "", "bitmap index on JSON only supports the cast types BOOL and VARCHAR, not DOUBLE: invalid parameter"},
		"sort":        {"doc", "STL_SORT", "BOOL", "", "STL_SORT on JSON only supports the cast types DOUBLE and VARCHAR, not BOOL: invalid parameter"},
		"trie":        {"doc", "TRIE", "VARCHAR", "", "TRIE are only supported on varchar field: invalid parameter"},
		"foreign":     {"doc", "INVERTED", "VARCHAR", `other["a"]`, `the json_path other["a"] is not of field doc: invalid parameter`},
		"open":        {"doc", "INVERTED", "VARCHAR", `doc["a`, `invalid json path: doc["a: invalid parameter`},
		"no key":      {"doc", "INVERTED", "VARCHAR", `doc[]`, `invalid json path: doc[]: invalid parameter`},
		"bare word":   {"doc", "INVERTED", "VARCHAR", `doc[a]`, `invalid json path: doc[a]: invalid parameter`},
		"no field":    {"key", "INVERTED", "", "", "cannot create index on non-exist field: key: invalid parameter"},
		"other field": {"id", "INVERTED", "", "", ""},
	} {
		kvs := kv("index_type", c.kind)
		if c.cast != "" {
			kvs = append(kvs, kv("json_cast_type", c.cast)...)
		}
		if c.path != "" {
			kvs = append(kvs, kv("json_path", c.path)...)
		}
		def, err := resolveIndex(s, c.field, kvs)
		if err != nil {
			if err.Error() != c.want {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if def.Params[keyJSONPath] != c.want {
			t.Errorf("%s: path %s", name, def.Params[keyJSONPath])
		}
		coll := &catalog.Collection{Schema: *s}
		if field := indexFieldName(coll, def); field != c.field && c.field != schema.DynamicFieldName {
			t.Errorf("%s: shown on field %s", name, field)
		}
		if c.want != "" && defaultIndexName(coll, def) != c.want {
			t.Errorf("%s: called %s", name, defaultIndexName(coll, def))
		}
	}
}

// TestUnknownParts: a read is not answered without a part of it.
func TestUnknownParts(t *testing.T) {
	for number, want := range map[protowire.Number]string{24: "function_chains of a search is not supported", 99: "field 99 of SearchRequest is not supported"} {
		req := &milvuspb.SearchRequest{}
		mustStatus(t, refuseUnknown(req))
		req.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), 1))
		if err := refuseSearchParts(req); err == nil || err.Error() != want || errs.CodeOf(err) != errs.Unimplemented {
			t.Errorf("%d: %v", number, err)
		}
	}
}

// TestNames: a name that nothing can have is told from one that nothing has.
func TestNames(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	long := strings.Repeat("a", 256)
	for name, want := range map[string]string{
		"12-s": "Invalid collection name: 12-s. the first character of a collection name must be an underscore or letter: invalid parameter",
		"a b":  "Invalid collection name: a b. collection name can only contain numbers, letters and underscores: invalid parameter",
		long:   "Invalid collection name: " + long + ". the length of a collection name must be less than 255 characters: invalid parameter",
	} {
		for call, do := range map[string]func() (*commonpb.Status, error){
			"alias": func() (*commonpb.Status, error) {
				return c.CreateAlias(ctx, &milvuspb.CreateAliasRequest{Alias: "x", CollectionName: name})
			},
			"drop": func() (*commonpb.Status, error) {
				return c.DropCollection(ctx, &milvuspb.DropCollectionRequest{CollectionName: name})
			},
			"load": func() (*commonpb.Status, error) {
				return c.LoadCollection(ctx, &milvuspb.LoadCollectionRequest{CollectionName: name})
			},
			"describe": func() (*commonpb.Status, error) {
				resp, err := c.DescribeCollection(ctx, &milvuspb.DescribeCollectionRequest{CollectionName: name})
				return resp.GetStatus(), err
			},
		} {
			st, err := do()
			if err != nil || st.Reason != want || st.ErrorCode != commonpb.ErrorCode_IllegalArgument {
				t.Errorf("%s %s: %v %v", call, name, st, err)
			}
		}
	}
	makeCollection(t, w, "full", 1)
	for name, want := range map[string]string{
		" ":     "Invalid partition name: . Partition name should not be empty.: invalid parameter",
		"a b":   "Invalid partition name: a b. Partition name can only contain numbers, letters and underscores.: invalid parameter",
		"(mn)":  "Invalid partition name: (mn). The first character of a partition name must be an underscore or letter.: invalid parameter",
		"12-s":  "",
		"_free": "",
	} {
		has, err := c.HasPartition(ctx, &milvuspb.HasPartitionRequest{CollectionName: "full", PartitionName: name})
		mustStatus(t, err)
		drop, err := c.DropPartition(ctx, &milvuspb.DropPartitionRequest{CollectionName: "full", PartitionName: name})
		mustStatus(t, err)
		if has.Status.Reason != want || drop.Reason != want {
			t.Errorf("%q: %v %v", name, has.Status, drop)
		}
		if want != "" {
			up, err := c.Upsert(ctx, &milvuspb.UpsertRequest{CollectionName: "full", PartitionName: name, NumRows: 1, FieldsData: rowsOf(1)})
			mustStatus(t, err)
			if up.Status.Reason != want {
				t.Errorf("%q: %v", name, up.Status)
			}
		}
	}
	st, err := c.AlterAlias(ctx, &milvuspb.AlterAliasRequest{Alias: "12-s", CollectionName: "c"})
	wantStatus(t, st, err, errs.InvalidParameter, commonpb.ErrorCode_IllegalArgument, "Invalid collection alias: 12-s. the first character of a collection alias must be an underscore or letter: invalid parameter")
	for _, name := range []string{"", "  ", "(mn)"} {
		st, err = c.DropDatabase(ctx, &milvuspb.DropDatabaseRequest{DbName: name})
		if err != nil || st.Code != int32(errs.DatabaseInvalidName) || !strings.HasSuffix(st.Reason, ": invalid database name[database="+name+"]") {
			t.Errorf("%q: %v %v", name, st, err)
		}
	}
}

// TestLoadStateByKey: with a partition key the state of a partition may be asked for, though none is loaded by itself.
func TestLoadStateByKey(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	raw, err := proto.Marshal(&schemapb.CollectionSchema{Name: "c", Fields: []*schemapb.FieldSchema{
		{Name: "id", DataType: schemapb.DataType_Int64, IsPrimaryKey: true},
		{Name: "key", DataType: schemapb.DataType_Int64, IsPartitionKey: true},
		{Name: "vec", DataType: schemapb.DataType_FloatVector, TypeParams: kv("dim", "2")},
	}})
	mustStatus(t, err)
	st, err := c.CreateCollection(ctx, &milvuspb.CreateCollectionRequest{CollectionName: "c", Schema: raw})
	done(t, st, err)
	coll, err := w.proxy.collection("default", "c")
	mustStatus(t, err)
	resp, err := c.GetLoadState(ctx, &milvuspb.GetLoadStateRequest{CollectionName: "c", PartitionNames: []string{coll.Partitions[0].Name}})
	mustStatus(t, err)
	if done(t, resp.Status, nil); resp.State != commonpb.LoadState_LoadStateNotLoad {
		t.Error(resp)
	}
	resp, err = c.GetLoadState(ctx, &milvuspb.GetLoadStateRequest{CollectionName: "c", PartitionNames: []string{"nope"}})
	wantStatus(t, resp.GetStatus(), err, errs.PartitionNotFound, commonpb.ErrorCode_MetaFailed, "")
}

// TestUnknownPartitionFirst: that a partition is not there is said before that nothing is loaded.
func TestUnknownPartitionFirst(t *testing.T) {
	w := newWorld(t)
	ctx, c := testContext(t), w.client()
	makeCollection(t, w, "c", 1)
	st, err := c.ReleaseCollection(ctx, &milvuspb.ReleaseCollectionRequest{CollectionName: "c"})
	done(t, st, err)
	for names, want := range map[string]errs.Code{"nope": errs.PartitionNotFound, "_default": errs.CollectionNotLoaded} {
		q, err := c.Query(ctx, &milvuspb.QueryRequest{CollectionName: "c", Expr: "id > 0", PartitionNames: []string{names}})
		mustStatus(t, err)
		s, err := c.Search(ctx, &milvuspb.SearchRequest{CollectionName: "c", PartitionNames: []string{names}})
		mustStatus(t, err)
		if q.Status.Code != int32(want) || s.Status.Code != int32(want) {
			t.Errorf("%s: %v %v", names, q.Status, s.Status)
		}
	}
}
