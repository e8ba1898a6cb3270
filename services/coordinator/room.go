package coordinator

import (
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/segment"
)

// checkRoom refuses a load for which the querynodes' memory does not suffice, before anything is read. It compares sums, so
// it may let pass what does not fit in the end because of how segments divide; a node then refuses its part, and says so.
func (t *term) checkRoom(coll *catalog.Collection, wanted *catalog.Load) error {
	limit, most := int64(0), int64(0)
	nodes := t.c.nodesOf(catalog.RoleQueryNode)
	for _, n := range nodes {
		if n.Memory == 0 {
			return nil // a node without a limit takes everything
		}
		limit += n.Memory
		most = max(most, n.Memory)
	}
	if len(nodes) == 0 {
		return nil // it is placed when there are some
	}
	cache := t.c.deps.Cache
	taken := int64(0)
	for _, other := range cache.AllCollections() {
		if other.ID != coll.ID && other.State != catalog.Dropping && other.Load != nil {
			bytes, _ := t.loadMemory(other, other.Load)
			taken += bytes
		}
	}
	need, largest := t.loadMemory(coll, wanted)
	const advice = "add querynodes or raise queryNode.memory.limit, load fewer partitions or replicas, release other collections, or keep vectors on disk (mmap.enabled, DISKANN)"
	switch {
	case largest > most:
		return errs.New(errs.MemoryLimit, "memory limit exceeded[predict=%s][limit=%s]: a segment of collection %s is larger than what any querynode holds; %s",
			mib(largest), mib(most), coll.Name, advice)
	case taken+need > limit:
		return errs.New(errs.MemoryLimit, "memory limit exceeded[predict=%s][limit=%s]: loading collection %s needs %s, and what is loaded already takes %s of the %d querynodes' %s; %s",
			mib(taken+need), mib(limit), coll.Name, mib(need), mib(taken), len(nodes), mib(limit), advice)
	}
	return nil
}

// loadMemory estimates what the sealed segments of a load take in all replicas, and the largest of them.
func (t *term) loadMemory(coll *catalog.Collection, load *catalog.Load) (total, largest int64) {
	as := *coll
	as.Load = load
	for i := range coll.ShardLogs {
		shard := t.c.deps.Cache.Shard(coll.ID, i)
		if shard == nil {
			continue
		}
		for j := range shard.Segments {
			if seg := &shard.Segments[j]; loaded(&as, seg.Partition) {
				bytes := segmentMemory(coll, seg)
				total += bytes * int64(max(load.Replicas, 1))
				largest = max(largest, bytes)
			}
		}
	}
	return total, largest
}

// segmentMemory estimates what a segment takes on a querynode, with the indexes that it has or will have.
func segmentMemory(coll *catalog.Collection, seg *catalog.Segment) int64 {
	bytes, _ := segment.EstimateBytes(&coll.Schema, coll.Cold, seg.Rows, seg.Bytes)
	built := map[int64]int64{}
	for _, f := range seg.Indexes {
		built[f.IndexID] = f.Bytes
	}
	for i := range coll.Indexes {
		def := &coll.Indexes[i]
		field := coll.Schema.FieldByID(def.FieldID)
		if field == nil || !field.Type.IsVector() {
			continue
		}
		spec := index.SpecOf(field, def.Type, def.Metric, def.Params)
		bytes += index.EstimateFootprint(spec, seg.Rows, built[def.ID]).Memory
	}
	return bytes
}

// mib writes a number of bytes for people.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
