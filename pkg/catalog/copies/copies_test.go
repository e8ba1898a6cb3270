package copies

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	metamem "github.com/gyr-db/gyr/pkg/meta/mem"
	"github.com/gyr-db/gyr/pkg/objstore"
	objmem "github.com/gyr-db/gyr/pkg/objstore/mem"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// filled is a store with a bit of everything; n collections.
func filled(t *testing.T, n int) *metamem.Store {
	t.Helper()
	store := metamem.New()
	t.Cleanup(func() { store.Close() })
	lease, err := store.Grant(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, v any, id meta.LeaseID) {
		op, err := catalog.Put(key, v)
		if err != nil {
			t.Fatal(err)
		}
		op.Lease = id
		if _, _, err := store.Txn(t.Context(), nil, []meta.Op{op}); err != nil {
			t.Fatal(err)
		}
	}
	put(catalog.ClusterKey, catalog.Cluster{UUID: "c", Format: 1, Logs: 1}, 0)
	put(catalog.LogKey(0), catalog.Log{Name: "log", UUID: "u", Created: true}, 0)
	put(catalog.MarksKey(0), catalog.LogMarks{Checkpoint: 42, Truncated: 7, Epoch: 3, Seq: 9}, 0)
	put(catalog.EpochKey(0), 3, 0)
	for i := range n {
		put(catalog.CollectionKey(int64(i)), catalog.Collection{ID: int64(i), Name: strings.Repeat("n", 100)}, 0)
		put(catalog.ShardKey(int64(i), 0), catalog.Shard{Collection: int64(i)}, 0)
	}
	put("some/later/kind", "x", 0)
	put(catalog.OwnerKey(0), catalog.Owner{Node: 1}, lease.ID())
	put(catalog.NodeKey(catalog.RoleProxy, 1), catalog.Node{ID: 1}, lease.ID())
	put(catalog.LeaderKey, catalog.Node{ID: 1}, lease.ID())
	put(catalog.TaskKey(5), catalog.Task{ID: 5}, 0)
	put(catalog.ViewKey(1, 0, 0), catalog.View{Number: 5}, 0)
	put("intent/segments/1", "x", 0)
	put("anything/leased", "x", lease.ID())
	return store
}

func take(t *testing.T, store meta.Store) *Copy {
	t.Helper()
	c, err := Take(t.Context(), store, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTakeLeavesOutWhatDiesWithItsOwner(t *testing.T) {
	c := take(t, filled(t, 1))
	var keys []string
	for _, r := range c.Records {
		keys = append(keys, r.Key)
	}
	want := []string{"cluster", "collection/0", "epoch/0", "log/0", "marks/0", "shard/0/0", "some/later/kind"}
	if !slices.Equal(keys, want) || c.Cluster != "c" {
		t.Errorf("copied %q, want %q", keys, want)
	}
	marks, err := c.Checkpoints()
	if err != nil || marks[0].Checkpoint != 42 {
		t.Errorf("checkpoints %+v, %v", marks, err)
	}
	empty := metamem.New()
	defer empty.Close()
	if _, err := Take(t.Context(), empty, at); err == nil {
		t.Error("a store without a cluster was copied")
	}
}

func TestWriteListRead(t *testing.T) {
	objects := objmem.New()
	c := take(t, filled(t, 40))
	later := *c
	later.Time, later.Revision = at.Add(time.Minute), c.Revision+1
	for _, x := range []*Copy{c, &later} {
		if _, _, err := Write(t.Context(), objects, x); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := List(t.Context(), objects)
	if err != nil || len(keys) != 2 || keys[0] != later.Name() || keys[1] != c.Name() {
		t.Fatalf("%q, %v", keys, err)
	}
	got, err := Read(t.Context(), objects, c.Name())
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

// TestDamage: a copy with any byte changed, or cut at any place, is refused and named.
func TestDamage(t *testing.T) {
	c := take(t, filled(t, 3))
	raw, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 0x10
		if _, err := Decode(bad); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d of %d changed: %v", i, len(raw), err)
		}
		if _, err := Decode(raw[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d of %d: %v", i, len(raw), err)
		}
	}
	objects := objmem.New()
	for key, body := range map[string][]byte{c.Name(): raw[:len(raw)-5], Folder + "20200101T000000.000Z-1" + suffix: raw} {
		if err := objects.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(t.Context(), objects, key); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestRestore(t *testing.T) {
	c := take(t, filled(t, 500)) // several transactions
	store := metamem.New()
	defer store.Close()
	if err := Restore(t.Context(), store, c); err != nil {
		t.Fatal(err)
	}
	again := take(t, store)
	if !reflect.DeepEqual(again.Records, c.Records) {
		t.Errorf("restored %d records, want %d", len(again.Records), len(c.Records))
	}
	if err := Restore(t.Context(), store, c); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restored over a cluster: %v", err)
	}
}

// TestRestoreCutShort: what a rebuild left that was cut short is begun anew; anything else is not touched.
func TestRestoreCutShort(t *testing.T) {
	c := take(t, filled(t, 10))
	for _, tc := range []struct {
		ops  []meta.Op
		want string
	}{
		{[]meta.Op{{Key: rebuildKey, Value: []byte("x")}, {Key: "database/old", Value: []byte("{}")}}, ""},
		{[]meta.Op{{Key: "database/old", Value: []byte("{}")}}, "not empty, it holds 1 keys (database/old"},
		{[]meta.Op{{Key: catalog.ClusterKey, Value: []byte("{}")}}, "holds a cluster"},
	} {
		store := metamem.New()
		if _, _, err := store.Txn(t.Context(), nil, tc.ops); err != nil {
			t.Fatal(err)
		}
		err := Restore(t.Context(), store, c)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%v: %v, want %q", tc.ops, err, tc.want)
		}
		if _, err := store.Get(t.Context(), "database/old"); tc.want == "" && err == nil {
			t.Error("a key of the attempt that was cut short is left")
		}
		store.Close()
	}
	if err := Restore(t.Context(), filled(t, 1), c); err == nil || !strings.Contains(err.Error(), "are running") {
		t.Errorf("restored below running processes: %v", err)
	}
}

func TestSetAndUnder(t *testing.T) {
	c := &Copy{}
	for _, k := range []string{"b/2", "a", "b/1", "c", "b/1"} {
		c.Set(k, []byte(k))
	}
	if got := fmt.Sprintf("%d %d %d %s %v", len(c.Records), len(c.Under("b/")), len(c.Under("x")), c.Raw("b/2"), c.Raw("b/3") == nil); got != "4 2 0 b/2 true" {
		t.Error(got)
	}
}

// FuzzDecode: foreign bytes are refused or read, never a panic; what is read encodes to the same copy.
func FuzzDecode(f *testing.F) {
	c := &Copy{Cluster: "c", Revision: 5, Time: at, Records: []Record{{"a", []byte("1")}, {"b", nil}}}
	raw, err := Encode(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-sha256.Size])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, src []byte) {
		check := func(src []byte) {
			c, err := Decode(src)
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("%v is not ErrDamaged", err)
				}
				return
			}
			raw, err := Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Decode(raw)
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Fatalf("%+v, %v, want %+v", again, err, c)
			}
		}
		check(src)
		// With the sizes and the checksum set right, the fuzzer gets to what is behind them.
		if len(src) >= headerSize {
			fixed := slices.Clone(src)
			for i, b := range []byte{version, 0, 0, 0} {
				fixed[len(magic)+i] = b
			}
			copy(fixed, magic)
			n := uint64(len(src) - headerSize)
			for i := range 8 {
				fixed[headerSize-8+i] = byte(n >> (8 * i))
			}
			sum := sha256.Sum256(fixed)
			check(append(fixed, sum[:]...))
		}
		if got, err := decodeRaw(src); err == nil {
			if _, err := Encode(got); err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}
