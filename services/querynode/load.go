package querynode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/segment"
)

// loadSegments opens this node's segments of a view, those that other views have not brought already.
func (n *Node) loadSegments(ctx context.Context, s *shard, st *viewState) error {
	if len(st.mine) == 0 {
		return nil
	}
	manifest, err := n.manifestWith(ctx, s.id, st.mine)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, id := range st.mine {
		e, fresh := s.entry(manifest, id)
		if fresh {
			n.background(func(loadCtx context.Context) { n.load(loadCtx, s, e) })
		}
		g.Go(func() error {
			select {
			case <-e.ready:
				n.segmentLoaded(st)
				return e.err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	return g.Wait()
}

// segmentLoaded notes the progress of a preparation.
func (n *Node) segmentLoaded(st *viewState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	st.segmentsIn++
	st.progress = float32(st.segmentsIn) / float32(len(st.mine)+1)
	st.waitingFor = fmt.Sprintf("segments to be loaded: %d of %d are", st.segmentsIn, len(st.mine))
}

// manifestWith waits until the mirrored catalog knows all the segments.
func (n *Node) manifestWith(ctx context.Context, id shardID, segments []int64) (*catalog.Shard, error) {
	changes, cancel := n.deps.Cache.Subscribe()
	defer cancel()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		missing := int64(0)
		m := n.deps.Cache.Shard(id.collection, id.shard)
		for _, seg := range segments {
			if findSegment(m, seg) == nil {
				missing = seg
			}
		}
		if missing == 0 {
			return m, nil
		}
		select {
		case <-changes:
		case <-deadline.C:
			return nil, errs.New(errs.SegmentNotFound, "segment %d is not in the manifest of shard %s", missing, id)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func findSegment(m *catalog.Shard, id int64) *catalog.Segment {
	if m == nil {
		return nil
	}
	for i := range m.Segments {
		if m.Segments[i].ID == id {
			return &m.Segments[i]
		}
	}
	return nil
}

// entry returns the shard's entry of a segment, making one (fresh) when there is none or the last load failed.
func (s *shard) entry(manifest *catalog.Shard, id int64) (e *sealedSegment, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.sealed[id]; e != nil && e.err == nil {
		return e, false
	}
	e = &sealedSegment{meta: *findSegment(manifest, id), ready: make(chan struct{}), loaded: map[int64]bool{}}
	s.sealed[id] = e
	return e, true
}

// load opens one segment with its deletes and its index files.
func (n *Node) load(ctx context.Context, s *shard, e *sealedSegment) {
	err := n.loads.Acquire(ctx, 1)
	var seg *segment.Sealed
	if err == nil {
		seg, err = n.openWithin(ctx, s, e)
		n.loads.Release(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.err = err
	if gone := s.sealed[e.meta.ID] != e; (gone || err != nil) && seg != nil {
		e.seg = nil
		seg.Release()
	}
	close(e.ready)
}

// openWithin opens a segment if the node's memory allows.
func (n *Node) openWithin(ctx context.Context, s *shard, e *sealedSegment) (*segment.Sealed, error) {
	c := n.deps.Cache.CollectionByID(s.id.collection)
	if c == nil {
		return nil, errs.New(errs.CollectionNotFound, "collection %d is not in the catalog", s.id.collection)
	}
	giveBack, err := n.reserve(n.needs(c, &e.meta, e.meta.Indexes), fmt.Sprintf("segment %d of collection %s", e.meta.ID, c.Name))
	if err != nil {
		return nil, err
	}
	defer giveBack()
	return n.openSegment(ctx, s, e, c)
}

func (n *Node) openSegment(ctx context.Context, s *shard, e *sealedSegment, c *catalog.Collection) (*segment.Sealed, error) {
	s.mu.RLock()
	schema := s.schema
	s.mu.RUnlock()
	cfg := segment.SealedConfig{ID: e.meta.ID, Partition: e.meta.Partition, Dir: e.meta.Dir, Schema: schema, Cold: c.Cold}
	onDisk := false
	for _, f := range schema.VectorFields() {
		onDisk = onDisk || c.Cold(f.ID)
	}
	if onDisk {
		var err error
		if cfg.Cache, err = n.diskCache(); err != nil {
			return nil, fmt.Errorf("open segment %d: %w", e.meta.ID, err)
		}
	}
	seg, err := segment.OpenSealed(ctx, n.deps.Objects, cfg)
	if err != nil {
		return nil, fmt.Errorf("open segment %d: %w", e.meta.ID, err)
	}
	s.mu.Lock()
	e.seg = seg // from here on the tailer applies deletes to it
	kept := append([]segment.Deletes(nil), s.kept...)
	s.mu.Unlock()
	// The manifest is read after the kept deletes: what was dropped from those before is in a delta file that it names.
	manifest := n.deps.Cache.Shard(s.id.collection, s.id.shard)
	if findSegment(manifest, e.meta.ID) == nil {
		return seg, errs.New(errs.ViewStale, "segment %d was replaced while it was loaded", e.meta.ID)
	}
	for _, d := range manifest.Deltas {
		if d.To <= e.meta.AppliedThrough || d.MaxTS < e.meta.MinTS {
			continue
		}
		deletes, err := segment.ReadDelta(ctx, n.deps.Objects, d.Path)
		if err != nil {
			return seg, fmt.Errorf("deletes of segment %d: %w", e.meta.ID, err)
		}
		seg.ApplyDeletes(deletes, 0)
	}
	for _, d := range kept {
		seg.ApplyDeletes(d, 0)
	}
	return seg, n.loadIndexes(ctx, s, e, e.meta.Indexes)
}

// loadIndexes opens index files that are not in yet and puts them in place under running searches.
func (n *Node) loadIndexes(ctx context.Context, s *shard, e *sealedSegment, files []catalog.SegmentIndex) error {
	for _, f := range files {
		s.mu.Lock()
		known := e.loaded[f.IndexID]
		e.loaded[f.IndexID] = true
		s.mu.Unlock()
		if known {
			continue
		}
		if err := n.loadIndex(ctx, s, e, f); err != nil {
			s.mu.Lock()
			delete(e.loaded, f.IndexID)
			s.mu.Unlock()
			return fmt.Errorf("index of segment %d: %w", e.meta.ID, err)
		}
	}
	return nil
}

func (n *Node) loadIndex(ctx context.Context, s *shard, e *sealedSegment, f catalog.SegmentIndex) error {
	c := n.deps.Cache.CollectionByID(s.id.collection)
	if c == nil {
		return nil // dropped meanwhile
	}
	for i := range c.Indexes {
		def := &c.Indexes[i]
		if def.ID != f.IndexID {
			continue
		}
		field := c.Schema.FieldByID(f.FieldID)
		if field == nil || !field.Type.IsVector() {
			return nil
		}
		raw, err := e.seg.Vectors(f.FieldID)
		if err != nil {
			return err
		}
		idx, err := n.openIndex(ctx, indexSpec(c, def), f, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		e.seg.SetIndex(f.FieldID, idx)
	}
	return nil
}

// indexSpec is what an index of a collection is to be.
func indexSpec(c *catalog.Collection, def *catalog.Index) index.Spec {
	field := c.Schema.FieldByID(def.FieldID)
	if field == nil {
		field = &schema.Field{} // of an index that nobody can use
	}
	return index.SpecOf(field, def.Type, def.Metric, def.Params)
}

// objectReader reads an object as an io.ReaderAt.
type objectReader struct {
	ctx   context.Context
	store objstore.Store
	key   string
}

// ReadAt implements io.ReaderAt.
func (r objectReader) ReadAt(p []byte, off int64) (int, error) {
	return r.store.ReadAt(r.ctx, r.key, p, off)
}

// refreshShards brings what the catalog has newly of open shards: schema changes and index files.
func (n *Node) refreshShards() {
	n.mu.Lock()
	shards := make([]*shard, 0, len(n.open))
	for _, s := range n.open {
		shards = append(shards, s)
	}
	n.mu.Unlock()
	for _, s := range shards {
		c, m := n.deps.Cache.CollectionByID(s.id.collection), n.deps.Cache.Shard(s.id.collection, s.id.shard)
		if c == nil || m == nil {
			continue
		}
		s.setSchema(&c.Schema)
		for i := range m.Segments {
			if e := s.needsIndex(&m.Segments[i]); e != nil {
				files := m.Segments[i].Indexes
				n.background(func(ctx context.Context) { n.swapIndexes(ctx, s, e, files) })
			}
		}
	}
}

// needsIndex returns the entry of a loaded segment whose manifest names an index file that is not in.
func (s *shard) needsIndex(m *catalog.Segment) *sealedSegment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.sealed[m.ID]
	if e == nil || e.seg == nil || time.Now().Before(e.retry) {
		return nil
	}
	for _, f := range m.Indexes {
		if !e.loaded[f.IndexID] {
			return e
		}
	}
	return nil
}

func (n *Node) swapIndexes(ctx context.Context, s *shard, e *sealedSegment, files []catalog.SegmentIndex) {
	if err := n.loads.Acquire(ctx, 1); err != nil {
		return
	}
	defer n.loads.Release(1)
	select {
	case <-e.ready:
	case <-ctx.Done():
		return
	}
	if e.seg == nil || !e.seg.Retain() {
		return
	}
	defer e.seg.Release()
	giveBack, err := n.reserveIndexes(s, e, files)
	if err == nil {
		err = n.loadIndexes(ctx, s, e, files)
		giveBack()
	}
	if err != nil && findSegment(n.deps.Cache.Shard(s.id.collection, s.id.shard), e.meta.ID) == nil {
		return // the segment was replaced meanwhile, and its files may be gone
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	n.log.Warn("index file not loaded, the segment is searched without it", "segment", e.meta.ID, "error", err, "again_in", retryIndex)
	s.mu.Lock()
	e.retry = time.Now().Add(retryIndex)
	s.mu.Unlock()
}

// retryIndex is how long an index that could not be loaded, for lack of memory or of the bucket, is left alone. The catalog
// changes many times a second, and each change looks for indexes that are not in yet.
const retryIndex = 10 * time.Second

// reserveIndexes sets memory aside for the index files that are not in yet.
func (n *Node) reserveIndexes(s *shard, e *sealedSegment, files []catalog.SegmentIndex) (func(), error) {
	c := n.deps.Cache.CollectionByID(s.id.collection)
	if c == nil {
		return func() {}, nil // dropped meanwhile: there will be nothing to load
	}
	var bytes int64
	s.mu.RLock()
	for _, f := range files {
		if !e.loaded[f.IndexID] {
			bytes += indexNeeds(c, &e.meta, f)
		}
	}
	s.mu.RUnlock()
	return n.reserve(bytes, fmt.Sprintf("an index of segment %d of collection %s", e.meta.ID, c.Name))
}

// joinShard makes this node hold the shard's growing rows from the position from on, and returns its tailer.
func (n *Node) joinShard(ctx context.Context, id shardID, from mq.Position) (*shard, *tailer, error) {
	c, m := n.deps.Cache.CollectionByID(id.collection), n.deps.Cache.Shard(id.collection, id.shard)
	if c == nil || m == nil {
		return nil, nil, errs.New(errs.CollectionNotFound, "collection %d is not in the catalog", id.collection)
	}
	t, err := n.tailerOf(ctx, m.Log)
	if err != nil {
		return nil, nil, err
	}
	n.joining.Lock() // one join at a time: a second one must not find a shard whose join may still fail
	defer n.joining.Unlock()
	n.mu.Lock()
	s := n.open[id]
	if s == nil {
		s = newShard(id, m.Log, &c.Schema, from)
		n.open[id] = s
		n.mu.Unlock()
		start, err := n.startOf(ctx, t, id, from)
		if err != nil {
			n.mu.Lock()
			delete(n.open, id)
			n.mu.Unlock()
			return nil, nil, err
		}
		t.join(s, start)
		return s, t, nil
	}
	n.mu.Unlock()
	if joined := s.joined(); joined > from {
		return nil, nil, errs.New(errs.ViewStale, "the view starts at position %d, this node holds rows behind %d only", from, joined)
	}
	return s, t, nil
}
