package process

import (
	"context"

	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Tasks offers a coordinator's task calls to an index node.
type Tasks struct{ Client pb.CoordinatorClient }

// PullTask asks for a task.
func (t Tasks) PullTask(ctx context.Context, req *pb.PullTaskRequest) (*pb.PullTaskResponse, error) {
	return t.Client.PullTask(ctx, req)
}

// ReportTask reports on a task.
func (t Tasks) ReportTask(ctx context.Context, req *pb.ReportTaskRequest) (*pb.ReportTaskResponse, error) {
	return t.Client.ReportTask(ctx, req)
}
