package embedded

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/lease"
)

// RevokeLeases ends every lease that an earlier process left behind, deleting its keys. The lock on the folder proves
// that their holders are gone, so nobody has to wait for them to run out. Call it before the first lease is granted.
func (s *Server) RevokeLeases(ctx context.Context) error {
	left, err := s.etcd.Server.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	if err != nil {
		return fmt.Errorf("embedded etcd: list leases: %w", err)
	}
	for _, l := range left.Leases {
		if _, err := s.etcd.Server.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: l.ID}); err != nil && !errors.Is(err, lease.ErrLeaseNotFound) {
			return fmt.Errorf("embedded etcd: revoke lease %x of an earlier process: %w", l.ID, err)
		}
	}
	return nil
}
