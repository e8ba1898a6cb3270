package querynode

import "github.com/gyr-db/gyr/pkg/config"

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	set.Duration(&c.RetireAfter, "queryNode.retireAfter", "how long an old view is served after a newer one")
}
