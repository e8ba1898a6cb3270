package copies

import (
	"context"
	"fmt"
	"strings"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
)

// rebuildKey is in the store while a copy is written into it.
const rebuildKey = "rebuild"

// Empty says why a store is not one into which a copy may be written; nil when it is empty, or holds what a rebuild left
// that was cut short.
func Empty(ctx context.Context, store meta.Store) error {
	kvs, _, err := store.List(ctx, "")
	if err != nil {
		return fmt.Errorf("read the metadata store: %w", err)
	}
	var running []string
	begun, whole := false, false
	lasting := 0
	for _, kv := range kvs {
		begun = begun || kv.Key == rebuildKey
		whole = whole || kv.Key == catalog.ClusterKey
		if kv.Lease != 0 {
			running = append(running, kv.Key)
		} else {
			lasting++
		}
	}
	switch {
	case len(running) > 0:
		return fmt.Errorf("processes are running on this metadata store (%s): stop all of Gyr's processes first", strings.Join(running, ", "))
	case whole:
		return fmt.Errorf("the metadata store is not empty, it holds a cluster with %d keys: nothing is overwritten", lasting)
	case lasting > 0 && !begun:
		return fmt.Errorf("the metadata store is not empty, it holds %d keys (%s, ...): nothing is overwritten", lasting, kvs[0].Key)
	}
	return nil
}

// Restore writes a copy into an empty store (see Empty). The cluster's record comes last, in the transaction that ends the
// rebuild, and no coordinator begins without it: what is cut short can be begun again.
func Restore(ctx context.Context, store meta.Store, c *Copy) error {
	if err := Empty(ctx, store); err != nil {
		return err
	}
	cluster := c.Raw(catalog.ClusterKey)
	if cluster == nil {
		return damaged("no record of the cluster")
	}
	rev, _, err := store.Txn(ctx, nil, []meta.Op{{Delete: true, Prefix: true}})
	if err == nil {
		rev, _, err = store.Txn(ctx, nil, []meta.Op{{Key: rebuildKey, Value: []byte(c.Name())}})
	}
	if err != nil {
		return fmt.Errorf("begin the rebuild: %w", err)
	}
	mine := []meta.Compare{{Key: rebuildKey, ModRev: rev}, {Key: catalog.ClusterKey}}
	ops := make([]meta.Op, 0, batchOps)
	flush := func(more ...meta.Op) error {
		ops = append(ops, more...)
		if len(ops) == 0 {
			return nil
		}
		_, ok, err := store.Txn(ctx, mine, ops)
		if err != nil {
			return fmt.Errorf("write the catalog: %w", err)
		}
		if !ok {
			return fmt.Errorf("write the catalog: somebody else writes to the metadata store")
		}
		ops = ops[:0]
		return nil
	}
	size := 0
	for _, r := range c.Records {
		if r.Key == catalog.ClusterKey {
			continue
		}
		if size += len(r.Key) + len(r.Value); len(ops) == batchOps || size > batchBytes {
			if err := flush(); err != nil {
				return err
			}
			size = len(r.Key) + len(r.Value)
		}
		ops = append(ops, meta.Op{Key: r.Key, Value: r.Value})
	}
	if err := flush(); err != nil {
		return err
	}
	return flush(meta.Op{Key: catalog.ClusterKey, Value: cluster}, meta.Op{Key: rebuildKey, Delete: true})
}

// Bounds of one transaction, well below an etcd server's.
const (
	batchOps   = meta.MaxOps - 8
	batchBytes = 512 << 10
)
