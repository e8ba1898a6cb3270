package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gyr-db/gyr/pkg/meta"
)

// A listing is read in pages of one revision; one whose revision is compacted meanwhile starts anew, so often.
const (
	pageKeys     = 2000
	listAttempts = 3
)

// Get implements meta.Store.
func (s *Store) Get(ctx context.Context, key string) (meta.KV, error) {
	cctx, cancel := s.call(ctx)
	defer cancel()
	resp, err := s.client.Get(cctx, s.full(key))
	if err != nil {
		return meta.KV{}, s.wrap(ctx, "get", key, err)
	}
	if len(resp.Kvs) == 0 {
		return meta.KV{}, fmt.Errorf("etcd: get %s: %w", key, meta.ErrNotFound)
	}
	return s.kv(resp.Kvs[0]), nil
}

// List implements meta.Store.
func (s *Store) List(ctx context.Context, prefix string) (kvs []meta.KV, rev int64, err error) {
	for range listAttempts {
		kvs, rev, err = s.list(ctx, prefix)
		if !errors.Is(err, meta.ErrCompacted) {
			break
		}
	}
	return kvs, rev, err
}

func (s *Store) list(ctx context.Context, prefix string) ([]meta.KV, int64, error) {
	from := s.full(prefix)
	end := clientv3.GetPrefixRangeEnd(from)
	var out []meta.KV
	var rev int64
	for {
		resp, err := s.page(ctx, from, end, rev)
		if err != nil {
			return nil, 0, s.wrap(ctx, "list", prefix, err)
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			out = append(out, s.kv(kv))
		}
		if !resp.More {
			return out, rev, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) page(ctx context.Context, from, end string, rev int64) (*clientv3.GetResponse, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	return s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageKeys), clientv3.WithRev(rev))
}

// Txn implements meta.Store.
func (s *Store) Txn(ctx context.Context, cmps []meta.Compare, ops []meta.Op) (int64, bool, error) {
	if len(ops) > meta.MaxOps {
		return 0, false, fmt.Errorf("etcd: txn: %d operations are more than %d", len(ops), meta.MaxOps)
	}
	conditions := make([]clientv3.Cmp, 0, len(cmps))
	for _, c := range cmps {
		if c.Value != nil {
			conditions = append(conditions, clientv3.Compare(clientv3.Value(s.full(c.Key)), "=", string(c.Value)))
		} else {
			conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(s.full(c.Key)), "=", c.ModRev))
		}
	}
	writes, err := s.writes(ops)
	if err != nil {
		return 0, false, err
	}
	cctx, cancel := s.call(ctx)
	defer cancel()
	resp, err := s.client.Txn(cctx).If(conditions...).Then(writes...).Commit()
	if err != nil {
		return 0, false, s.wrap(ctx, "txn", firstKey(cmps, ops), err)
	}
	return resp.Header.Revision, resp.Succeeded, nil
}

func (s *Store) writes(ops []meta.Op) ([]clientv3.Op, error) {
	if len(ops) == 0 {
		// Without any operation a server takes the transaction for a serializable one and may answer from a stale
		// state; a read makes it linearizable.
		return []clientv3.Op{clientv3.OpGet(s.full("probe"), clientv3.WithCountOnly())}, nil
	}
	out := make([]clientv3.Op, 0, len(ops))
	for _, op := range ops {
		key := s.full(op.Key)
		switch {
		case op.Delete && op.Prefix:
			out = append(out, clientv3.OpDelete(key, clientv3.WithPrefix()))
		case op.Key == "":
			return nil, errors.New("etcd: txn: empty key")
		case op.Delete:
			out = append(out, clientv3.OpDelete(key))
		default:
			out = append(out, clientv3.OpPut(key, string(op.Value), clientv3.WithLease(clientv3.LeaseID(op.Lease))))
		}
	}
	return out, nil
}

// firstKey names a transaction in an error.
func firstKey(cmps []meta.Compare, ops []meta.Op) string {
	switch {
	case len(ops) > 0:
		return ops[0].Key
	case len(cmps) > 0:
		return cmps[0].Key
	}
	return ""
}

func (s *Store) kv(kv *mvccpb.KeyValue) meta.KV {
	return meta.KV{
		Key: s.relative(kv.Key), Value: kv.Value,
		ModRev: kv.ModRevision, CreateRev: kv.CreateRevision, Lease: kv.Lease,
	}
}
