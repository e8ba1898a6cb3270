package indexnode

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/segment"
)

// compact merges segments of one shard and partition into one. A row version goes only if its delete lies at or
// below the task's horizon; the rest keep their deletes in the new file, so that deletes up to ApplyThrough need not
// be applied to it again.
func (n *Node) compact(ctx context.Context, t *catalog.Task, p *progress) (*catalog.TaskResult, error) {
	if len(t.Sources) == 0 {
		return nil, fmt.Errorf("compaction task %d names no segment", t.ID)
	}
	deltas, err := n.readDeltas(ctx, t)
	if err != nil {
		return nil, err
	}
	sources := make([]*segment.Sealed, 0, len(t.Sources))
	defer func() {
		for _, s := range sources {
			s.Release()
		}
	}()
	for i := range t.Sources {
		s, err := n.open(ctx, t, &t.Sources[i], false)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
		for _, d := range deltas {
			s.ApplyDeletes(d, t.Sources[i].AppliedThrough)
		}
		p.set(0.5 * float32(i+1) / float32(len(t.Sources)))
	}
	info, _, err := segment.Merge(ctx, n.deps.Objects, segment.MergeConfig{
		Dir: t.Dir, Schema: &t.Schema, Sources: sources, Indexed: t.Indexed,
		Drop: func(_, dead uint64) bool { return dead != 0 && dead <= t.Horizon },
	})
	if err != nil {
		return nil, fmt.Errorf("merge %d segments: %w", len(sources), err)
	}
	if info.Rows == 0 {
		return &catalog.TaskResult{}, nil
	}
	return &catalog.TaskResult{Segment: &catalog.Segment{
		ID: t.Target, Partition: t.Sources[0].Partition, Rows: info.Rows, Bytes: info.Bytes,
		MinTS: info.MinTS, MaxTS: info.MaxTS, AppliedThrough: t.ApplyThrough, Dir: t.Dir, Schema: t.Schema.Version,
	}}, nil
}

// readDeltas reads the deletes up to ApplyThrough.
func (n *Node) readDeltas(ctx context.Context, t *catalog.Task) ([]segment.Deletes, error) {
	var out []segment.Deletes
	for _, d := range t.Deltas {
		if d.From >= t.ApplyThrough {
			continue
		}
		deletes, err := segment.ReadDelta(ctx, n.deps.Objects, d.Path)
		if err != nil {
			return nil, fmt.Errorf("deletes for a compaction: %w", err)
		}
		out = append(out, deletes)
	}
	return out, nil
}
