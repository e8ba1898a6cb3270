package indexnode

import "github.com/gyr-db/gyr/pkg/config"

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	set.Int(&c.Workers, "indexNode.workers", "index builds and compactions at the same time")
	set.String(&c.ScratchDir, "indexNode.scratchDir", "folder for files on their way to storage (default: the system's)")
}
