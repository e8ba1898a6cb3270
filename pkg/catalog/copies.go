package catalog

import "github.com/gyr-db/gyr/pkg/mq"

// CopiesKey is the key of the Copies.
const CopiesKey = "coordinator/copies"

// ProtectedCopies of the newest copies can be restored: the second one is for when the newest turns out to be damaged.
const ProtectedCopies = 2

// Copies are the copies of the catalog in the bucket. The coordinator's leader writes it; the owners of the logs and
// garbage collection hold back what the newest ProtectedCopies need.
//
// Why a rebuild finds every row: it begins each log at the checkpoint in the copy. The leader writes Pending, the present
// checkpoints, then reads the copy at a later revision. A truncation that was committed before Pending lies at or below a
// checkpoint that the copy has; one that is committed later has compared this record, and lies at or below Floor.
type Copies struct {
	Kept []KeptCopy `json:"kept,omitempty"` // the newest first
	// Pending are checkpoints that a copy under way will at least have, by log.
	Pending map[int]mq.Position `json:"pending,omitempty"`
}

// KeptCopy is one copy.
type KeptCopy struct {
	Key      string `json:"key"`
	Revision int64  `json:"revision"`
	AtMS     int64  `json:"at_ms"` // unix ms
	Bytes    int    `json:"bytes"`
	// Checkpoints are those of its log marks, by log.
	Checkpoints map[int]mq.Position `json:"checkpoints"`
}

// Newest is the newest copy, nil when there is none. c may be nil.
func (c *Copies) Newest() *KeptCopy {
	if c == nil || len(c.Kept) == 0 {
		return nil
	}
	return &c.Kept[0]
}

// Floor is the position of a log above which nothing of it may be removed; false when nothing is held back.
func (c *Copies) Floor(log int) (mq.Position, bool) {
	floor, held := mq.Position(0), false
	take := func(m map[int]mq.Position) {
		if m == nil {
			return
		}
		if p := m[log]; !held || p < floor {
			floor, held = p, true
		}
	}
	for i := range min(len(c.Kept), ProtectedCopies) {
		take(c.Kept[i].Checkpoints)
	}
	take(c.Pending)
	return floor, held
}
