package catalog

import (
	"reflect"
	"testing"

	"github.com/gyr-db/gyr/pkg/meta"
)

// FuzzTables: no key and no record in the store makes the mirror panic, and what was put is gone after its removal.
func FuzzTables(f *testing.F) {
	for _, key := range []string{
		ClusterKey, LeaderKey, OracleKey, DatabaseKey("d"), CollectionKey(1), AliasKey("d", "a"), ShardKey(1, 2), ViewKey(1, 2, 3),
		LogKey(1), MarksKey(1), EpochKey(1), OwnerKey(1), NodeKey(RoleProxy, 1), TaskKey(1), "", "/", "view/1/2", "shard/1/2/3", "alias//",
		"collection/01", "collection/+1",
	} {
		f.Add(key, []byte(`{"id":1,"db":"d","name":"n"}`), []byte(`1`))
	}
	f.Fuzz(func(t *testing.T, key string, first, second []byte) {
		tables := newTables()
		report := func(string, error) {}
		for i, value := range [][]byte{first, second, first} {
			tables.put(meta.KV{Key: key, Value: value, ModRev: int64(i + 1)}, report)
		}
		tables.remove(key)
		if !reflect.DeepEqual(tables, newTables()) {
			t.Errorf("after %q was removed there is %+v", key, tables)
		}
	})
}
