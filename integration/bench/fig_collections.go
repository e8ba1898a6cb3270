package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/integration/client"
)

// measureCollections makes many empty collections, with an index but not loaded, and looks at the idle server.
func measureCollections(ctx context.Context, e *Env) error {
	if err := e.idle(ctx, ", no collections"); err != nil {
		return err
	}
	names := make([]string, 0, e.cfg.Collections)
	defer func() {
		for _, n := range names {
			e.drop(n)
		}
	}()
	start := time.Now()
	for i := range e.cfg.Collections {
		name := e.name(fmt.Sprintf("empty%d", i))
		if err := e.client.Create(ctx, client.Spec{Name: name, Dim: dim, Shards: 1, NoLoad: true}); err != nil {
			return fmt.Errorf("collection number %d: %w", i+1, err)
		}
		names = append(names, name)
	}
	e.addDuration("create one, with its index, mean", time.Since(start)/time.Duration(max(1, len(names))))
	if err := sleep(ctx, 2*time.Second); err != nil { // what creating left to do is over
		return err
	}
	return e.idle(ctx, fmt.Sprintf(", %d collections", len(names)))
}
