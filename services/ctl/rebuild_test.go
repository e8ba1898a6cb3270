package ctl

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/catalog/copies"
	"github.com/gyr-db/gyr/pkg/meta"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/mq"
	mqmem "github.com/gyr-db/gyr/pkg/mq/mem"
	"github.com/gyr-db/gyr/pkg/objstore"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
	"github.com/gyr-db/gyr/services/process"
)

// lost is a cluster whose metadata store is gone: what its bucket and its log hold, and an empty store.
type lost struct {
	t       *testing.T
	copy    *copies.Copy
	objects objstore.Store
	queue   *mqmem.Queue
	store   *metamem.Store
	log     mq.Log
	marks   catalog.LogMarks
}

var copied = time.Now().Add(-time.Minute).Truncate(time.Millisecond)

func newLost(t *testing.T) *lost {
	l := &lost{t: t, objects: objmem.New(), queue: mqmem.New(), store: metamem.New()}
	t.Cleanup(func() { l.store.Close() })
	id := mq.LogID{Name: "log", UUID: "u"}
	l.must(l.queue.Create(t.Context(), id))
	var err error
	l.log, err = l.queue.Open(t.Context(), id, 0)
	l.must(err)
	l.append(wal.Record{Epoch: 1, Kind: wal.Fence})
	at := l.append(wal.Record{Epoch: 1, Seq: 1, Kind: wal.Insert, Collection: 7, TS: tso.FromTime(copied) - 5, Keys: []byte{1}})
	l.marks = catalog.LogMarks{Checkpoint: at, Truncated: 0, Epoch: 1, Seq: 1, TS: tso.FromTime(copied) - 5}
	l.copy = &copies.Copy{Cluster: "c", Revision: 9, Time: copied}
	l.set(catalog.ClusterKey, catalog.Cluster{UUID: "c", Format: 1, Logs: 1})
	l.set(catalog.LogKey(0), catalog.Log{Name: "log", UUID: "u", Created: true})
	l.set(catalog.MarksKey(0), l.marks)
	l.copy.Set(catalog.EpochKey(0), []byte("1"))
	l.copy.Set(catalog.IDsKey, []byte("2000"))
	l.copy.Set(catalog.OracleKey, []byte("5"))
	l.set(catalog.CollectionKey(7), catalog.Collection{ID: 7, Name: "seven", Load: &catalog.Load{}, Partitions: []catalog.Partition{{ID: 70}}, Schema: schema.Schema{Version: 1}})
	l.set(catalog.ShardKey(7, 0), catalog.Shard{
		Collection: 7,
		Segments:   []catalog.Segment{{ID: 71, Rows: 3, Dir: "segments/a", Indexes: []catalog.SegmentIndex{{IndexID: 1, Path: "indexes/a/x"}, {IndexID: 2, Path: "indexes/a/y"}}}},
		Deltas:     []catalog.Delta{{Path: "deltas/d", Count: 2}},
	})
	for _, key := range []string{"segments/a/rows.parquet", "indexes/a/x", "deltas/d"} {
		l.object(key, []byte("x"))
	}
	return l
}

func (l *lost) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lost) set(key string, v any) {
	l.t.Helper()
	op, err := catalog.Put(key, v)
	l.must(err)
	l.copy.Set(key, op.Value)
}

func (l *lost) object(key string, body []byte) {
	l.t.Helper()
	l.must(l.objects.Put(l.t.Context(), key, bytes.NewReader(body), int64(len(body)), objstore.PutOptions{}))
}

func (l *lost) append(r wal.Record) mq.Position {
	l.t.Helper()
	at, err := l.log.Append(l.t.Context(), wal.EncodeGroup(nil, []wal.Record{r}), mq.AppendOptions{Pinned: r.Kind == wal.Fence})
	l.must(err)
	return at
}

// rebuild writes the copy to the bucket and runs gyr-ctl.
func (l *lost) rebuild(args ...string) (int, string) {
	l.t.Helper()
	_, _, err := copies.Write(l.t.Context(), l.objects, l.copy)
	l.must(err)
	return l.run(append([]string{"rebuild"}, args...)...)
}

func (l *lost) run(args ...string) (int, string) {
	l.t.Helper()
	role := process.Role{Name: "gyr-standalone", Open: func(_ context.Context, env *process.Env) error {
		env.Meta, env.Objects, env.Queue = l.store, l.objects, l.queue
		return nil
	}}
	var out, errOut bytes.Buffer
	code := Main(append([]string{"catalog"}, args...), &out, &errOut, RoleSettings([]process.Role{role}, nil))
	return code, out.String() + errOut.String()
}

func (l *lost) number(key string) uint64 {
	l.t.Helper()
	n, _, err := catalog.ReadNumber(l.t.Context(), l.store, key)
	l.must(err)
	return n
}

// want fails unless the exit code is right and the words were said.
func (l *lost) want(code, wanted int, out string, words ...string) {
	l.t.Helper()
	if code != wanted {
		l.t.Fatalf("exit code %d, want %d:\n%s", code, wanted, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			l.t.Errorf("%q is not said:\n%s", w, out)
		}
	}
}

func TestRebuildGoesAboveTheLog(t *testing.T) {
	l := newLost(t)
	ahead := tso.FromTime(time.Now().Add(time.Hour)) // the old leader's clock was ahead
	l.append(wal.Record{Epoch: 6, Kind: wal.Fence})
	l.append(wal.Record{Epoch: 6, Seq: 1, Kind: wal.Delete, Collection: 7, TS: ahead, Keys: []byte{1}})
	l.append(wal.Record{Epoch: 6, Seq: 2, Kind: wal.Seal, Collection: 7, TS: ahead + 1, Seal: []wal.SealedSegment{{Partition: 70, Segment: 5000}}})
	code, out := l.rebuild()
	l.want(code, 0, out, "Restored catalog/", "1 collections (1 of them to be loaded)", "1 segments of 3 rows")
	if e := l.number(catalog.EpochKey(0)); e != 6 {
		t.Errorf("epoch %d", e)
	}
	if o := l.number(catalog.OracleKey); o != ahead+2 {
		t.Errorf("oracle %d, want %d", o, ahead+2)
	}
	if n := l.number(catalog.IDsKey); n != 5001+idLeap {
		t.Errorf("ids from %d", n)
	}
	marks, _, err := catalog.Read[catalog.LogMarks](t.Context(), l.store, catalog.MarksKey(0))
	l.must(err)
	if marks.Checkpoint != l.marks.Checkpoint || marks.Truncated != marks.Checkpoint {
		t.Errorf("marks %+v", marks)
	}
	shard, _, err := catalog.Read[catalog.Shard](t.Context(), l.store, catalog.ShardKey(7, 0))
	l.must(err)
	if x := shard.Segments[0].Indexes; len(x) != 1 || x[0].IndexID != 1 {
		t.Errorf("an index file that is missing is still named: %+v", x)
	}
	record, _, err := catalog.Read[catalog.Copies](t.Context(), l.store, catalog.CopiesKey)
	l.must(err)
	if floor, held := record.Floor(0); !held || floor != l.marks.Checkpoint {
		t.Errorf("the copy is not protected: %+v", record)
	}
}

func TestRebuildSaysWhatIsMissing(t *testing.T) {
	l := newLost(t)
	later := tso.FromTime(copied) + 10
	l.append(wal.Record{Epoch: 1, Seq: 2, Kind: wal.Insert, Collection: 6, TS: later - 15, Keys: []byte{1}}) // dropped before the copy
	l.append(wal.Record{Epoch: 1, Seq: 3, Kind: wal.Insert, Collection: 8, TS: later, Keys: []byte{1}})
	l.append(wal.Record{Epoch: 1, Seq: 4, Kind: wal.Insert, Collection: 7, TS: later + 1, SchemaVersion: 2, Parts: []wal.Part{{Partition: 70}, {Partition: 72}}})
	l.must(l.objects.Delete(t.Context(), "segments/a/rows.parquet", "deltas/d"))
	code, out := l.rebuild()
	l.want(code, 1, out, "writes of collection 8, which", "writes of partition 72 of collection 7", "writes of schema version 2 of collection 7",
		"the files of segment 71 (3 rows) of collection 7 shard 0 are missing", "deltas/d with 2 deletes")
	if strings.Contains(out, "collection 6") || strings.Contains(out, "partition 70") {
		t.Errorf("what is known, or was dropped before the copy, is called missing:\n%s", out)
	}
}

func TestRebuildRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		stage func(l *lost)
		want  string
	}{
		"a store with a cluster": {func(l *lost) {
			_, _, err := l.store.Txn(l.t.Context(), nil, []meta.Op{{Key: catalog.ClusterKey, Value: []byte("{}")}})
			l.must(err)
		}, "not empty"},
		"a truncated log": {func(l *lost) {
			for i := range 3 {
				l.append(wal.Record{Epoch: 1, Seq: 2 + uint64(i), Kind: wal.Insert, Collection: 7, TS: tso.FromTime(copied), Keys: []byte{1}})
			}
			l.must(l.log.Truncate(l.t.Context(), l.marks.Checkpoint+2))
		}, "log 0 (log): it was truncated"},
		"another log": {func(l *lost) {
			l.marks.Seq = 5
			l.set(catalog.MarksKey(0), l.marks)
		}, "it is another log"},
		"an unknown log": {func(l *lost) { l.set(catalog.LogKey(0), catalog.Log{Name: "gone", UUID: "u", Created: true}) }, "open it"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLost(t)
			tc.stage(l)
			before, _, err := l.store.List(t.Context(), "")
			l.must(err)
			code, out := l.rebuild()
			l.want(code, 2, out, tc.want)
			if after, _, _ := l.store.List(t.Context(), ""); len(after) != len(before) {
				t.Errorf("refused, but %d keys were written", len(after)-len(before))
			}
		})
	}
}

func TestRebuildTakesTheCopyBefore(t *testing.T) {
	l := newLost(t)
	newest := fmt.Sprintf("%s%s-%016d.gyrcat", copies.Folder, copied.Add(time.Second).UTC().Format("20060102T150405.000Z"), 10)
	l.object(newest, []byte("half"))
	code, out := l.rebuild("--dry-run")
	l.want(code, 1, out, newest+": damaged", "Would restore "+l.copy.Name(), "Nothing was written")
	code, out = l.run("copies")
	l.want(code, 1, out, newest, "damaged", l.copy.Name(), "good")
	code, out = l.rebuild("--copy", newest)
	l.want(code, 2, out, "no copy of the catalog can be read")
	code, out = l.rebuild("--copy=" + l.copy.Name())
	l.want(code, 0, out, "Restored")
	if kvs, _, _ := l.store.List(t.Context(), ""); slices.ContainsFunc(kvs, func(kv meta.KV) bool { return kv.Key == "rebuild" }) {
		t.Error("the mark of a rebuild is left")
	}
}

func TestNoCopies(t *testing.T) {
	l := newLost(t)
	code, out := l.run("rebuild")
	l.want(code, 2, out, "holds no copy")
	code, out = l.run("copies")
	l.want(code, 1, out, "holds no copy")
	code, out = l.run("mend")
	l.want(code, 2, out, "usage: gyr-ctl catalog")
}
