package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Watch implements meta.Store. Every new revision of the store gives a batch, if only of progress; a slow reader gets
// several revisions in one. Revision 0 means from now on.
func (s *Store) Watch(ctx context.Context, prefix string, rev int64) <-chan meta.WatchBatch {
	out := make(chan meta.WatchBatch)
	if rev <= 0 {
		rev = s.Revision() + 1
	}
	s.wg.Go(func() {
		defer close(out)
		if err := s.watch(ctx, prefix, rev, out); err != nil && ctx.Err() == nil {
			select {
			case out <- meta.WatchBatch{Err: fmt.Errorf("watch %s: %w", prefix, err)}:
			case <-ctx.Done():
			}
		}
	})
	return out
}

// watch delivers batches until ctx or the client ends.
func (s *Store) watch(ctx context.Context, prefix string, next int64, out chan<- meta.WatchBatch) error {
	for {
		batch, changed, err := s.srv.since(prefix, next)
		if err != nil {
			return err
		}
		if batch.Revision >= next {
			select {
			case out <- batch:
				next = batch.Revision + 1
			case <-ctx.Done():
				return nil
			case <-s.ctx.Done():
				return nil // nobody may be reading: the closed channel is the answer
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return nil
		}
	}
}

// since collects what happened under prefix at revision next and later, and the channel that tells of more.
func (v *server) since(prefix string, next int64) (meta.WatchBatch, <-chan struct{}, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if next <= v.compacted {
		return meta.WatchBatch{}, nil, meta.ErrCompacted
	}
	batch := meta.WatchBatch{Revision: v.rev}
	i, _ := slices.BinarySearchFunc(v.history, next, func(r revision, rev int64) int { return int(r.rev - rev) })
	for _, r := range v.history[i:] {
		for _, e := range r.events {
			if strings.HasPrefix(e.KV.Key, prefix) {
				batch.Events = append(batch.Events, meta.Event{KV: clone(e.KV), Deleted: e.Deleted})
			}
		}
	}
	return batch, v.changed, nil
}
