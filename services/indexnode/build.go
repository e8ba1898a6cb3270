package indexnode

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/gyr-db/gyr/pkg/catalog"
	"github.com/gyr-db/gyr/pkg/index"
	"github.com/gyr-db/gyr/pkg/objstore"
	"github.com/gyr-db/gyr/pkg/segment"
)

// buildIndex builds one vector index over one sealed segment and puts its file into the attempt's folder.
func (n *Node) buildIndex(ctx context.Context, t *catalog.Task, p *progress) (*catalog.TaskResult, error) {
	if len(t.Sources) != 1 || t.Index == nil {
		return nil, fmt.Errorf("index task %d names %d segments", t.ID, len(t.Sources))
	}
	field := t.Schema.FieldByID(t.Index.FieldID)
	if field == nil {
		return nil, fmt.Errorf("index task %d: the schema has no field %d", t.ID, t.Index.FieldID)
	}
	seg, err := n.open(ctx, t, &t.Sources[0], true)
	if err != nil {
		return nil, err
	}
	defer seg.Release()
	raw, err := seg.Vectors(field.ID)
	if err != nil {
		return nil, fmt.Errorf("vectors of segment %d: %w", t.Sources[0].ID, err)
	}
	spec := index.SpecOf(field, t.Index.Type, t.Index.Metric, t.Index.Params)
	file, err := index.Build(ctx, spec, raw, p.set)
	if err != nil {
		return nil, fmt.Errorf("build %s over segment %d: %w", spec.Type, t.Sources[0].ID, err)
	}
	if c, ok := file.(io.Closer); ok {
		defer c.Close() // its memory is off the heap
	}
	path := t.Dir + "/index.gyri"
	if err := n.upload(ctx, path, file); err != nil {
		return nil, err
	}
	return &catalog.TaskResult{Index: &catalog.SegmentIndex{IndexID: t.Index.ID, FieldID: field.ID, Path: path, Bytes: file.Size()}}, nil
}

func (n *Node) open(ctx context.Context, t *catalog.Task, s *catalog.Segment, vectors bool) (*segment.Sealed, error) {
	seg, err := segment.OpenSealed(ctx, n.deps.Objects, segment.SealedConfig{ID: s.ID, Partition: s.Partition, Dir: s.Dir, Schema: &t.Schema, NoVectors: !vectors})
	if err != nil {
		return nil, fmt.Errorf("open segment %d: %w", s.ID, err)
	}
	return seg, nil
}

// upload writes a built index through a scratch file, so that a failed attempt can be sent again from its start.
func (n *Node) upload(ctx context.Context, path string, file io.WriterTo) (err error) {
	f, err := os.CreateTemp(n.cfg.ScratchDir, "gyr-index-*")
	if err != nil {
		return fmt.Errorf("scratch file for an index: %w", err)
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
	}()
	size, err := file.WriteTo(f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("write scratch file %s: %w", f.Name(), err)
	}
	if err := n.deps.Objects.Put(ctx, path, f, size, objstore.PutOptions{}); err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	return nil
}
