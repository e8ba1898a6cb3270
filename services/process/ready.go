package process

import (
	"context"

	"github.com/gyr-db/gyr/pkg/catalog"
)

// Led returns a wait for a coordinator that leads.
func Led(cache *catalog.Cache) func(context.Context) error {
	return until(cache, func() bool {
		leader, _ := cache.Leader()
		return leader != nil && cache.Cluster() != nil
	})
}

// Owned returns a wait for an owner of every log.
func Owned(cache *catalog.Cache) func(context.Context) error {
	return until(cache, func() bool {
		cluster := cache.Cluster()
		if cluster == nil {
			return false
		}
		for n := range cluster.Logs {
			if cache.Owner(n) == nil {
				return false
			}
		}
		return true
	})
}

// until waits for a state of the catalog.
func until(cache *catalog.Cache, reached func() bool) func(context.Context) error {
	return func(ctx context.Context) error {
		changes, cancel := cache.Subscribe()
		defer cancel()
		for !reached() {
			select {
			case <-changes:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
}
