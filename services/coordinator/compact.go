package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// compactionPrefix holds the compactions that users asked for, so that their state is known after a change of leader.
const compactionPrefix = "compaction/"

// compactionRecord is what a user's compaction made.
type compactionRecord struct {
	ID    int64            `json:"id"`
	AtMS  int64            `json:"at_ms"`
	Plans []compactionPlan `json:"plans,omitempty"`
}

type compactionPlan struct {
	Task    int64   `json:"task"`
	Sources []int64 `json:"sources"`
	Target  int64   `json:"target"`
}

func compactionKey(id int64) string { return fmt.Sprintf("%s%d", compactionPrefix, id) }

// compact posts the tasks of a user's compaction.
func (t *term) compact(ctx context.Context, ref *pb.CollectionRef) (*pb.CompactResponse, error) {
	found, unlock, err := t.ddl.lockNamed(ctx, ref.GetDb(), ref.GetName())
	if err != nil {
		return nil, err
	}
	defer unlock()
	id, err := t.id(ctx)
	if err != nil {
		return nil, err
	}
	var tasks []catalog.Task
	open := openByShard(t.c.deps.Cache.Tasks())
	for _, shard := range t.c.deps.Cache.Shards(found.ID) {
		tasks = append(tasks, planManual(found, shard, open[shardID{found.ID, shard.Index}], t.c.cfg.Compact, t.board.horizon())...)
	}
	if err := t.board.post(ctx, tasks); err != nil {
		return nil, err
	}
	rec := compactionRecord{ID: id, AtMS: t.c.now().UnixMilli()}
	for _, task := range tasks {
		plan := compactionPlan{Task: task.ID, Target: task.Target}
		for _, s := range task.Sources {
			plan.Sources = append(plan.Sources, s.ID)
		}
		rec.Plans = append(rec.Plans, plan)
	}
	if err := t.putNew(ctx, compactionKey(id), &rec); err != nil {
		return nil, err
	}
	return &pb.CompactResponse{Compaction: id, Plans: int32(len(tasks))}, nil
}

// compactionState counts the tasks of a compaction that are open, over, and given up for now. One that is not known, or
// found nothing to do, has none.
func (t *term) compactionState(ctx context.Context, req *pb.CompactionStateRequest) (*pb.CompactionStateResponse, error) {
	resp := &pb.CompactionStateResponse{}
	rec, _, err := catalog.Read[compactionRecord](ctx, t.c.deps.Meta, compactionKey(req.GetCompaction()))
	if errors.Is(err, meta.ErrNotFound) {
		return resp, nil
	}
	if err != nil {
		return nil, err
	}
	for _, plan := range rec.Plans {
		resp.Plans = append(resp.Plans, &pb.CompactionPlan{Sources: plan.Sources, Target: plan.Target})
		task, _, err := catalog.Read[catalog.Task](ctx, t.c.deps.Meta, catalog.TaskKey(plan.Task))
		switch {
		case errors.Is(err, meta.ErrNotFound):
			resp.Completed++
		case err != nil:
			return nil, err
		case task.Failures >= t.c.cfg.Tasks.MaxFailures:
			resp.Failed++
		default:
			resp.Executing++
		}
	}
	return resp, nil
}
