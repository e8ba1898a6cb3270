package datanode

import (
	"errors"
	"fmt"
	"time"

	"github.com/gyr-db/gyr/pkg/config"
)

// Config of a datanode. Start from DefaultConfig.
type Config struct {
	// Addr is the internal address under which other services reach this node; Metrics its metrics address.
	Addr, Metrics, Version string
	// NodeID identifies this process; 0 draws one.
	NodeID int64
	// LeaseTTL bounds how long a dead node keeps its logs.
	LeaseTTL time.Duration
	// RebalanceDelay is how long the placement must say that a log belongs to another node before it is handed over.
	RebalanceDelay time.Duration
	// DrainTimeout bounds the wait for writes in flight when a log is handed over.
	DrainTimeout time.Duration
	// OpenTimeout bounds fencing and reading a log at a takeover.
	OpenTimeout time.Duration

	// A shard is sealed when its unsealed rows and deletes reach SealBytes, when the oldest is older than SealAge, or
	// when more than SealLogBytes of log lie behind it.
	SealBytes    int64
	SealAge      time.Duration
	SealLogBytes int64
	// EntryBytes is what an entry of the log counts for beside its records' bytes, in SealLogBytes and WindowBytes: those
	// bound what a takeover reads, and where each entry is an object that costs a request, it is the entries that take time.
	EntryBytes int64
	// UnsealedSoft and UnsealedHard bound the memory of what is not in the bucket yet, over all logs of this node: above
	// the first rows are refused for the moment, above the second everything is.
	UnsealedSoft, UnsealedHard int64
	// UploadWorkers bounds the seals being written to the bucket at the same time.
	UploadWorkers int
	// UploadRetryMax bounds the delay between two attempts to write a seal.
	UploadRetryMax time.Duration
	// IDReserve is how many segment ids are kept, so that sealing goes on while the coordinator is away.
	IDReserve int

	// WindowTime and WindowBytes say how much of a log a new owner reads although it is sealed, to know recent request ids
	// and keys: what is younger than WindowTime, but not more than about WindowBytes.
	WindowTime  time.Duration
	WindowBytes int64
	// WindowRequests and WindowKeys bound the entries of the windows in memory, per log.
	WindowRequests, WindowKeys int

	// MaxRequestBytes bounds one write.
	MaxRequestBytes int64
	// MarksInterval is how often a log's checkpoint is moved; TruncateDelay how long entries are kept below it.
	MarksInterval, TruncateDelay time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		LeaseTTL: 2 * time.Second, RebalanceDelay: 2 * time.Second, DrainTimeout: 5 * time.Second, OpenTimeout: 2 * time.Minute,
		SealBytes: 128 << 20, SealAge: 10 * time.Minute, SealLogBytes: 256 << 20,
		UnsealedSoft: 1 << 30, UnsealedHard: 2 << 30, UploadWorkers: 2, UploadRetryMax: 30 * time.Second, IDReserve: 1024,
		WindowTime: time.Minute, WindowBytes: 256 << 20, WindowRequests: 1 << 20, WindowKeys: 1 << 20,
		MaxRequestBytes: 256 << 20, MarksInterval: 2 * time.Second, TruncateDelay: time.Minute,
	}
}

// Register adds the settings that a user may change to set.
func (c *Config) Register(set *config.Set) {
	set.Bytes(&c.SealBytes, "dataNode.seal.bytes", "unsealed bytes at which a shard is sealed")
	set.Duration(&c.SealAge, "dataNode.seal.age", "age of the oldest unsealed row at which a shard is sealed")
	set.Bytes(&c.SealLogBytes, "dataNode.seal.logBytes", "length of the log behind a shard's oldest unsealed row at which it is sealed")
	set.Bytes(&c.UnsealedSoft, "dataNode.unsealed.soft", "unsealed bytes of a node above which inserts are refused for the moment")
	set.Bytes(&c.UnsealedHard, "dataNode.unsealed.hard", "unsealed bytes of a node above which all writes are refused")
	set.Int(&c.UploadWorkers, "dataNode.uploadWorkers", "seals written to the bucket at the same time")
}

// Validate reports the first value that cannot work.
func (c Config) Validate() error {
	for name, d := range map[string]time.Duration{
		"lease ttl": c.LeaseTTL, "drain timeout": c.DrainTimeout, "open timeout": c.OpenTimeout,
		"seal age": c.SealAge, "upload retry": c.UploadRetryMax, "marks interval": c.MarksInterval,
	} {
		if d <= 0 {
			return fmt.Errorf("datanode: %s must be positive", name)
		}
	}
	switch {
	case c.Addr == "":
		return errors.New("datanode: addr must be set")
	case c.EntryBytes < 0:
		return errors.New("datanode: entry bytes must not be negative")
	case c.SealBytes <= 0 || c.SealLogBytes <= 0 || c.MaxRequestBytes <= 0 || c.UploadWorkers <= 0 || c.IDReserve <= 0:
		return errors.New("datanode: seal bounds, request bytes, upload workers and id reserve must be positive")
	case c.UnsealedSoft <= 0 || c.UnsealedHard < c.UnsealedSoft:
		return errors.New("datanode: the soft limit of unsealed bytes must be positive and not above the hard one")
	case c.WindowRequests <= 0 || c.WindowKeys <= 0 || c.WindowBytes < 0 || c.WindowTime < 0 || c.RebalanceDelay < 0 || c.TruncateDelay < 0:
		return errors.New("datanode: windows must not be empty, delays not negative")
	}
	return nil
}
