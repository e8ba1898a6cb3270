package background

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/integration/client"
)

// find searches for the k nearest rows under Strong.
func find(ctx context.Context, c *client.Client, table, expr string, vector []float32, k int) ([]int64, error) {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	group, err := proto.Marshal(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{
		{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector, Values: [][]byte{raw}},
	}})
	if err != nil {
		return nil, err
	}
	r, err := c.Search(ctx, &milvuspb.SearchRequest{
		CollectionName: table, Dsl: expr, DslType: commonpb.DslType_BoolExprV1, Nq: 1, ConsistencyLevel: commonpb.ConsistencyLevel_Strong,
		SearchInput:  &milvuspb.SearchRequest_PlaceholderGroup{PlaceholderGroup: group},
		SearchParams: []*commonpb.KeyValuePair{{Key: "topk", Value: fmt.Sprint(k)}, {Key: "anns_field", Value: "vec"}, {Key: "ef", Value: fmt.Sprint(max(k, 200))}},
	})
	if err := client.Check(r.GetStatus(), err); err != nil {
		return nil, err
	}
	return r.Results.GetIds().GetIntId().GetData(), nil
}

// search searches with a filter that only stable rows pass, and without one near a stable row.
func (s *stand) search(ctx context.Context, table string) {
	m, missed := s.model[table], 0
	for n := 0; ctx.Err() == nil; n++ {
		key := int64(n*7) % stable
		call, cancel := call(ctx)
		begin := time.Now()
		got, err := find(call, s.any(n), table, fmt.Sprintf("key < %d", stable), m.Vector(key, 1), stable)
		s.times.since("search with a filter", begin)
		if err == nil {
			err = allStable(got)
		}
		if err != nil {
			s.fail("%s: search with a filter after %s: %v", table, ms(time.Since(begin)), err)
		}
		begin = time.Now()
		got, err = find(call, s.any(n+1), table, "", m.Vector(key, 1), 10)
		s.times.since("search", begin)
		switch {
		case err != nil:
			s.fail("%s: search after %s: %v", table, ms(time.Since(begin)), err)
		case len(got) != 10 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 10:
			s.fail("%s: a search for 10 rows finds %v", table, got)
		case got[0] != key:
			missed++
			if table == "FLAT" {
				s.fail("FLAT: the row itself is not its nearest: %v, want %d first", got, key)
			}
		}
		cancel()
		s.counts.searches.Add(2)
		pause(ctx, 5*time.Millisecond)
	}
	if searches := s.counts.searches.Load(); int64(missed)*100 > searches { // a graph may miss a row now and then
		s.fail("%s: the row itself is not its nearest in %d searches", table, missed)
	}
}

// allStable: each stable key once and nothing else.
func allStable(keys []int64) error {
	seen := map[int64]bool{}
	for _, k := range keys {
		if k < 0 || k >= stable || seen[k] {
			return fmt.Errorf("key %d is strange or there twice", k)
		}
		seen[k] = true
	}
	if len(seen) != stable {
		return fmt.Errorf("%d of %d rows that nobody touches are found", len(seen), stable)
	}
	return nil
}

// query reads and counts the stable rows.
func (s *stand) query(ctx context.Context, table string) {
	m := s.model[table]
	for n := 0; ctx.Err() == nil; n++ {
		call, cancel := call(ctx)
		begin := time.Now()
		rows, err := s.any(n).QueryRows(call, table, fmt.Sprintf("key < %d", stable), 0)
		s.times.since("query", begin)
		var keys []int64
		for _, r := range rows {
			keys = append(keys, r.Key)
			if r.Version != 1 || !slices.Equal(r.Vector, m.Vector(r.Key, 1)) {
				s.fail("%s: key %d has version %d or another vector", table, r.Key, r.Version)
			}
		}
		if err == nil {
			err = allStable(keys)
		}
		if err != nil {
			s.fail("%s: query after %s: %v", table, ms(time.Since(begin)), err)
		}
		begin = time.Now()
		r, err := s.any(n+1).Query(call, &milvuspb.QueryRequest{
			CollectionName: table, Expr: fmt.Sprintf("key < %d", stable), OutputFields: []string{"count(*)"}, ConsistencyLevel: commonpb.ConsistencyLevel_Strong,
		})
		s.times.since("count", begin)
		if err := client.Check(r.GetStatus(), err); err != nil {
			s.fail("%s: count after %s: %v", table, ms(time.Since(begin)), err)
		} else if got := longs(r.FieldsData, "count(*)"); !slices.Equal(got, []int64{stable}) {
			s.fail("%s: count(*) of the rows that nobody touches is %v, want %d", table, got, stable)
		}
		cancel()
		s.counts.queries.Add(2)
		pause(ctx, 5*time.Millisecond)
	}
}

func longs(fields []*schemapb.FieldData, name string) []int64 {
	for _, f := range fields {
		if f.FieldName == name {
			return f.GetScalars().GetLongData().GetData()
		}
	}
	return nil
}

// moment is a state of a collection: versions by key.
type moment map[int64]int64

// scan pins a moment, and reads everything at it several times while it becomes older.
func (s *stand) scan(ctx context.Context, table string) {
	for n := 0; ctx.Err() == nil; n++ {
		if err := s.scanOnce(ctx, table, n); err != nil {
			s.fail("%s: %v", table, err)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func (s *stand) scanOnce(ctx context.Context, table string, n int) error {
	timed, cancel := call(ctx)
	defer cancel()
	_, ts, err := page(timed, s.any(n), table, 0, 0)
	if err != nil || ts == 0 {
		return fmt.Errorf("pin a moment: timestamp %d, %w", ts, err)
	}
	pinned := time.Now()
	var first moment
	for i, age := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond} {
		pause(ctx, age-time.Since(pinned))
		begin := time.Now()
		now, err := s.at(timed, table, ts, n+i)
		s.times.since("scan", begin)
		if err != nil {
			return fmt.Errorf("scan %d of a moment %s ago: %w", i, ms(time.Since(pinned)), err)
		}
		if i == 0 {
			first = now
		}
		if err := now.same(first); err != nil {
			return fmt.Errorf("scan %d of a moment %s ago: %w", i, ms(time.Since(pinned)), err)
		}
	}
	s.counts.scans.Add(1)
	return nil
}

// at reads everything at a pinned timestamp, page by page through all proxies by turns.
func (s *stand) at(ctx context.Context, table string, ts uint64, n int) (moment, error) {
	m := moment{}
	for from := int64(0); ; n++ {
		rows, _, err := page(ctx, s.any(n), table, ts, from)
		if err != nil || len(rows) == 0 {
			return m, err
		}
		maps.Copy(m, rows)
		from = slices.Max(slices.Collect(maps.Keys(rows))) + 1
	}
}

// page reads the versions of the next keys from a key on, at a pinned timestamp; 0 pins one.
func page(ctx context.Context, c *client.Client, table string, ts uint64, from int64) (moment, uint64, error) {
	r, err := c.Query(ctx, &milvuspb.QueryRequest{
		CollectionName: table, Expr: fmt.Sprintf("key >= %d", from), OutputFields: []string{"key", "version"},
		ConsistencyLevel: commonpb.ConsistencyLevel_Strong, GuaranteeTimestamp: ts,
		QueryParams: []*commonpb.KeyValuePair{{Key: "iterator", Value: "True"}, {Key: "reduce_stop_for_best", Value: "True"}, {Key: "limit", Value: "5000"}},
	})
	if err := client.Check(r.GetStatus(), err); err != nil {
		return nil, 0, err
	}
	keys, versions := longs(r.FieldsData, "key"), longs(r.FieldsData, "version")
	if len(keys) != len(versions) {
		return nil, 0, fmt.Errorf("%d keys, %d versions", len(keys), len(versions))
	}
	m := moment{}
	for i, k := range keys {
		if v, twice := m[k]; twice {
			return nil, 0, fmt.Errorf("key %d is there twice, versions %d and %d", k, v, versions[i])
		}
		m[k] = versions[i]
	}
	return m, r.SessionTs, nil
}

// same says how two reads of one moment differ.
func (m moment) same(first moment) error {
	var bad []error
	for k, v := range first {
		if m[k] != v {
			bad = append(bad, fmt.Errorf("key %d had version %d, has %d (0: none)", k, v, m[k]))
		}
	}
	for k, v := range m {
		if first[k] == 0 {
			bad = append(bad, fmt.Errorf("key %d has version %d, was not there", k, v))
		}
	}
	for k := range int64(stable) {
		if m[k] != 1 {
			bad = append(bad, fmt.Errorf("stable key %d has version %d", k, m[k]))
		}
	}
	if n := len(bad); n > 5 {
		bad = append(bad[:5], fmt.Errorf("and %d more", n-5))
	}
	return errors.Join(bad...)
}
