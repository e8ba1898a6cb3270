package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/meta"
)

// tables is the catalog by key and by the ways it is looked up. It has no lock of its own.
type tables struct {
	revs map[string]int64 // every mirrored key -> its ModRev
	bad  map[string]error // keys whose record cannot be read; they are in no other table

	cluster     *Cluster
	copies      *Copies
	leader      *Node
	leaderEpoch int64
	databases   map[string]*Database
	collections map[int64]*Collection
	// byName has every collection of a name: a dropping one may live beside its successor.
	byName    map[string]map[string]map[int64]*Collection // db -> name -> id
	aliases   map[string]map[string]int64                 // db -> alias -> collection
	aliasesOf map[int64]map[Alias]struct{}
	shards    map[int64]map[int]*Shard
	views     map[int64]map[viewID]*View
	logs      map[int]*Log
	marks     map[int]*LogMarks
	epochs    map[int]uint64
	owners    map[int]*Owner
	nodes     map[Role]map[NodeID]*Node
	tasks     map[int64]*Task
}

// Alias is another name of a collection.
type Alias struct {
	DB, Name   string
	Collection int64
}

type viewID struct{ shard, replica int }

func newTables() tables {
	return tables{
		revs: map[string]int64{}, bad: map[string]error{},
		databases: map[string]*Database{}, collections: map[int64]*Collection{},
		byName: map[string]map[string]map[int64]*Collection{}, aliases: map[string]map[string]int64{},
		aliasesOf: map[int64]map[Alias]struct{}{},
		shards:    map[int64]map[int]*Shard{}, views: map[int64]map[viewID]*View{},
		logs: map[int]*Log{}, marks: map[int]*LogMarks{}, epochs: map[int]uint64{}, owners: map[int]*Owner{},
		nodes: map[Role]map[NodeID]*Node{}, tasks: map[int64]*Task{},
	}
}

// replace makes the tables hold exactly kvs; what is unchanged stays the same pointer. It says whether anything
// changed.
func (t *tables) replace(kvs []meta.KV, bad func(string, error)) bool {
	changed := false
	listed := make(map[string]struct{}, len(kvs))
	for _, kv := range kvs {
		listed[kv.Key] = struct{}{}
	}
	// First away with the old, so that nothing of it shadows the new.
	for key := range t.revs {
		if _, ok := listed[key]; !ok {
			changed = t.remove(key) || changed
		}
	}
	for _, kv := range kvs {
		if t.revs[kv.Key] != kv.ModRev {
			changed = t.put(kv, bad) || changed
		}
	}
	return changed
}

// put takes a new or changed record; false if its key is none of the mirrored ones. A record that cannot be read
// counts as absent, and is reported.
func (t *tables) put(kv meta.KV, bad func(string, error)) bool {
	table, rest, ok := t.route(kv.Key)
	if !ok {
		return false
	}
	t.revs[kv.Key] = kv.ModRev
	delete(t.bad, kv.Key)
	if err := table.put(rest, kv); err != nil {
		_ = table.remove(rest) // the key may be what is bad; then there is nothing to remove
		t.bad[kv.Key] = err
		bad(kv.Key, err)
	}
	return true
}

func (t *tables) remove(key string) bool {
	if _, known := t.revs[key]; !known {
		return false
	}
	delete(t.revs, key)
	delete(t.bad, key)
	if table, rest, ok := t.route(key); ok {
		_ = table.remove(rest) // a bad key is in no table
	}
	return true
}

// table stores the records of one prefix; rest is the key without it.
type table struct {
	put    func(rest string, kv meta.KV) error
	remove func(rest string) error
}

// route finds the table of a key.
func (t *tables) route(key string) (tb table, rest string, ok bool) {
	switch key {
	case ClusterKey:
		return single(func(kv meta.KV) (err error) { return decodeInto(kv, &t.cluster) }, func() { t.cluster = nil }), "", true
	case CopiesKey:
		return single(func(kv meta.KV) (err error) { return decodeInto(kv, &t.copies) }, func() { t.copies = nil }), "", true
	case LeaderKey:
		return single(t.putLeader, func() { t.leader, t.leaderEpoch = nil, 0 }), "", true
	}
	i := strings.IndexByte(key, '/')
	if i < 0 {
		return table{}, "", false
	}
	prefix, rest := key[:i+1], key[i+1:]
	switch prefix {
	case DatabasePrefix:
		return simple(t.databases, parseName), rest, true
	case CollectionPrefix:
		return table{t.putCollection, t.removeCollection}, rest, true
	case AliasPrefix:
		return table{t.putAlias, t.removeAlias}, rest, true
	case ShardPrefix:
		return nested(t.shards, parseShard), rest, true
	case ViewPrefix:
		return nested(t.views, parseView), rest, true
	case LogPrefix:
		return simple(t.logs, strconv.Atoi), rest, true
	case MarksPrefix:
		return simple(t.marks, strconv.Atoi), rest, true
	case EpochPrefix:
		return table{t.putEpoch, t.removeEpoch}, rest, true
	case OwnerPrefix:
		return simple(t.owners, strconv.Atoi), rest, true
	case NodePrefix:
		return nested(t.nodes, parseNode), rest, true
	case TaskPrefix:
		return simple(t.tasks, parseID), rest, true
	}
	return table{}, "", false
}

func decodeInto[T any](kv meta.KV, to **T) error {
	v, err := Decode[T](kv)
	if err == nil {
		*to = v
	}
	return err
}

// single is the table of one fixed key.
func single(put func(meta.KV) error, remove func()) table {
	return table{
		put:    func(_ string, kv meta.KV) error { return put(kv) },
		remove: func(string) error { remove(); return nil },
	}
}

// simple is a table by one id.
func simple[K comparable, T any](m map[K]*T, parse func(string) (K, error)) table {
	return table{
		put: func(rest string, kv meta.KV) error {
			id, err := parse(rest)
			if err != nil {
				return fmt.Errorf("catalog: key %s: %w", kv.Key, err)
			}
			v, err := Decode[T](kv)
			if err == nil {
				m[id] = v
			}
			return err
		},
		remove: func(rest string) error {
			id, err := parse(rest)
			if err == nil {
				delete(m, id)
			}
			return err
		},
	}
}

// nested is a table by group and id within it; empty groups are dropped.
func nested[G, K comparable, T any](m map[G]map[K]*T, parse func(string) (G, K, error)) table {
	return table{
		put: func(rest string, kv meta.KV) error {
			group, id, err := parse(rest)
			if err != nil {
				return fmt.Errorf("catalog: key %s: %w", kv.Key, err)
			}
			v, err := Decode[T](kv)
			if err != nil {
				return err
			}
			set(m, group, id, v)
			return nil
		},
		remove: func(rest string) error {
			group, id, err := parse(rest)
			if err == nil {
				unset(m, group, id)
			}
			return err
		},
	}
}

func set[G, K comparable, V any](m map[G]map[K]V, group G, id K, v V) {
	inner := m[group]
	if inner == nil {
		inner = map[K]V{}
		m[group] = inner
	}
	inner[id] = v
}

func unset[G, K comparable, V any](m map[G]map[K]V, group G, id K) {
	inner := m[group]
	delete(inner, id)
	if len(inner) == 0 {
		delete(m, group)
	}
}
