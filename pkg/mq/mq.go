// Package mq is Gyr's log: one totally ordered, durable sequence of entries per topic, kept by a message queue.
//
// The package owns the interface and the choice of a driver by URL scheme. It knows nothing of what an entry holds:
// ownership, epochs and the rule that decides which entries count are package wal's. A driver promises order,
// durability and exact positions, never exactly-once: an entry may appear twice (a resend), and entries of a former
// owner may appear between those of the present one.
package mq

import (
	"context"
	"errors"
)

// Position is a place in a log. Positions of one log grow with the order of entries; they need not be dense.
// Zero is below every entry.
type Position = uint64

// Entry is one durable entry.
type Entry struct {
	Position Position
	Data     []byte
}

// Errors that drivers return (wrapped).
var (
	// ErrTruncated: entries at or behind the asked position may have been removed.
	ErrTruncated = errors.New("mq: position is truncated")
	// ErrUnknownLog: the log does not exist, or carries another UUID than the one asked for.
	ErrUnknownLog = errors.New("mq: unknown log")
	// ErrExists: Create found a log of that name.
	ErrExists = errors.New("mq: log exists")
	// ErrUncertain: the append may or may not have happened; append the same bytes again.
	ErrUncertain = errors.New("mq: outcome of append unknown")
	// ErrFull: the storage below is full; nothing was written.
	ErrFull = errors.New("mq: storage full")
	// ErrCorrupt: stored bytes fail their checksum.
	ErrCorrupt = errors.New("mq: corrupt")
)

// Queue is a message queue that holds logs. Implementations are safe for concurrent use.
type Queue interface {
	// Create makes an empty log with a name and a UUID; only a log that the catalog calls new is created.
	Create(ctx context.Context, id LogID) error
	// Open opens an existing log and verifies its UUID and the safety settings of the queue below it.
	// hint is a position at or below which nothing needs to be found any more (the truncation mark).
	Open(ctx context.Context, id LogID, hint Position) (Log, error)
	// Delete removes a log with all its entries. Deleting a log that is not there succeeds.
	Delete(ctx context.Context, id LogID) error
	// Close releases connections and locks; open logs become unusable.
	Close() error
}

// LogID names a log.
type LogID struct {
	Name string
	UUID string
}

// Log is one open log. Append, Tail, Truncate: one caller at a time; Read: any number, beside those.
type Log interface {
	// Append writes one entry and returns its position once it is durable. It may come behind entries of another
	// writer. Any error but ErrUncertain means that the entry is not in the log and never will be.
	Append(ctx context.Context, data []byte, opt AppendOptions) (Position, error)
	// Read returns entries at or behind from, in order and without a gap, at most about maxBytes but at least one
	// if there is one. It waits up to ctx for the first; on ctx's end it returns (nil, nil) when there is none yet.
	Read(ctx context.Context, from Position, maxBytes int) ([]Entry, error)
	// Tail returns a position behind every entry that was durable when Tail was called.
	Tail(ctx context.Context) (Position, error)
	// Truncate allows the removal of entries below before. The caller has recorded that mark in the catalog first.
	// Entries appended with Pinned stay where the driver needs them to keep old writers out.
	Truncate(ctx context.Context, before Position) error
	Close() error
}

// AppendOptions qualifies one append.
type AppendOptions struct {
	// Pinned marks an owner's fence; see Log.Truncate.
	Pinned bool
}
