package coordinator

import (
	"context"
	"strconv"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
)

// serve runs one call in the present term: with a deadline, ending when the term ends.
func serve[Req, Resp any](c *Coordinator, ctx context.Context, req Req, do func(*term, context.Context, Req) (Resp, error)) (Resp, error) {
	t, err := c.leader()
	if err != nil {
		var none Resp
		return none, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.DDLTimeout)
		defer cancel()
	}
	ctx, release := t.join(ctx)
	defer release()
	resp, err := do(t, ctx, req)
	if err != nil && t.ctx.Err() != nil && errs.CodeOf(err) != errs.NotLeader {
		// Not NotLeader: callers make such calls again, and this one may have been carried out.
		return resp, errs.New(errs.Unavailable, "this coordinator lost its leadership while it worked: %w", err)
	}
	return resp, err
}

// change is serve for a change of the catalog; it counts.
func change[Req any](c *Coordinator, ctx context.Context, name string, req Req, do func(*term, context.Context, Req) (*pb.Ack, error)) (*pb.Ack, error) {
	ack, err := serve(c, ctx, req, do)
	outcome := "ok"
	if err != nil {
		outcome = "code " + strconv.Itoa(int(errs.CodeOf(err)))
		c.deps.Logger.Debug("coordinator: change refused", "call", name, "error", err)
	} else {
		c.deps.Logger.Info("coordinator: catalog changed", "call", name, "revision", ack.GetRevision(), "id", ack.GetId())
	}
	c.met.ddl.WithLabelValues(name, outcome).Inc()
	return ack, err
}

// AllocTimestamp implements pb.CoordinatorServer.
func (c *Coordinator) AllocTimestamp(ctx context.Context, req *pb.AllocTimestampRequest) (*pb.AllocTimestampResponse, error) {
	t, err := c.leader()
	if err != nil {
		return nil, err
	}
	count := max(req.GetCount(), 1)
	first, err := t.oracle.alloc(ctx, count)
	if err != nil {
		return nil, err
	}
	c.met.timestamps.Add(float64(count))
	return &pb.AllocTimestampResponse{First: first, Count: count, CoordinatorEpoch: t.epoch}, nil
}

// AllocID implements pb.CoordinatorServer.
func (c *Coordinator) AllocID(ctx context.Context, req *pb.AllocIDRequest) (*pb.AllocIDResponse, error) {
	t, err := c.leader()
	if err != nil {
		return nil, err
	}
	count := max(req.GetCount(), 1)
	first, err := t.ids.alloc(ctx, count)
	if err != nil {
		return nil, err
	}
	return &pb.AllocIDResponse{First: first, Count: count}, nil
}

// CreateDatabase implements pb.CoordinatorServer.
func (c *Coordinator) CreateDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	return change(c, ctx, "CreateDatabase", req, (*term).createDatabase)
}

// DropDatabase implements pb.CoordinatorServer.
func (c *Coordinator) DropDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	return change(c, ctx, "DropDatabase", req, (*term).dropDatabase)
}

// AlterDatabase implements pb.CoordinatorServer.
func (c *Coordinator) AlterDatabase(ctx context.Context, req *pb.DatabaseRequest) (*pb.Ack, error) {
	return change(c, ctx, "AlterDatabase", req, (*term).alterDatabase)
}

// CreateCollection implements pb.CoordinatorServer.
func (c *Coordinator) CreateCollection(ctx context.Context, req *pb.CreateCollectionRequest) (*pb.Ack, error) {
	return change(c, ctx, "CreateCollection", req, (*term).createCollection)
}

// DropCollection implements pb.CoordinatorServer.
func (c *Coordinator) DropCollection(ctx context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	return change(c, ctx, "DropCollection", req, (*term).dropCollection)
}

// TruncateCollection implements pb.CoordinatorServer.
func (c *Coordinator) TruncateCollection(ctx context.Context, req *pb.CollectionRef) (*pb.Ack, error) {
	return change(c, ctx, "TruncateCollection", req, (*term).truncateCollection)
}

// RenameCollection implements pb.CoordinatorServer.
func (c *Coordinator) RenameCollection(ctx context.Context, req *pb.RenameCollectionRequest) (*pb.Ack, error) {
	return change(c, ctx, "RenameCollection", req, (*term).renameCollection)
}

// AlterCollection implements pb.CoordinatorServer.
func (c *Coordinator) AlterCollection(ctx context.Context, req *pb.AlterCollectionRequest) (*pb.Ack, error) {
	return change(c, ctx, "AlterCollection", req, (*term).alterCollection)
}

// AddField implements pb.CoordinatorServer.
func (c *Coordinator) AddField(ctx context.Context, req *pb.AddFieldRequest) (*pb.Ack, error) {
	return change(c, ctx, "AddField", req, (*term).addField)
}

// CreatePartition implements pb.CoordinatorServer.
func (c *Coordinator) CreatePartition(ctx context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	return change(c, ctx, "CreatePartition", req, (*term).createPartition)
}

// DropPartition implements pb.CoordinatorServer.
func (c *Coordinator) DropPartition(ctx context.Context, req *pb.PartitionRequest) (*pb.Ack, error) {
	return change(c, ctx, "DropPartition", req, (*term).dropPartition)
}

// CreateAlias implements pb.CoordinatorServer.
func (c *Coordinator) CreateAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	return change(c, ctx, "CreateAlias", req, (*term).createAlias)
}

// AlterAlias implements pb.CoordinatorServer.
func (c *Coordinator) AlterAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	return change(c, ctx, "AlterAlias", req, (*term).alterAlias)
}

// DropAlias implements pb.CoordinatorServer.
func (c *Coordinator) DropAlias(ctx context.Context, req *pb.AliasRequest) (*pb.Ack, error) {
	return change(c, ctx, "DropAlias", req, (*term).dropAlias)
}

// CreateIndex implements pb.CoordinatorServer.
func (c *Coordinator) CreateIndex(ctx context.Context, req *pb.CreateIndexRequest) (*pb.Ack, error) {
	return change(c, ctx, "CreateIndex", req, (*term).createIndex)
}

// AlterIndex implements pb.CoordinatorServer.
func (c *Coordinator) AlterIndex(ctx context.Context, req *pb.AlterIndexRequest) (*pb.Ack, error) {
	return change(c, ctx, "AlterIndex", req, (*term).alterIndex)
}

// DropIndex implements pb.CoordinatorServer.
func (c *Coordinator) DropIndex(ctx context.Context, req *pb.DropIndexRequest) (*pb.Ack, error) {
	return change(c, ctx, "DropIndex", req, (*term).dropIndex)
}

// Load implements pb.CoordinatorServer.
func (c *Coordinator) Load(ctx context.Context, req *pb.LoadRequest) (*pb.Ack, error) {
	return change(c, ctx, "Load", req, (*term).load)
}

// Release implements pb.CoordinatorServer.
func (c *Coordinator) Release(ctx context.Context, req *pb.ReleaseRequest) (*pb.Ack, error) {
	return change(c, ctx, "Release", req, (*term).release)
}

// LoadState implements pb.CoordinatorServer.
func (c *Coordinator) LoadState(ctx context.Context, req *pb.LoadStateRequest) (*pb.LoadStateResponse, error) {
	return serve(c, ctx, req, (*term).loadState)
}

// Compact implements pb.CoordinatorServer.
func (c *Coordinator) Compact(ctx context.Context, req *pb.CollectionRef) (*pb.CompactResponse, error) {
	return serve(c, ctx, req, (*term).compact)
}

// CompactionState implements pb.CoordinatorServer.
func (c *Coordinator) CompactionState(ctx context.Context, req *pb.CompactionStateRequest) (*pb.CompactionStateResponse, error) {
	return serve(c, ctx, req, (*term).compactionState)
}

// PullTask implements pb.CoordinatorServer.
func (c *Coordinator) PullTask(ctx context.Context, req *pb.PullTaskRequest) (*pb.PullTaskResponse, error) {
	return serve(c, ctx, req, (*term).pullTask)
}

// ReportTask implements pb.CoordinatorServer.
func (c *Coordinator) ReportTask(ctx context.Context, req *pb.ReportTaskRequest) (*pb.ReportTaskResponse, error) {
	return serve(c, ctx, req, (*term).reportTask)
}
