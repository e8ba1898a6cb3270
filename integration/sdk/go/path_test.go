package sdkgo

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

// TestQuickStart: a collection by dimension alone, two rows, one search.
func TestQuickStart(t *testing.T) {
	ctx, c := connect(t)
	name := freshName()
	must(t, "create", c.CreateCollection(ctx, milvusclient.SimpleCreateCollectionOptions(name, 8).WithAutoID(false)))
	v := unit(2, 8, 3)
	_, err := c.Insert(ctx, milvusclient.NewColumnBasedInsertOption(name).WithInt64Column("id", []int64{1, 2}).WithFloatVectorColumn("vector", 8, v).
		WithVarcharColumn("text", []string{"sample 1", "sample 2"}))
	must(t, "insert", err)
	r, err := c.Search(ctx, milvusclient.NewSearchOption(name, 5, []entity.Vector{entity.FloatVector(v[1])}).
		WithConsistencyLevel(entity.ClStrong).WithOutputFields("text"))
	must(t, "search", err)
	equal(t, "nearest", longs(t, r[0].IDs), []int64{2, 1})
	text, err := r[0].GetColumn("text").GetAsString(0)
	if err != nil || text != "sample 2" {
		t.Errorf("text of the nearest: %q, %v", text, err)
	}
	must(t, "drop", c.DropCollection(ctx, milvusclient.NewDropCollectionOption(name)))
	has, err := c.HasCollection(ctx, milvusclient.NewHasCollectionOption(name))
	if err != nil || has {
		t.Errorf("after the drop: has %v, %v", has, err)
	}
}

func TestSearchIsExactOnGrowingAndSealedRows(t *testing.T) {
	for name, idx := range map[string]index.Index{"FLAT": index.NewFlatIndex(entity.COSINE), "HNSW": hnsw(), "AUTOINDEX": index.NewAutoIndex(entity.COSINE)} {
		t.Run(name, func(t *testing.T) {
			m := create(t, 300, idx)
			queries := unit(4, dim, 99)
			check := func() {
				t.Helper()
				for _, q := range queries {
					equal(t, "nearest", m.search(q, 10, ""), nearest(m.vectors, upTo(300), q, 10))
				}
			}
			check()
			m.flush()
			check()
			must(t, "release", m.client.ReleaseCollection(m.ctx, milvusclient.NewReleaseCollectionOption(m.name)))
			if _, err := m.client.Search(m.ctx, milvusclient.NewSearchOption(m.name, 1, []entity.Vector{entity.FloatVector(queries[0])})); err == nil {
				t.Error("a released collection answers a search")
			}
			m.load()
			check()
		})
	}
}

func TestFilters(t *testing.T) {
	m := create(t, 100, hnsw())
	cases := map[string]func(int64) bool{
		"n == 3":                        func(i int64) bool { return i%10 == 3 },
		"n in [1, 2] and id > 20":       func(i int64) bool { return (i%10 == 1 || i%10 == 2) && i > 20 },
		"price is null":                 func(i int64) bool { return i%5 == 0 },
		"price >= 40":                   func(i int64) bool { return i%5 != 0 && float64(i)/2 >= 40 },
		`word like "w1%" or id < 5`:     func(i int64) bool { return i%3 == 1 || i < 5 },
		`20 <= id < 25 and not (n > 3)`: func(i int64) bool { return i >= 20 && i < 24 },
	}
	for _, sealed := range []bool{false, true} {
		if sealed {
			m.flush()
		}
		for filter, pass := range cases {
			want := keep(upTo(100), pass)
			equal(t, "query "+filter, m.query(filter), want)
			if n := m.count(m.name, filter); n != int64(len(want)) {
				t.Errorf("%s: count %d, want %d", filter, n, len(want))
			}
			equal(t, "search "+filter, m.search(m.vectors[0], 5, filter), nearest(m.vectors, want, m.vectors[0], 5))
		}
	}
}

func TestQueryReturnsEveryField(t *testing.T) {
	m := create(t, 20, hnsw())
	for _, sealed := range []bool{false, true} {
		if sealed {
			m.flush()
		}
		r, err := m.client.Get(m.ctx, milvusclient.NewQueryOption(m.name).WithIDs(column.NewColumnInt64("id", []int64{7, 10})).WithOutputFields("*"))
		must(t, "get", err)
		equal(t, "ids", longs(t, r.GetColumn("id")), []int64{7, 10})
		equal(t, "n", longs(t, r.GetColumn("n")), []int64{7, 0})
		v, err := r.GetColumn("vec").Get(0)
		must(t, "read the vector", err)
		equal(t, "vector", []float32(v.(entity.FloatVector)), m.vectors[7])
		price := r.GetColumn("price")
		one, err := price.IsNull(0)
		two, err2 := price.IsNull(1)
		if err != nil || err2 != nil || one || !two {
			t.Errorf("price is null: %v, %v (%v, %v); want false, true", one, two, err, err2)
		}
	}
}

func TestUpsertAndDelete(t *testing.T) {
	m := create(t, 100, hnsw())
	for _, base := range []int64{20, 40} {
		if base == 40 {
			m.flush()
		}
		v := unit(1, dim, uint64(base))
		cols := rows(t, v, base)
		cols[3] = column.NewColumnVarChar("word", []string{"new"})
		up, err := m.client.Upsert(m.ctx, milvusclient.NewColumnBasedInsertOption(m.name).WithColumns(cols...))
		if err != nil || up.UpsertCount != 1 {
			t.Fatalf("upsert: %d, %v", up.UpsertCount, err)
		}
		equal(t, "rows with the new word", keep(m.query(`word == "new"`), func(i int64) bool { return i == base }), []int64{base})
		equal(t, "nearest of the new vector", m.search(v[0], 1, ""), []int64{base})

		_, err = m.client.Delete(m.ctx, milvusclient.NewDeleteOption(m.name).WithInt64IDs("id", []int64{base + 1}))
		must(t, "delete by key", err)
		_, err = m.client.Delete(m.ctx, milvusclient.NewDeleteOption(m.name).WithExpr(fmt.Sprintf("id in [%d, %d]", base+2, base+3)))
		must(t, "delete by filter", err)
		equal(t, "rows left", keep(m.query("id >= 0"), func(i int64) bool { return i >= base && i < base+5 }), []int64{base, base + 4})
	}
}

func TestPartitions(t *testing.T) {
	m := create(t, 10, hnsw())
	must(t, "create partition", m.client.CreatePartition(m.ctx, milvusclient.NewCreatePartitionOption(m.name, "p1")))
	names, err := m.client.ListPartitions(m.ctx, milvusclient.NewListPartitionOption(m.name))
	must(t, "list partitions", err)
	slices.Sort(names)
	equal(t, "partitions", names, []string{"_default", "p1"})
	has, err := m.client.HasPartition(m.ctx, milvusclient.NewHasPartitionOption(m.name, "p2"))
	if err != nil || has {
		t.Errorf("has p2: %v, %v", has, err)
	}
	v := unit(5, dim, 3)
	_, err = m.client.Insert(m.ctx, milvusclient.NewColumnBasedInsertOption(m.name).WithColumns(rows(t, v, 1000)...).WithPartition("p1"))
	must(t, "insert", err)
	equal(t, "rows of p1", m.query("id >= 0", "p1"), []int64{1000, 1001, 1002, 1003, 1004})
	if n := len(m.query("id >= 0")); n != 15 {
		t.Errorf("%d rows in all, want 15", n)
	}
	r, err := m.client.Search(m.ctx, milvusclient.NewSearchOption(m.name, 20, []entity.Vector{entity.FloatVector(v[0])}).WithPartitions("p1"))
	must(t, "search p1", err)
	if r[0].ResultCount != 5 {
		t.Errorf("%d hits in p1, want 5", r[0].ResultCount)
	}
	must(t, "release p1", m.client.ReleasePartitions(m.ctx, milvusclient.NewReleasePartitionsOptions(m.name, "p1")))
	must(t, "drop p1", m.client.DropPartition(m.ctx, milvusclient.NewDropPartitionOption(m.name, "p1")))
	if n := m.count(m.name, ""); n != 10 {
		t.Errorf("%d rows after the drop, want 10", n)
	}
}

func TestAliasesRenamingDatabases(t *testing.T) {
	m := create(t, 10, hnsw())
	alias := m.name + "_a"
	must(t, "create alias", m.client.CreateAlias(m.ctx, milvusclient.NewCreateAliasOption(m.name, alias)))
	if n := m.count(alias, ""); n != 10 {
		t.Errorf("%d rows by the alias, want 10", n)
	}
	d, err := m.client.DescribeAlias(m.ctx, milvusclient.NewDescribeAliasOption(alias))
	if err != nil || d.CollectionName != m.name {
		t.Errorf("describe alias: %+v, %v", d, err)
	}
	must(t, "drop alias", m.client.DropAlias(m.ctx, milvusclient.NewDropAliasOption(alias)))

	renamed := m.name + "_r"
	must(t, "rename", m.client.RenameCollection(m.ctx, milvusclient.NewRenameCollectionOption(m.name, renamed)))
	if n := m.count(renamed, ""); n != 10 {
		t.Errorf("%d rows under the new name, want 10", n)
	}
	must(t, "rename back", m.client.RenameCollection(m.ctx, milvusclient.NewRenameCollectionOption(renamed, m.name)))

	db := "db_" + m.name
	must(t, "create database", m.client.CreateDatabase(m.ctx, milvusclient.NewCreateDatabaseOption(db)))
	other, err := milvusclient.New(m.ctx, &milvusclient.ClientConfig{Address: address(t, "GYR_URI2"), DBName: db})
	must(t, "connect to the database", err)
	defer other.Close(m.ctx)
	must(t, "create in the database", other.CreateCollection(m.ctx, milvusclient.SimpleCreateCollectionOptions(m.name, 8)))
	names, err := other.ListCollections(m.ctx, milvusclient.NewListCollectionOption())
	must(t, "list collections", err)
	equal(t, "collections of the database", names, []string{m.name})
	must(t, "drop in the database", other.DropCollection(m.ctx, milvusclient.NewDropCollectionOption(m.name)))
	must(t, "drop database", m.client.DropDatabase(m.ctx, milvusclient.NewDropDatabaseOption(db)))
}

func TestDescribeStatisticsStates(t *testing.T) {
	m := create(t, 50, hnsw())
	d, err := m.client.DescribeCollection(m.ctx, milvusclient.NewDescribeCollectionOption(m.name))
	must(t, "describe", err)
	var fields []string
	for _, f := range d.Schema.Fields {
		fields = append(fields, f.Name)
	}
	equal(t, "fields", fields, []string{"id", "vec", "n", "word", "price"})
	if !d.Schema.EnableDynamicField || d.Name != m.name {
		t.Errorf("described as %+v", d)
	}
	m.flush()
	stats, err := m.client.GetCollectionStats(m.ctx, milvusclient.NewGetCollectionStatsOption(m.name))
	if err != nil || stats["row_count"] != "50" {
		t.Errorf("statistics %v, %v", stats, err)
	}
	idx, err := m.client.DescribeIndex(m.ctx, milvusclient.NewDescribeIndexOption(m.name, "vec"))
	must(t, "describe index", err)
	if p := idx.Params(); p["index_type"] != "HNSW" || p["metric_type"] != "COSINE" {
		t.Errorf("index %v", p)
	}
	for _, want := range []entity.LoadStateCode{entity.LoadStateLoaded, entity.LoadStateNotLoad} {
		s, err := m.client.GetLoadState(m.ctx, milvusclient.NewGetLoadStateOption(m.name))
		if err != nil || s.State != want {
			t.Errorf("load state %v, %v; want %v", s.State, err, want)
		}
		must(t, "release", m.client.ReleaseCollection(m.ctx, milvusclient.NewReleaseCollectionOption(m.name)))
	}
}

func TestHybridSearch(t *testing.T) {
	ctx, c := connect(t)
	name := freshName()
	s := entity.NewSchema().
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("a").WithDataType(entity.FieldTypeFloatVector).WithDim(dim)).
		WithField(entity.NewField().WithName("b").WithDataType(entity.FieldTypeFloatVector).WithDim(8))
	must(t, "create", c.CreateCollection(ctx, milvusclient.NewCreateCollectionOption(name, s).WithIndexOptions(
		milvusclient.NewCreateIndexOption(name, "a", index.NewFlatIndex(entity.COSINE)), milvusclient.NewCreateIndexOption(name, "b", index.NewHNSWIndex(entity.IP, 16, 100)))))
	m := made{t, ctx, c, name, unit(100, dim, 7)}
	defer func() { must(t, "drop", c.DropCollection(ctx, milvusclient.NewDropCollectionOption(name))) }()
	m.load()
	b := unit(100, 8, 8)
	_, err := c.Insert(ctx, milvusclient.NewColumnBasedInsertOption(name).WithInt64Column("id", upTo(100)).
		WithFloatVectorColumn("a", dim, m.vectors).WithFloatVectorColumn("b", 8, b))
	must(t, "insert", err)

	qa, qb := unit(1, dim, 70)[0], unit(1, 8, 71)[0]
	scores := map[int64]float64{}
	for _, ranked := range [][]int64{nearest(m.vectors, upTo(100), qa, 20), nearest(b, upTo(100), qb, 20)} {
		for i, id := range ranked {
			scores[id] += 1 / float64(60+i+1)
		}
	}
	r, err := c.HybridSearch(ctx, milvusclient.NewHybridSearchOption(name, 5,
		milvusclient.NewAnnRequest("a", 20, entity.FloatVector(qa)), milvusclient.NewAnnRequest("b", 20, entity.FloatVector(qb)),
	).WithReranker(milvusclient.NewRRFReranker()).WithConsistencyLevel(entity.ClStrong))
	must(t, "hybrid search", err)
	got := longs(t, r[0].IDs)
	if len(got) != 5 {
		t.Fatalf("%d hits, want 5", len(got))
	}
	for i, id := range got {
		if math.Abs(float64(r[0].Scores[i])-scores[id]) > 1e-6 {
			t.Errorf("hit %d has score %v, want %v", id, r[0].Scores[i], scores[id])
		}
		delete(scores, id)
	}
	for id, s := range scores {
		if s > float64(r[0].Scores[4])+1e-6 {
			t.Errorf("row %d with score %v is missing", id, s)
		}
	}
}

func TestIterators(t *testing.T) {
	m := create(t, 250, hnsw())
	it, err := m.client.QueryIterator(m.ctx, milvusclient.NewQueryIteratorOption(m.name).WithFilter("n < 8").WithBatchSize(60).WithOutputFields("id"))
	must(t, "query iterator", err)
	var got []int64
	for {
		page, err := it.Next(m.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, "next page", err)
		got = append(got, longs(t, page.GetColumn("id"))...)
	}
	equal(t, "rows of the iterator", got, keep(upTo(250), func(i int64) bool { return i%10 < 8 }))

	sit, err := m.client.SearchIterator(m.ctx, milvusclient.NewSearchIteratorOption(m.name, entity.FloatVector(m.vectors[0])).WithBatchSize(64).WithIteratorLimit(200).WithANNSField("vec"))
	must(t, "search iterator", err)
	seen := map[int64]bool{}
	for {
		page, err := sit.Next(m.ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, "next page", err)
		for _, id := range longs(t, page.IDs) {
			if seen[id] {
				t.Fatalf("row %d comes twice", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d hits, want 200", len(seen))
	}
}
