package coordinator

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// Inspect implements pb.CoordinatorServer: the JSON that gyr-ctl shows.
func (c *Coordinator) Inspect(ctx context.Context, req *pb.InspectRequest) (*pb.InspectResponse, error) {
	var report any
	var err error
	switch req.What {
	case "status":
		report, err = c.Status(ctx)
	case "gc":
		report, err = c.DryRun(ctx)
	case "problems":
		report = struct {
			Problems []string `json:"problems"`
		}{c.Problems()}
	default:
		return nil, errs.Invalid("nothing to inspect is called %q", req.What)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", req.What, err)
	}
	raw, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", req.What, err)
	}
	return &pb.InspectResponse{Json: raw}, nil
}
