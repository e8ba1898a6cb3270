// Package tso defines Gyr's hybrid timestamps: unix milliseconds in the upper 46 bits, a logical counter in the
// lower 18. SDKs decode and make them, so the layout is part of the public API.
package tso

import "time"

// LogicalBits is the width of the logical counter.
const LogicalBits = 18

// Timestamp orders every write in the cluster. Zero means none.
type Timestamp = uint64

// Compose builds a timestamp from unix milliseconds and a logical counter.
func Compose(unixMS int64, logical uint64) Timestamp {
	return uint64(unixMS)<<LogicalBits | logical&(1<<LogicalBits-1)
}

// FromTime builds the lowest timestamp of t's millisecond.
func FromTime(t time.Time) Timestamp { return Compose(t.UnixMilli(), 0) }

// UnixMS returns the milliseconds part.
func UnixMS(ts Timestamp) int64 { return int64(ts >> LogicalBits) }

// Time returns the wall clock part.
func Time(ts Timestamp) time.Time { return time.UnixMilli(UnixMS(ts)) }
