package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Config is what a Writer is given at the grant of a log, and its bounds. Zero bounds mean the defaults.
type Config struct {
	// Epoch is the granted one, above that of every earlier owner.
	Epoch uint64
	// OracleEpoch is the epoch of the coordinator that led when, or before, the log was granted, read after the grant.
	// Timestamps of an earlier coordinator are refused.
	OracleEpoch int64
	// Start is the log's checkpoint, read after the grant.
	Start Start
	// LastTS is not below the timestamp of any accepted record at or before Start, and not above what was handed out.
	LastTS tso.Timestamp

	MaxGroupBytes   int // of one entry; a single larger record goes alone
	MaxGroupRecords int
	// MaxQueueBytes and MaxQueueRecords bound what waits for the append in flight; beyond, Append is refused.
	MaxQueueBytes   int
	MaxQueueRecords int
	// AppendTimeout bounds one attempt to append; its outcome is unknown then and the same bytes are sent again.
	AppendTimeout time.Duration
	// OracleTimeout bounds one question to the oracle, ConfirmTimeout one confirmation of ownership.
	OracleTimeout  time.Duration
	ConfirmTimeout time.Duration
	// RetryMin and RetryMax are the least and greatest delay between attempts.
	RetryMin, RetryMax time.Duration
	// MaxAhead is how far above the oracle's newest timestamp a barrier's guarantee may lie; the barrier waits for it.
	MaxAhead time.Duration

	lax laxWriter
}

// laxWriter turns single rules off, for tests that show what each is good for.
type laxWriter struct {
	noFloor        bool // timestamps at or below a promise are used
	noWait         bool // a barrier does not wait for what is stamped and not acknowledged
	noConfirm      bool // a barrier is answered without asking who owns the log
	joinUnderway   bool // a barrier joins a confirmation that is under way
	anyOracle      bool // timestamps of an earlier coordinator are used
	noReadBack     bool // a gap before an own entry is not read
	reuseSeq       bool // a seq whose outcome is unknown gets other bytes
	trustLateError bool // an error of a resend counts for the first send too
	oneStamp       bool // the requests of a group share one timestamp
	stampFence     bool // the first timestamp is asked for before the fence is written, and promised
}

func (c *Config) setDefaults() {
	def(&c.MaxGroupBytes, 4<<20)
	def(&c.MaxGroupRecords, 4096)
	def(&c.MaxQueueBytes, 128<<20)
	def(&c.MaxQueueRecords, 16384)
	def(&c.AppendTimeout, 10*time.Second)
	def(&c.OracleTimeout, 2*time.Second)
	def(&c.ConfirmTimeout, 2*time.Second)
	def(&c.RetryMin, 5*time.Millisecond)
	def(&c.RetryMax, time.Second)
	def(&c.MaxAhead, 5*time.Second)
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Epoch == 0:
		return errors.New("wal: epoch is zero")
	case c.MaxGroupBytes < 0 || c.MaxGroupRecords < 0 || c.MaxQueueBytes < 0 || c.MaxQueueRecords < 0:
		return errors.New("wal: a bound is negative")
	case c.RetryMin > c.RetryMax && c.RetryMax != 0:
		return fmt.Errorf("wal: least delay %s is above the greatest, %s", c.RetryMin, c.RetryMax)
	}
	return nil
}

// Timestamps is a range of count timestamps from first, handed out by the coordinator of that epoch.
type Timestamps struct {
	First tso.Timestamp
	Count uint32
	Epoch int64
}

// Oracle hands out timestamps, all above those that the same coordinator or an earlier one handed out.
type Oracle interface {
	Timestamps(ctx context.Context, count uint32) (Timestamps, error)
}

// Deps is what a Writer works with.
type Deps struct {
	Log    mq.Log
	Oracle Oracle
	// Confirm reads linearizably whether the log is still granted under Config.Epoch: nil if so, an error with code
	// errs.NotOwner if not, another error if it cannot be told.
	Confirm func(ctx context.Context) error
	// Apply is told every accepted entry in log order: during Open those found in the log, later the own ones before they
	// are acknowledged. before is the place behind the entry accepted before. An error ends the Writer.
	Apply func(before Start, e Accepted) error
	// Observe, if set, is told of every group that was acknowledged.
	Observe func(GroupStats)
	Logger  *slog.Logger
}

// GroupStats describes one group commit.
type GroupStats struct {
	Records, Bytes int
	// Append is the time from the first attempt until the group was known to be accepted.
	Append time.Duration
	// Resent counts attempts beyond the first.
	Resent int
}

// FencedError says that a newer owner's fence was found in the log, or an older life of the same epoch.
type FencedError struct {
	// By is the highest epoch found.
	By uint64
}

func (e *FencedError) Error() string { return fmt.Sprintf("the log is fenced by epoch %d", e.By) }
