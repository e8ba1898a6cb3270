package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/meta"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// job makes the nodes of one view ready and publishes it.
type job struct {
	p      *placer
	view   *catalog.View
	began  time.Time
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards all below
	waiting  map[catalog.NodeID]string
	progress map[catalog.NodeID]float32
	moved    map[catalog.NodeID]time.Time // when it last came nearer
	stale    bool                         // a node cannot follow the log from the view's position any more
}

// run returns nil when the view is published.
func (j *job) run(ctx context.Context) error {
	// Numbers come from the cluster's ids: they grow over leaders, and no two different views ever carry the same.
	number, err := j.p.t.id(ctx)
	if err != nil {
		return err
	}
	j.view.Number = uint64(number)
	body, err := json.Marshal(j.view)
	if err != nil {
		return fmt.Errorf("encode the view: %w", err)
	}
	var wg sync.WaitGroup
	for _, n := range nodesOfView(j.view) {
		j.note(n, "has not answered yet", 0)
		wg.Go(func() { j.prepare(ctx, n, body) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return j.publish(ctx)
}

// prepare asks one node until it is ready or ctx ends.
func (j *job) prepare(ctx context.Context, n catalog.NodeID, body []byte) {
	cfg := j.p.t.c.cfg.Placement
	for delay := cfg.PollMin; ctx.Err() == nil; delay = min(delay*3/2, cfg.PollMax) {
		resp, err := j.ask(ctx, n, body)
		switch {
		case err != nil:
			j.note(n, err.Error(), 0)
			if errs.Is(err, errs.ViewStale) {
				j.setStale()
			}
		case resp.GetReady():
			j.note(n, "", 1)
			return
		default:
			j.note(n, resp.GetWaitingFor(), resp.GetProgress())
		}
		sleep(ctx, delay)
	}
}

func (j *job) ask(ctx context.Context, n catalog.NodeID, body []byte) (*pb.PrepareViewResponse, error) {
	select {
	case j.p.calls <- struct{}{}:
		defer func() { <-j.p.calls }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	node := j.p.t.c.deps.Cache.Node(catalog.RoleQueryNode, n)
	if node == nil {
		return nil, errors.New("the node is gone")
	}
	client, err := j.p.t.c.deps.Peers.QueryNode(node.Addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, j.p.t.c.cfg.CallTimeout)
	defer cancel()
	return client.PrepareView(ctx, &pb.PrepareViewRequest{ViewJson: body, Node: n})
}

// note keeps what a node waits for; "" with progress 1 means that it is ready.
func (j *job) note(n catalog.NodeID, waiting string, progress float32) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if progress > j.progress[n] || j.moved[n].IsZero() {
		j.moved[n] = time.Now()
	}
	j.progress[n] = progress
	if waiting == "" && progress >= 1 {
		delete(j.waiting, n)
		return
	}
	j.waiting[n] = waiting
}

func (j *job) setStale() {
	j.mu.Lock()
	j.stale = true
	j.mu.Unlock()
	j.p.poke()
}

// behind reports whether a node cannot follow the log from the view's position and a later one is wanted.
func (j *job) behind(wanted *catalog.View) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stale && wanted != nil && wanted.From > j.view.From
}

// stuck are the nodes that are not ready and came no nearer for so long.
func (j *job) stuck(after time.Duration) []catalog.NodeID {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []catalog.NodeID
	for n := range j.waiting {
		if time.Since(j.moved[n]) > after {
			out = append(out, n)
		}
	}
	return out
}

// state is the share that is ready and what the rest waits for.
func (j *job) state() (float32, string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var sum float32
	for _, p := range j.progress {
		sum += p
	}
	var why []string
	for _, n := range slices.Sorted(maps.Keys(j.waiting)) {
		why = append(why, fmt.Sprintf("node %d: %s", n, j.waiting[n]))
	}
	return sum / float32(max(len(j.progress), 1)), strings.Join(why, "; ")
}

// publish commits the view if everything that it was planned on still holds: the load, the segments, the view before it.
func (j *job) publish(ctx context.Context) error {
	for {
		cmps, err := j.conditions(ctx)
		if err != nil {
			return err
		}
		op, err := catalog.Put(catalog.ViewKey(j.view.Collection, j.view.Shard, j.view.Replica), j.view)
		if err != nil {
			return err
		}
		rev, err := j.p.t.commit(ctx, cmps, []meta.Op{op})
		if errors.Is(err, errConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return j.p.t.c.deps.Cache.WaitRevision(ctx, rev)
	}
}

// conditions reads what the view depends on and makes the compares that pin it.
func (j *job) conditions(ctx context.Context) ([]meta.Compare, error) {
	store, v := j.p.t.c.deps.Meta, j.view
	coll, collKV, err := catalog.Read[catalog.Collection](ctx, store, catalog.CollectionKey(v.Collection))
	if err != nil {
		return nil, err
	}
	shard, shardKV, err := catalog.Read[catalog.Shard](ctx, store, catalog.ShardKey(v.Collection, v.Shard))
	if err != nil {
		return nil, err
	}
	if why := obsolete(v, coll, shard, j.p.alive); why != "" {
		return nil, errors.New(why)
	}
	viewKey := catalog.ViewKey(v.Collection, v.Shard, v.Replica)
	viewKV, err := store.Get(ctx, viewKey)
	if err != nil && !errors.Is(err, meta.ErrNotFound) {
		return nil, fmt.Errorf("read the published view: %w", err)
	}
	return []meta.Compare{
		{Key: collKV.Key, ModRev: collKV.ModRev}, {Key: shardKV.Key, ModRev: shardKV.ModRev}, {Key: viewKey, ModRev: viewKV.ModRev},
	}, nil
}
