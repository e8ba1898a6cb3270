package proxy

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/milvus-io/milvus-proto/go-api/v3/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v3/schemapb"
	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/schema"
)

// rowWrite is an insert or an upsert on its way. What a shard has acknowledged is not sent again; the rest is, with the
// same request ids and the same keys, while owners change or the schema moves on.
type rowWrite struct {
	p          *Proxy
	kind       pb.WriteKind
	db, name   string
	partition  string
	data       []*schemapb.FieldData
	rows       int
	schemaTS   uint64 // what the client believes to be the schema's age; 0: it does not say
	collection int64  // the one that the members below belong to
	keys       schema.Keys
	replaced   schema.Keys // upsert: the keys to kill, by row
	partial    bool        // upsert: fields that are not sent keep their values
	ops        []*schemapb.FieldPartialUpdateOp
	readTS     map[int]uint64 // partial: the timestamp, by log, at which the kept values were read
	sent       *shardWrites
}

// shardWrites keeps, per shard, the request id and whether it was acknowledged.
type shardWrites struct {
	mu   sync.Mutex // guards the maps
	ids  map[int][]byte
	done map[int]uint64 // timestamps
}

func newShardWrites() *shardWrites {
	return &shardWrites{ids: map[int][]byte{}, done: map[int]uint64{}}
}

// id returns the request id of a shard, and false when the shard has acknowledged.
func (s *shardWrites) id(shard int) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, done := s.done[shard]; done {
		return nil, false
	}
	if s.ids[shard] == nil {
		s.ids[shard] = newRequestID()
	}
	return s.ids[shard], true
}

// newRequestID makes an id that carries its time: an owner that may have forgotten a request refuses it instead of
// writing it twice.
func newRequestID() []byte {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id[:]
}

func (s *shardWrites) acknowledge(shard int, ts uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[shard] = ts
}

// forgetIDs makes the shards that have not acknowledged get new request ids.
func (s *shardWrites) forgetIDs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for shard := range s.ids {
		if _, done := s.done[shard]; !done {
			delete(s.ids, shard)
		}
	}
}

func (s *shardWrites) timestamp() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts := uint64(0)
	for _, t := range s.done {
		ts = max(ts, t)
	}
	return ts
}

// run writes all rows and returns the collection that they are in.
func (w *rowWrite) run(ctx context.Context) (*catalog.Collection, error) {
	if w.rows <= 0 {
		return nil, errs.Invalid("num_rows should be greater than 0")
	}
	for {
		c, err := w.target(ctx)
		if err != nil {
			return nil, err
		}
		batch, err := w.prepare(ctx, c)
		if err != nil {
			return nil, err
		}
		err = w.send(ctx, c, batch)
		switch {
		case errs.Is(err, errs.WriteConflict) && w.partial:
			w.sent.forgetIDs() // what was refused is another request once its values were read anew
			if ctx.Err() != nil {
				return nil, err
			}
			continue
		case !errs.Is(err, errs.SchemaMismatch) && !errs.Is(err, errs.Moved):
			return c, err
		}
		// The owner knows a newer catalog than this proxy showed.
		w.p.metrics.reruns.WithLabelValues("write", codeLabel(err)).Inc()
		if err := w.p.pause(ctx, err); err != nil {
			return nil, err
		}
	}
}

// target finds the collection as it is now.
func (w *rowWrite) target(ctx context.Context) (*catalog.Collection, error) {
	if err := w.p.needLease(ctx); err != nil {
		return nil, err
	}
	c, err := w.p.collection(w.db, w.name)
	if err != nil {
		return nil, err
	}
	if err := checkSchemaTime(c, w.schemaTS, w.name); err != nil {
		return nil, err
	}
	if w.partition != "" {
		if err := refuseNamedPartitions(c, 1); err != nil {
			return nil, err
		}
	}
	if w.collection != c.ID {
		// The first attempt, or the name means another collection by now: what the old one took is no part of this one.
		w.collection, w.sent, w.keys, w.replaced = c.ID, newShardWrites(), schema.Keys{}, schema.Keys{}
	}
	return c, nil
}

// checkSchemaTime refuses a client whose schema is another than the present one; it reads the schema anew and tries again.
func checkSchemaTime(c *catalog.Collection, claimed uint64, name string) error {
	if claimed != 0 && claimed != c.UpdatedTS {
		return errs.Input(errs.SchemaMismatch, "collection schema mismatch[collection=%s]", name)
	}
	return nil
}

// prepare reads the rows against the present schema. Keys are fixed the first time.
func (w *rowWrite) prepare(ctx context.Context, c *catalog.Collection) (*schema.Batch, error) {
	pk := c.Schema.PrimaryKey()
	batch, err := readRows(c, w.data, w.rows, w.partial)
	if err == nil && w.partial {
		batch, err = w.complete(ctx, c, batch)
	}
	if err != nil {
		return nil, err
	}
	given := batch.Column(pk.ID)
	if w.kind == pb.WriteKind_UPSERT {
		return batch, w.prepareUpsert(ctx, c, batch)
	}
	switch {
	case pk.AutoID && given != nil && !allowsGivenID(c):
		return nil, errs.Invalid("can not assign primary field data when auto id enabled and allow_insert_auto_id is false %s", pk.Name)
	case given != nil:
		w.keys = schema.KeysOf(given)
		return batch, nil
	case w.keys.Len() == 0:
		ids, err := w.p.ids.take(ctx, w.rows)
		if err != nil {
			return nil, err
		}
		w.keys = generatedKeys(pk, ids)
	}
	withKeys(batch, pk, w.keys)
	return batch, nil
}

// send splits a batch by shard and partition and writes the shards that have not acknowledged yet.
func (w *rowWrite) send(ctx context.Context, c *catalog.Collection, batch *schema.Batch) error {
	partitionOf, err := w.partitions(c, batch)
	if err != nil {
		return err
	}
	placed, replacedIn := w.keys, int64(0)
	if w.kind == pb.WriteKind_UPSERT {
		placed = w.replaced
		if partitionKeyField(c) == 0 {
			replacedIn = partitionOf(0)
		}
	}
	rowsOf := map[int][]int{}
	for row, shard := range shardsOf(placed, len(c.ShardLogs)) {
		rowsOf[shard] = append(rowsOf[shard], row)
	}
	g, ctx := errgroup.WithContext(ctx)
	for shard, rows := range rowsOf {
		id, open := w.sent.id(shard)
		if !open {
			continue
		}
		g.Go(func() error {
			req := &pb.WriteRequest{
				Log: int32(c.ShardLogs[shard]), Collection: c.ID, Shard: int32(shard), RequestId: id,
				SchemaVersion: c.Schema.Version, Kind: w.kind, Parts: writeParts(batch, rows, partitionOf),
			}
			if w.kind == pb.WriteKind_UPSERT {
				req.Keys = gatherKeys(w.replaced, rows).Encode(nil)
				req.ReadTs, req.DeletePartition = w.readTS[c.ShardLogs[shard]], replacedIn
			}
			ts, err := w.p.writeShard(ctx, req)
			if err == nil {
				w.sent.acknowledge(shard, ts)
			}
			return err
		})
	}
	return g.Wait()
}

// partitions returns the partition of each row.
func (w *rowWrite) partitions(c *catalog.Collection, batch *schema.Batch) (func(row int) int64, error) {
	if key := partitionKeyField(c); key != 0 {
		col := batch.Column(key)
		parts := livePartitions(c)
		if len(parts) == 0 {
			return nil, errs.New(errs.Internal, "collection %s has no partitions", c.Name)
		}
		return func(row int) int64 { return parts[keyPartition(col, row, len(parts))].ID }, nil
	}
	part, err := partition(c, w.partitionName())
	if err != nil {
		return nil, err
	}
	return func(int) int64 { return part.ID }, nil
}

// partitionName is the partition that the rows go to when there is no partition key. An upsert replaces its keys in this
// one only; with a partition key it replaces them wherever they are, since a row's partition may have changed.
func (w *rowWrite) partitionName() string {
	if w.partition == "" {
		return catalog.DefaultPartition
	}
	return w.partition
}

// writeParts gathers rows by partition, in ascending order of partitions.
func writeParts(batch *schema.Batch, rows []int, partitionOf func(int) int64) []*pb.WritePart {
	byPartition := map[int64][]int{}
	var order []int64
	for _, row := range rows {
		id := partitionOf(row)
		if byPartition[id] == nil {
			order = append(order, id)
		}
		byPartition[id] = append(byPartition[id], row)
	}
	slices.Sort(order)
	out := make([]*pb.WritePart, 0, len(order))
	for _, id := range order {
		part := batch
		if len(byPartition[id]) != batch.N {
			part = batch.Gather(byPartition[id])
		}
		out = append(out, &pb.WritePart{Partition: id, Rows: part.Encode(nil)})
	}
	return out
}

// writeShard sends one request to a shard's owner until it is acknowledged, refused for good, or time is up.
func (p *Proxy) writeShard(ctx context.Context, req *pb.WriteRequest) (uint64, error) {
	for {
		resp, err := p.tryWrite(ctx, req)
		if err == nil {
			p.reads.wrote(int(req.Log), resp.Timestamp)
			return resp.Timestamp, nil
		}
		if ctx.Err() != nil || !worthRetry(err) || errs.Is(err, errs.Moved) {
			return 0, err
		}
		p.metrics.reruns.WithLabelValues("write", codeLabel(err)).Inc()
		if err := p.pause(ctx, err); err != nil {
			return 0, err
		}
	}
}

func (p *Proxy) tryWrite(ctx context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	owner, err := p.owner(int(req.Log))
	if err != nil {
		return nil, err
	}
	epoch := p.deps.Cache.Owner(int(req.Log))
	ctx, cancel := p.whileTrue(ctx, func() bool {
		now := p.deps.Cache.Owner(int(req.Log))
		return now != nil && epoch != nil && now.Epoch == epoch.Epoch
	})
	defer cancel()
	return owner.Write(ctx, req)
}

// Insert implements milvuspb.MilvusServiceServer.
func (p *Proxy) Insert(ctx context.Context, req *milvuspb.InsertRequest) (*milvuspb.MutationResult, error) {
	w := &rowWrite{
		p: p, kind: pb.WriteKind_INSERT, db: req.DbName, name: req.CollectionName, partition: req.PartitionName,
		data: req.FieldsData, rows: int(req.NumRows), schemaTS: req.SchemaTimestamp,
	}
	c, err := w.run(ctx)
	if err != nil {
		return nil, err
	}
	out := w.result(c)
	out.InsertCnt = int64(w.rows)
	return out, nil
}

func (w *rowWrite) result(c *catalog.Collection) *milvuspb.MutationResult {
	out := &milvuspb.MutationResult{
		Status: success(), IDs: publicIDs(c.Schema.PrimaryKey(), w.keys), Timestamp: w.sent.timestamp(),
		SuccIndex: make([]uint32, w.rows),
	}
	for i := range out.SuccIndex {
		out.SuccIndex[i] = uint32(i)
	}
	return out
}
