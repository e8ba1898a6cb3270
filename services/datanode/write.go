package datanode

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/rpc/pb"
	"github.com/gyr-db/gyr/pkg/tso"
	"github.com/gyr-db/gyr/pkg/wal"
)

// Write implements pb.DataNodeServer.
func (n *Node) Write(ctx context.Context, req *pb.WriteRequest) (*pb.WriteResponse, error) {
	o, err := n.owner(req.Log)
	if err != nil {
		return nil, err
	}
	pass, err := o.gate.enter()
	if err != nil {
		return nil, err
	}
	defer pass.leave()
	w := &write{o: o, req: req, pass: pass, id: shardID{req.Collection, int(req.Shard)}}
	if err := w.check(ctx); err != nil {
		return nil, err
	}
	ack, err := w.run(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.WriteResponse{Timestamp: ack.TS, Position: ack.Position}, nil
}

// write is one request on its way.
type write struct {
	o       *owner
	req     *pb.WriteRequest
	pass    *pass
	id      shardID
	request requestID
	payload *payload

	// The owner's lock guards these.
	outcome *outcome // once the record is built
	earlier *outcome // of the same request, found instead of building
}

var writeKinds = map[pb.WriteKind]wal.Kind{
	pb.WriteKind_INSERT: wal.Insert, pb.WriteKind_DELETE: wal.Delete, pb.WriteKind_UPSERT: wal.Upsert,
}

// run appends the request, unless it was appended before.
func (w *write) run(ctx context.Context) (wal.Ack, error) {
	if earlier := w.find(); earlier != nil {
		return earlier.wait(ctx)
	}
	if err := w.o.node.room(w.payload); err != nil {
		return wal.Ack{}, err
	}
	ack, err := w.o.writer.Append(ctx, wal.Request{Bytes: int(w.payload.bytes) + 128, Build: w.build, Done: w.done})
	w.o.mu.Lock()
	earlier := w.earlier
	w.o.mu.Unlock()
	if earlier != nil {
		return earlier.wait(ctx)
	}
	return ack, err
}

// find looks for an earlier record of the same request.
func (w *write) find() *outcome {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	return w.o.window.requests[w.request]
}

// wait waits until it is known what became of a request.
func (o *outcome) wait(ctx context.Context) (wal.Ack, error) {
	select {
	case <-o.done:
		return o.ack, o.err
	case <-ctx.Done():
		return wal.Ack{}, fmt.Errorf("wait for an earlier attempt of the same request: %w", ctx.Err())
	}
}

// room refuses a write when too much waits for the bucket. Deletes free room in the end, so only the hard limit stops them.
func (n *Node) room(p *payload) error {
	have := n.unsealed.Load()
	switch {
	case have+p.bytes > n.cfg.UnsealedHard:
		return errs.New(errs.QuotaExceeded, "%d MiB are not in the object storage yet, the limit is %d MiB", have>>20, n.cfg.UnsealedHard>>20)
	case have > n.cfg.UnsealedSoft && len(p.parts) > 0:
		return errs.New(errs.RateLimit, "%d MiB are not in the object storage yet, try again later", have>>20)
	}
	return nil
}

// build implements wal.Request.Build: in log order, with the timestamp known.
func (w *write) build(ts tso.Timestamp) (wal.Record, error) {
	o := w.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.earlier = o.window.requests[w.request]; w.earlier != nil {
		return wal.Record{}, errs.New(errs.Unavailable, "an earlier attempt of the same request is in the log")
	}
	if o.window.tooOld(w.request) {
		return wal.Record{}, errs.New(errs.Timeout, "the request is so old that it cannot be told whether it was applied before")
	}
	if w.req.Kind == pb.WriteKind_UPSERT && w.req.ReadTs != 0 {
		if err := o.window.conflict(w.payload.hashes, w.req.ReadTs); err != nil {
			return wal.Record{}, err
		}
	}
	s, err := o.shard(w.id)
	if err != nil {
		return wal.Record{}, err
	}
	if s == nil {
		return wal.Record{}, moved("shard %s", w.id)
	}
	if !w.pass.build() {
		return wal.Record{}, context.Canceled
	}
	w.outcome = o.window.begin(w.request, ts)
	o.window.wrote(w.payload.hashes, ts)
	s.note(w.payload)
	o.flying = append(o.flying, w.payload)
	return w.record(), nil
}

func (w *write) record() wal.Record {
	r := wal.Record{
		Kind: writeKinds[w.req.Kind], Collection: w.req.Collection, Shard: w.req.Shard, SchemaVersion: w.req.SchemaVersion,
		RequestID: w.request, Keys: w.req.Keys, Partition: w.req.DeletePartition, ReadTS: w.req.ReadTs,
	}
	for _, p := range w.req.Parts {
		r.Parts = append(r.Parts, wal.Part{Partition: p.Partition, Rows: p.Rows})
	}
	return r
}

// done implements wal.Request.Done.
func (w *write) done(ack wal.Ack, err error) {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	if err != nil {
		w.o.flying = nil // none of the group is in the log
		w.o.window.forget(w.request, w.outcome)
	}
	w.outcome.ack, w.outcome.err = ack, err
	close(w.outcome.done)
	w.pass.settle()
}

// moved says that what a request names is gone; the proxy looks at a newer catalog.
func moved(format string, args ...any) error {
	return errs.New(errs.Moved, "%s is gone", fmt.Sprintf(format, args...))
}

// collection returns the collection of a request, as it is in the catalog now. What the cache does not show, or shows
// older than the request knows, is read from the store.
func (w *write) collection(ctx context.Context) (*catalog.Collection, error) {
	cache := w.o.node.deps.Cache
	c := cache.CollectionByID(w.id.collection)
	if c == nil || w.lacks(c) {
		kv, err := w.o.node.deps.Meta.Get(ctx, catalog.CollectionKey(w.id.collection))
		if isNotFound(err) {
			return nil, moved("collection %d", w.id.collection)
		}
		if err == nil {
			err = cache.WaitRevision(ctx, kv.ModRev)
		}
		if err != nil {
			return nil, errs.New(errs.Unavailable, "read collection %d: %w", w.id.collection, err)
		}
		c = cache.CollectionByID(w.id.collection)
	}
	if c == nil || c.State != catalog.Ready {
		return nil, moved("collection %d", w.id.collection)
	}
	return c, nil
}

// lacks says whether the request knows something of the collection that this catalog does not.
func (w *write) lacks(c *catalog.Collection) bool {
	if w.req.SchemaVersion > c.Schema.Version {
		return true
	}
	for _, p := range w.req.Parts {
		if findPartition(c, p.Partition) == nil {
			return true
		}
	}
	return w.req.DeletePartition != 0 && findPartition(c, w.req.DeletePartition) == nil
}
