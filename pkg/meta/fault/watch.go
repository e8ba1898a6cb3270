package fault

import (
	"context"

	"github.com/gyr-db/gyr/pkg/meta"
)

// Watch implements meta.Store. A rule that fails a Watch gives a watch that ends with that error.
func (s *Store) Watch(ctx context.Context, prefix string, rev int64) <-chan meta.WatchBatch {
	out := make(chan meta.WatchBatch)
	news := s.current() // from here on it can be broken
	go func() {
		defer close(out)
		err := s.Run(ctx, Watch, []string{prefix}, meta.ErrUnavailable, func() error {
			return s.follow(ctx, prefix, rev, news, out)
		})
		if err != nil {
			send(ctx, out, meta.WatchBatch{Err: wrap("watch", err)})
		}
	}()
	return out
}

// follow runs the inner watch and leaves nothing of it behind.
func (s *Store) follow(ctx context.Context, prefix string, rev int64, news *news, out chan<- meta.WatchBatch) error {
	ctx, cancel := context.WithCancel(ctx)
	in := s.inner.Watch(ctx, prefix, rev)
	defer func() {
		cancel()
		for range in { // its goroutine may be sending
		}
	}()
	return s.forward(ctx, news, in, out)
}

// forward passes batches on until the watch ends or is broken. A batch that comes during a partition is held until
// its end, and everything behind it.
func (s *Store) forward(ctx context.Context, news *news, in <-chan meta.WatchBatch, out chan<- meta.WatchBatch) error {
	var held *meta.WatchBatch
	for {
		from, to := in, chan<- meta.WatchBatch(nil)
		var next meta.WatchBatch
		if held != nil {
			from, next = nil, *held
			if !s.Partitioned() {
				to = out
			}
		}
		select {
		case b, open := <-from:
			if !open {
				return nil
			}
			held = &b
		case to <- next:
			held = nil
		case <-news.ch:
			if news.err != nil {
				return news.err
			}
			news = news.next
		case <-ctx.Done():
			return nil
		}
	}
}

func send(ctx context.Context, out chan<- meta.WatchBatch, b meta.WatchBatch) bool {
	select {
	case out <- b:
		return true
	case <-ctx.Done():
		return false
	}
}
