// Package copies keeps copies of the catalog in the bucket, so that a lost metadata store can be rebuilt.
//
// A copy is every key of the metadata store as of one revision, without those that live only as long as their owner:
// leased keys, registrations, owners, published views, tasks, intents. It is an immutable object whose name holds time
// and revision. The coordinator's leader writes copies; the record under catalog.CopiesKey names those that are kept, and
// holds the logs and the objects back that the newest ones need (see catalog.Copies).
//
// The package owns the format, the objects below Folder, and the writing of a copy into an empty store. It does not decide
// when to copy, and it knows nothing of the logs, from which what happened after a copy is read.
package copies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/objstore"
)

// Folder is the folder of the bucket that holds the copies.
const Folder = "catalog/"

// suffix ends the name of a copy.
const suffix = ".gyrcat"

// Copy is the catalog as of one revision.
type Copy struct {
	Cluster  string // the cluster's UUID
	Revision int64  // of the metadata store that was copied
	Time     time.Time
	Records  []Record // in key order
}

// Record is one key with its value.
type Record struct {
	Key   string
	Value []byte
}

// passing are the keys that die with their owner, or say something of processes that are gone after a loss.
var passing = [...]string{
	catalog.OwnerPrefix, catalog.NodePrefix, catalog.TaskPrefix, catalog.ViewPrefix, "intent/",
	catalog.LeaderKey, catalog.CopiesKey, rebuildKey,
}

// lasts says whether a key belongs into a copy.
func lasts(kv meta.KV) bool {
	return kv.Lease == 0 && !slices.ContainsFunc(passing[:], func(p string) bool { return strings.HasPrefix(kv.Key, p) })
}

// Take reads the catalog at one revision. It fails when the store holds no cluster.
func Take(ctx context.Context, store meta.Store, now time.Time) (*Copy, error) {
	kvs, rev, err := store.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	c := &Copy{Revision: rev, Time: now.UTC().Truncate(time.Millisecond)}
	for _, kv := range kvs {
		if lasts(kv) {
			c.Records = append(c.Records, Record{kv.Key, kv.Value})
		}
	}
	cluster, err := Get[catalog.Cluster](c, catalog.ClusterKey)
	if err != nil {
		return nil, err
	}
	if cluster == nil {
		return nil, errors.New("the metadata store holds no cluster")
	}
	c.Cluster = cluster.UUID
	return c, nil
}

// Name is the key of a copy's object. Names sort by time.
func (c *Copy) Name() string {
	return fmt.Sprintf("%s%s-%016d%s", Folder, c.Time.UTC().Format("20060102T150405.000Z"), c.Revision, suffix)
}

// find returns the place of a key.
func (c *Copy) find(key string) (int, bool) {
	return slices.BinarySearchFunc(c.Records, key, func(r Record, key string) int { return strings.Compare(r.Key, key) })
}

// Raw returns the value of a key; nil when the copy has none.
func (c *Copy) Raw(key string) []byte {
	if i, ok := c.find(key); ok {
		return c.Records[i].Value
	}
	return nil
}

// Set writes a key of the copy.
func (c *Copy) Set(key string, value []byte) {
	i, ok := c.find(key)
	if ok {
		c.Records[i].Value = value
		return
	}
	c.Records = slices.Insert(c.Records, i, Record{key, value})
}

// Under are the records whose keys start with prefix.
func (c *Copy) Under(prefix string) []Record {
	from, _ := c.find(prefix)
	to := from
	for to < len(c.Records) && strings.HasPrefix(c.Records[to].Key, prefix) {
		to++
	}
	return c.Records[from:to]
}

// Get decodes the record of a key; nil when the copy has none.
func Get[T any](c *Copy, key string) (*T, error) {
	raw := c.Raw(key)
	if raw == nil {
		return nil, nil
	}
	return catalog.Decode[T](meta.KV{Key: key, Value: raw})
}

// All decodes the records whose keys start with prefix.
func All[T any](c *Copy, prefix string) ([]*T, error) {
	var out []*T
	for _, r := range c.Under(prefix) {
		v, err := catalog.Decode[T](meta.KV{Key: r.Key, Value: r.Value})
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Checkpoints are the places from which each log is read after a rebuild from this copy, by log.
func (c *Copy) Checkpoints() (map[int]catalog.LogMarks, error) {
	logs, err := All[catalog.Log](c, catalog.LogPrefix)
	if err != nil {
		return nil, err
	}
	out := map[int]catalog.LogMarks{}
	for _, l := range logs {
		marks, err := Get[catalog.LogMarks](c, catalog.MarksKey(l.Number))
		if err != nil {
			return nil, err
		}
		if marks == nil {
			marks = &catalog.LogMarks{}
		}
		out[l.Number] = *marks
	}
	return out, nil
}

// Write stores a copy and returns its object's key and size.
func Write(ctx context.Context, objects objstore.Store, c *Copy) (string, int, error) {
	raw, err := Encode(c)
	if err != nil {
		return "", 0, err
	}
	key := c.Name()
	err = objects.Put(ctx, key, bytes.NewReader(raw), int64(len(raw)), objstore.PutOptions{})
	if err != nil {
		return "", 0, fmt.Errorf("write the copy %s: %w", key, err)
	}
	return key, len(raw), nil
}

// List returns the keys of the copies in the bucket, the newest first, complete or not.
func List(ctx context.Context, objects objstore.Store) ([]string, error) {
	var keys []string
	err := objects.List(ctx, Folder, "", func(o objstore.Object) bool {
		if strings.HasSuffix(o.Key, suffix) {
			keys = append(keys, o.Key)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("list the copies of the catalog: %w", err)
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(b, a) })
	return keys, nil
}

// Read reads a copy. What is no copy, or a damaged one, is ErrDamaged and named.
func Read(ctx context.Context, objects objstore.Store, key string) (*Copy, error) {
	r, size, err := objects.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the copy %s: %w", key, err)
	}
	defer r.Close()
	if size > maxBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes", key, ErrDamaged, size)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the copy %s: %w", key, err)
	}
	c, err := Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if c.Name() != key {
		return nil, fmt.Errorf("%s: %w: it holds the copy %s", key, ErrDamaged, c.Name())
	}
	return c, nil
}
