package coordinator

import (
	"math/rand/v2"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/config"
	"github.com/gyr-db/gyr/pkg/version"
)

// NewNode is the record of a process that starts now, under an id of its own.
func NewNode(addr, metrics string) catalog.Node {
	return catalog.Node{ID: rand.Int64N(1<<53-1) + 1, Addr: addr, Metrics: metrics, Version: version.String(), Started: time.Now().UnixMilli()}
}

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	c.Probe = c.Probe.withDefaults()
	set.Int(&c.Logs, "mq.logs", "number of logs, fixed at the cluster's first start")
	set.Int(&c.Probe.DiskPercent, "coordinator.probe.diskPercent", "a local disk this full is reported as a problem")
	set.Duration(&c.Probe.Interval, "coordinator.probe.interval", "how often storage, disks and index builds are looked at")
	set.Duration(&c.GC.Interval, "coordinator.gc.interval", "how often objects that nothing names are looked for")
	set.Duration(&c.GC.Grace, "coordinator.gc.grace", "younger objects, and files of segments replaced less long ago, are kept in any case")
	set.Bool(&c.GC.Disabled, "coordinator.gc.disabled", "no object is removed")
	set.Duration(&c.Copies.Interval, "coordinator.catalogCopy.interval", "how often the catalog is copied to object storage, from where a lost etcd can be rebuilt")
	set.Duration(&c.Copies.AfterChange, "coordinator.catalogCopy.afterChange", "how soon a copy follows a change of collections, partitions, aliases or loads")
	set.Duration(&c.Compact.Retention, "coordinator.compaction.retention", "rows deleted so long ago are dropped; reads further back are refused")
	set.Bool(&c.Compact.Disabled, "coordinator.compaction.disabled", "segments are merged on request only")
	set.Duration(&c.Probe.IndexStuck, "coordinator.probe.indexStuck", "an index build without progress for so long is reported as a problem")
}
