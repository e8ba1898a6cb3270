package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/gyr-db/gyr/pkg/meta"
)

// watchContext is the same for all watches but for cancellation: the client keeps one stream per set of metadata, and
// a request for progress reaches the watches of its own stream only.
func watchContext(ctx context.Context) context.Context {
	return clientv3.WithRequireLeader(metadata.NewOutgoingContext(ctx, metadata.MD{}))
}

// Watch implements meta.Store. Revision 0 means from now on. The client reconnects by itself; an error comes when
// the revision is compacted, the member has lost its leader, or the store is closed.
func (s *Store) Watch(ctx context.Context, prefix string, rev int64) <-chan meta.WatchBatch {
	out := make(chan meta.WatchBatch)
	wctx, cancel := context.WithCancel(watchContext(ctx))
	s.wg.Go(func() {
		defer close(out)
		defer cancel()
		in := s.client.Watch(wctx, s.full(prefix), clientv3.WithPrefix(), clientv3.WithRev(max(rev, 0)), clientv3.WithProgressNotify())
		for resp := range in {
			batch := s.batch(ctx, prefix, resp)
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			case <-s.ctx.Done():
				return
			}
			if batch.Err != nil {
				return
			}
		}
	})
	return out
}

func (s *Store) batch(ctx context.Context, prefix string, resp clientv3.WatchResponse) meta.WatchBatch {
	if err := resp.Err(); err != nil {
		return meta.WatchBatch{Err: s.wrap(ctx, "watch", prefix, err)}
	}
	b := meta.WatchBatch{Events: make([]meta.Event, 0, len(resp.Events))}
	for _, e := range resp.Events {
		if e.Type == mvccpb.DELETE {
			b.Events = append(b.Events, meta.Event{KV: meta.KV{Key: s.relative(e.Kv.Key), ModRev: e.Kv.ModRevision}, Deleted: true})
		} else {
			b.Events = append(b.Events, meta.Event{KV: s.kv(e.Kv)})
		}
		// While a watch catches up its header runs ahead of what was delivered: the events count.
		b.Revision = e.Kv.ModRevision
	}
	if len(resp.Events) == 0 && resp.IsProgressNotify() {
		b.Revision = resp.Header.Revision
	}
	return b
}

// RequestProgress implements meta.Progresser. A server answers only when all watches of the client are up to date.
func (s *Store) RequestProgress(ctx context.Context) error {
	ctx, cancel := s.call(ctx)
	defer cancel()
	if err := s.client.RequestProgress(watchContext(ctx)); err != nil {
		return s.wrap(ctx, "request", "progress", err)
	}
	return nil
}
