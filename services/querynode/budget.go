package querynode

import (
	"bytes"
	"os"
	"strconv"
	"sync"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/diskcache"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/segment"
)

// budget counts the memory of what is being loaded. What is loaded counts itself.
type budget struct {
	mu     sync.Mutex
	coming int64
}

// reserve sets memory aside for something that is about to be loaded, or says that there is not enough. The caller gives
// it back when the thing is loaded, and counted by itself, or is not.
func (n *Node) reserve(bytes int64, what string) (giveBack func(), err error) {
	n.budget.mu.Lock()
	defer n.budget.mu.Unlock()
	if limit := n.cfg.MemoryLimit; limit > 0 {
		st := n.Status()
		taken := st.SealedBytes + st.GrowingBytes + n.budget.coming
		if taken+bytes > limit {
			return nil, errs.New(errs.MemoryLimit, "memory limit exceeded[predict=%s][limit=%s]: %s needs %s and this querynode holds %s; "+
				"add querynodes, or raise queryNode.memory.limit", size(taken+bytes), size(limit), what, size(bytes), size(taken))
		}
	}
	n.budget.coming += bytes
	return func() {
		n.budget.mu.Lock()
		defer n.budget.mu.Unlock()
		n.budget.coming -= bytes
	}, nil
}

// diskCache returns the node's disk cache, which is made when it is first needed.
func (n *Node) diskCache() (*diskcache.Cache, error) {
	n.cacheMu.Lock()
	defer n.cacheMu.Unlock()
	if n.cache == nil {
		c, err := diskcache.Open(diskcache.Config{Dir: n.cfg.CacheDir, Limit: n.cfg.CacheLimit})
		if err != nil {
			return nil, err
		}
		n.cache = c
	}
	return n.cache, nil
}

// cacheUsage is what lies in the disk cache, and its bound; zeros while nothing was ever put there.
func (n *Node) cacheUsage() (used, limit int64) {
	n.cacheMu.Lock()
	defer n.cacheMu.Unlock()
	if n.cache == nil {
		return 0, 0
	}
	return n.cache.Usage()
}

func (n *Node) closeCache() {
	n.cacheMu.Lock()
	defer n.cacheMu.Unlock()
	if n.cache == nil {
		return
	}
	if err := n.cache.Close(); err != nil {
		n.log.Warn("files left in the disk cache, the next process removes them", "error", err)
	}
}

// size writes a number of bytes for people.
func size(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// needs estimates the memory of a segment with the index files that are named.
func (n *Node) needs(c *catalog.Collection, m *catalog.Segment, files []catalog.SegmentIndex) int64 {
	bytes, _ := segment.EstimateBytes(&c.Schema, c.Cold, m.Rows, m.Bytes)
	for _, f := range files {
		bytes += indexNeeds(c, m, f)
	}
	return bytes
}

func indexNeeds(c *catalog.Collection, m *catalog.Segment, f catalog.SegmentIndex) int64 {
	for i := range c.Indexes {
		if def := &c.Indexes[i]; def.ID == f.IndexID {
			return index.EstimateFootprint(indexSpec(c, def), m.Rows, f.Bytes).Memory
		}
	}
	return 0
}

// defaultMemoryLimit is 4/5 of what this process may use: the smallest limit of its cgroup, or the machine's memory. It is
// 0, no limit, where neither can be read.
func defaultMemoryLimit() int64 {
	least := int64(0)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if v, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64); err == nil && v > 0 && (least == 0 || v < least) {
			least = v
		}
	}
	if total := machineMemory(); least == 0 || total > 0 && total < least {
		least = total
	}
	return least / 5 * 4
}

// machineMemory reads the first line of /proc/meminfo; 0 where there is none.
func machineMemory() int64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 || string(fields[0]) != "MemTotal:" {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
