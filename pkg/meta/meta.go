// Package meta is Gyr's small, strongly consistent store: a few keys per collection and shard, leases, and
// transactions that are the only commit points of the system.
//
// The interface is the part of etcd's that Gyr uses. Drivers: etcd (client and embedded server) and mem, with one
// conformance suite (metatest) and a fault-injecting wrapper (fault).
package meta

import (
	"context"
	"errors"
	"time"

	"github.com/gyr-db/gyr/pkg/errs"
)

// Errors that drivers return (wrapped).
var (
	ErrNotFound = errors.New("meta: key not found")
	// ErrCompacted: a watch asked for a revision that is gone; list again and watch from there.
	ErrCompacted = errors.New("meta: revision compacted")
	// ErrLeaseLost: the lease expired or was revoked.
	ErrLeaseLost = errors.New("meta: lease lost")
	// ErrUnavailable: the store cannot be reached or has no leader, or this client is closed. What a transaction did is
	// unknown then, as with every error. It has the code of what may be tried again.
	ErrUnavailable error = errs.New(errs.Unavailable, "meta: store unavailable")
)

// MaxOps bounds the operations of one transaction (an etcd server's default bound).
const MaxOps = 128

// LeaseID identifies a lease; zero is none.
type LeaseID = int64

// KV is one key with its value.
type KV struct {
	Key   string
	Value []byte
	// ModRev is the revision of the last change, CreateRev that of the creation.
	ModRev, CreateRev int64
	Lease             LeaseID
}

// Compare is a condition of a transaction.
type Compare struct {
	Key string
	// ModRev: the key's last revision must equal this; 0 means that the key must not exist.
	// If Value is not nil the value is compared instead.
	ModRev int64
	Value  []byte
}

// Op is a write of a transaction: a put, or a delete when Delete is set.
type Op struct {
	Key    string
	Value  []byte
	Lease  LeaseID
	Delete bool
	// Prefix makes a Delete remove every key that starts with Key.
	Prefix bool
}

// Event is one change seen by a watch.
type Event struct {
	KV      KV
	Deleted bool
}

// WatchBatch is the changes of one or more revisions, in order. Revision is the newest revision that the watch has
// seen, also with no Events (progress); the events of one revision are never split over batches.
type WatchBatch struct {
	Events   []Event
	Revision int64
	Err      error
}

// Store is a metadata store. Implementations are safe for concurrent use. Keys are relative to the store's root.
type Store interface {
	// Get reads one key, linearizably.
	Get(ctx context.Context, key string) (KV, error)
	// List reads every key that starts with prefix, in key order, and the revision of that snapshot.
	List(ctx context.Context, prefix string) ([]KV, int64, error)
	// Txn applies ops if every compare holds, atomically. It returns the revision, and false when a compare failed.
	// On an error the outcome is unknown.
	Txn(ctx context.Context, cmps []Compare, ops []Op) (rev int64, ok bool, err error)
	// Watch delivers the changes under prefix from revision rev on, until ctx ends; a batch with Err is the last.
	Watch(ctx context.Context, prefix string, rev int64) <-chan WatchBatch
	// Grant makes a lease that the driver keeps alive until Revoke, ctx's end or loss.
	Grant(ctx context.Context, ttl time.Duration) (Lease, error)
	Close() error
}

// Progresser is implemented by a Store whose watches may lie still while the revision moves on elsewhere:
// RequestProgress asks for a batch that tells the newest revision. It may be lost, so a waiter asks again.
type Progresser interface {
	RequestProgress(ctx context.Context) error
}

// Lease keeps keys alive while its holder lives.
type Lease interface {
	ID() LeaseID
	// Lost is closed when the lease is known to be gone or could not be renewed for its ttl.
	Lost() <-chan struct{}
	// Revoke ends the lease at once, deleting its keys.
	Revoke(ctx context.Context) error
}
