package catalog

import (
	"cmp"
	"maps"
	"slices"
)

// Databases are all databases by name.
func (c *Cache) Databases() []*Database {
	return sorted(c, func() map[string]*Database { return c.tables.databases },
		func(a, b *Database) int { return cmp.Compare(a.Name, b.Name) })
}

// Database is the database of that name.
func (c *Cache) Database(name string) *Database {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.databases[name]
}

// Collections are the collections of a database by id, without those that are being dropped.
func (c *Cache) Collections(db string) []*Collection {
	c.mu.RLock()
	var out []*Collection
	for name := range c.tables.byName[db] {
		if found := c.tables.live(db, name); found != nil {
			out = append(out, found)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(out, byCollectionID)
	return out
}

// AllCollections are the collections of every database by id, also those that are being dropped.
func (c *Cache) AllCollections() []*Collection {
	return sorted(c, func() map[int64]*Collection { return c.tables.collections }, byCollectionID)
}

// Collection finds a collection by its name or else by an alias, unless it is being dropped.
func (c *Cache) Collection(db, nameOrAlias string) *Collection {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if found := c.tables.live(db, nameOrAlias); found != nil {
		return found
	}
	if found := c.tables.collections[c.tables.aliases[db][nameOrAlias]]; found != nil && found.State != Dropping {
		return found
	}
	return nil
}

// CollectionByID finds a collection by id, also one that is being dropped.
func (c *Cache) CollectionByID(id int64) *Collection {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.collections[id]
}

// Aliases are the aliases of a database by name.
func (c *Cache) Aliases(db string) []Alias {
	c.mu.RLock()
	out := make([]Alias, 0, len(c.tables.aliases[db]))
	for name, id := range c.tables.aliases[db] {
		out = append(out, Alias{db, name, id})
	}
	c.mu.RUnlock()
	slices.SortFunc(out, byAliasName)
	return out
}

// AliasesOf are the aliases of a collection by name.
func (c *Cache) AliasesOf(collection int64) []Alias {
	c.mu.RLock()
	out := slices.Collect(maps.Keys(c.tables.aliasesOf[collection]))
	c.mu.RUnlock()
	slices.SortFunc(out, byAliasName)
	return out
}

// Alias finds an alias by name.
func (c *Cache) Alias(db, name string) (Alias, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok := c.tables.aliases[db][name]
	return Alias{db, name, id}, ok
}

// Shard is the manifest of one shard.
func (c *Cache) Shard(collection int64, shard int) *Shard {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.shards[collection][shard]
}

// Shards are the manifests of a collection's shards by index.
func (c *Cache) Shards(collection int64) []*Shard {
	return sorted(c, func() map[int]*Shard { return c.tables.shards[collection] },
		func(a, b *Shard) int { return cmp.Compare(a.Index, b.Index) })
}

// View is the published view of a shard and replica.
func (c *Cache) View(collection int64, shard, replica int) *View {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.views[collection][viewID{shard, replica}]
}

// Views are the published views of a collection by shard and replica.
func (c *Cache) Views(collection int64) []*View {
	return sorted(c, func() map[viewID]*View { return c.tables.views[collection] },
		func(a, b *View) int { return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Replica, b.Replica)) })
}

// Logs are the cluster's logs by number.
func (c *Cache) Logs() []*Log {
	return sorted(c, func() map[int]*Log { return c.tables.logs },
		func(a, b *Log) int { return cmp.Compare(a.Number, b.Number) })
}

// Log is log n.
func (c *Cache) Log(n int) *Log {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.logs[n]
}

// Marks are the marks of log n.
func (c *Cache) Marks(n int) *LogMarks {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.marks[n]
}

// Epoch is the last granted epoch of log n, zero before the first.
func (c *Cache) Epoch(n int) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.epochs[n]
}

// Owner is the owner of log n.
func (c *Cache) Owner(n int) *Owner {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.owners[n]
}

// Nodes are the live processes of a role by id, also those that are draining.
func (c *Cache) Nodes(role Role) []*Node {
	return sorted(c, func() map[NodeID]*Node { return c.tables.nodes[role] },
		func(a, b *Node) int { return cmp.Compare(a.ID, b.ID) })
}

// Node is one live process.
func (c *Cache) Node(role Role, id NodeID) *Node {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.nodes[role][id]
}

// Leader is the coordinator that leads and its epoch (the revision at which it took the leader key).
func (c *Cache) Leader() (*Node, int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.leader, c.tables.leaderEpoch
}

// Tasks are the open tasks by id.
func (c *Cache) Tasks() []*Task {
	return sorted(c, func() map[int64]*Task { return c.tables.tasks },
		func(a, b *Task) int { return cmp.Compare(a.ID, b.ID) })
}

// Task is one open task.
func (c *Cache) Task(id int64) *Task {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.tasks[id]
}

// Cluster is the cluster's own record.
func (c *Cache) Cluster() *Cluster {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.cluster
}

// Copies are the copies of the catalog in the bucket; nil before the first was begun.
func (c *Cache) Copies() *Copies {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.copies
}

// ModRev is the revision of the last change of a mirrored key, to compare in a transaction that builds on what the
// cache shows; zero when the key is not there.
func (c *Cache) ModRev(key string) int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tables.revs[key]
}

// Unreadable are the keys whose records could not be decoded, with the errors; lookups treat them as absent.
func (c *Cache) Unreadable() map[string]error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.tables.bad)
}

// sorted copies the values of a table in order. pick runs under the lock.
func sorted[K comparable, T any](c *Cache, pick func() map[K]*T, order func(a, b *T) int) []*T {
	c.mu.RLock()
	m := pick()
	out := make([]*T, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	c.mu.RUnlock()
	slices.SortFunc(out, order)
	return out
}

func byCollectionID(a, b *Collection) int { return cmp.Compare(a.ID, b.ID) }

func byAliasName(a, b Alias) int {
	return cmp.Or(cmp.Compare(a.DB, b.DB), cmp.Compare(a.Name, b.Name))
}
