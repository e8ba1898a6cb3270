package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gyr-db/gyr/pkg/meta"
)

// wrap gives an error of the client the meaning that package meta knows, and says what was being done. ctx is the
// caller's: its cancellation stays what it is.
func (s *Store) wrap(ctx context.Context, what, key string, err error) error {
	kind := s.kind(ctx, err)
	if kind == nil {
		return fmt.Errorf("etcd: %s %s: %w", what, key, err)
	}
	return fmt.Errorf("etcd: %s %s: %w: %w", what, key, kind, err)
}

func (s *Store) kind(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return meta.ErrLeaseLost
	case errors.Is(err, rpctypes.ErrCompacted):
		return meta.ErrCompacted
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case s.ctx.Err() != nil, clientv3.IsConnCanceled(err), errors.Is(err, context.DeadlineExceeded):
		return meta.ErrUnavailable
	}
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return kindOfCode(known.Code())
	}
	return kindOfCode(status.Code(err))
}

func kindOfCode(code codes.Code) error {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return meta.ErrUnavailable
	}
	return nil
}
