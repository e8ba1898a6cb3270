package datanode

import (
	"cmp"
	"slices"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/tso"
)

// Status tells what a datanode does, for people.
type Status struct {
	Node          catalog.NodeID `json:"node"`
	UnsealedBytes int64          `json:"unsealed_bytes"`
	SegmentIDs    int            `json:"segment_ids"` // in reserve
	Logs          []LogStatus    `json:"logs"`
}

// LogStatus is the state of one owned log.
type LogStatus struct {
	Log           int           `json:"log"`
	Epoch         uint64        `json:"epoch"`
	Position      mq.Position   `json:"position"` // of the last acknowledged entry
	TS            tso.Timestamp `json:"ts"`
	Checkpoint    mq.Position   `json:"checkpoint"`
	Truncated     mq.Position   `json:"truncated"`
	UnsealedBytes int64         `json:"unsealed_bytes"`
	Shards        []ShardStatus `json:"shards,omitempty"` // those with anything that is not in the bucket
}

// ShardStatus is what of one shard is not in the bucket.
type ShardStatus struct {
	Collection int64       `json:"collection"`
	Shard      int         `json:"shard"`
	Checkpoint mq.Position `json:"checkpoint"`
	OpenBytes  int64       `json:"open_bytes"`
	AgeMS      int64       `json:"age_ms"`
	Seals      int         `json:"seals"` // logged and not committed
}

// Status reads the node's state.
func (n *Node) Status() Status {
	out := Status{Node: n.id, UnsealedBytes: n.unsealed.Load(), SegmentIDs: n.ids.left(), Logs: []LogStatus{}}
	for _, o := range n.owners() {
		out.Logs = append(out.Logs, o.status())
	}
	slices.SortFunc(out.Logs, func(a, b LogStatus) int { return cmp.Compare(a.Log, b.Log) })
	return out
}

func (o *owner) status() LogStatus {
	at, ts := o.writer.Acked()
	o.mu.Lock()
	defer o.mu.Unlock()
	out := LogStatus{
		Log: o.number, Epoch: o.grant.epoch, Position: at.Position, TS: ts,
		Checkpoint: o.marks.Checkpoint, Truncated: o.marks.Truncated, UnsealedBytes: o.unsealed,
	}
	for _, s := range o.shards {
		if s.oldest() == nil {
			continue
		}
		row := ShardStatus{Collection: s.id.collection, Shard: s.id.shard, Checkpoint: s.committed, OpenBytes: s.open.bytes, Seals: len(s.sealed)}
		if s.open.filled {
			row.AgeMS = time.Since(s.open.since).Milliseconds()
		}
		out.Shards = append(out.Shards, row)
	}
	slices.SortFunc(out.Shards, func(a, b ShardStatus) int {
		return cmp.Or(cmp.Compare(a.Collection, b.Collection), cmp.Compare(a.Shard, b.Shard))
	})
	return out
}
