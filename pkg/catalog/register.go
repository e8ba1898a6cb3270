package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/gyr-db/gyr/pkg/meta"
)

// reregisterDelay is the pause between the loss of a registration and the next one.
const reregisterDelay = 200 * time.Millisecond

// KeepRegistered registers a node again and again until ctx ends, with the same id: for nodes whose work stays true when
// their lease is lost. It returns ctx's error.
func KeepRegistered(ctx context.Context, store meta.Store, ttl time.Duration, node Node, log *slog.Logger) error {
	for {
		err := Register(ctx, store, ttl, node)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Warn("registration lost, registering again", "error", err)
		select {
		case <-time.After(reregisterDelay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Register puts a node's key under a fresh lease and keeps it there until ctx ends (the key is then removed at once)
// or the lease is lost, which it returns as meta.ErrLeaseLost.
func Register(ctx context.Context, store meta.Store, ttl time.Duration, node Node) error {
	lease, err := store.Grant(ctx, ttl)
	if err != nil {
		return fmt.Errorf("register %s %d: %w", node.Role, node.ID, err)
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = lease.Revoke(stop) // the lease runs out by itself if this fails
	}()
	value, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("register %s %d: %w", node.Role, node.ID, err)
	}
	if _, _, err := store.Txn(ctx, nil, []meta.Op{{Key: NodeKey(node.Role, node.ID), Value: value, Lease: lease.ID()}}); err != nil {
		return fmt.Errorf("register %s %d: %w", node.Role, node.ID, err)
	}
	select {
	case <-lease.Lost():
		return meta.ErrLeaseLost
	case <-ctx.Done():
		return ctx.Err()
	}
}
