package querynode

import "github.com/gyr-db/gyr/pkg/config"

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	set.Duration(&c.RetireAfter, "queryNode.retireAfter", "how long an old view is served after a newer one")
	set.Int(&c.Processors, "queryNode.processors", "tasks of reads at the same time; default: all processors")
	set.String(&c.CacheDir, "queryNode.diskCache.dir", "folder for vectors and indexes that are searched from disk; standalone: DATA/cache")
	set.Bytes(&c.CacheLimit, "queryNode.diskCache.limit", "size of that folder, 0 takes 4/5 of what is free")
	set.Bytes(&c.MemoryLimit, "queryNode.memory.limit", "memory for segments and growing rows, 0 is no limit; default: 4/5 of what the process may use")
}
