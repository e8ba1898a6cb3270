package coordinator

import "github.com/gyr-db/gyr/pkg/config"

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	c.Probe = c.Probe.withDefaults()
	set.Int(&c.Logs, "mq.logs", "number of logs, fixed at the cluster's first start")
	set.Int(&c.Probe.DiskPercent, "coordinator.probe.diskPercent", "a local disk this full is reported as a problem")
	set.Duration(&c.Probe.Interval, "coordinator.probe.interval", "how often storage, disks and index builds are looked at")
	set.Duration(&c.Probe.IndexStuck, "coordinator.probe.indexStuck", "an index build without progress for so long is reported as a problem")
}
