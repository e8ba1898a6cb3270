package ivf

import (
	"context"
	"fmt"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/imagefile"
	"github.com/gyr-db/gyr/pkg/vector/internal/kmeans"
	"github.com/gyr-db/gyr/pkg/vector/internal/rabitq"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// Build makes an index of all rows. progress, if not nil, is told the finished share from one goroutine at a time.
func Build(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	if err := cfg.validate(rows); err != nil {
		return nil, fmt.Errorf("building an IVF index: %w", err)
	}
	img, err := assemble(ctx, cfg, rows, progress)
	if err != nil {
		return nil, fmt.Errorf("building an IVF index: %w", err)
	}
	return img, nil
}

func assemble(ctx context.Context, cfg Config, rows vector.Rows, progress func(float32)) (*Image, error) {
	n, k := rows.Len(), cfg.lists(rows.Len())
	space := kmeans.NewFloats(cfg.Set, rows, k, cfg.Metric == vector.Cosine)
	lloyd := kmeans.Lloyd{Space: space, Rows: n, Centroids: k, Settled: settled, Workers: work.Workers(cfg.Workers)}
	// Most of the work is putting rows to centroids: those of the sample in each round, and all of them in the end.
	report := work.NewReporter(progress, (lloyd.Steps()+n)*100/99)
	lloyd.Report = report
	g, err := lloyd.Run(ctx)
	if err != nil {
		return nil, err
	}
	g.DropEmpty(func(l, as int) { copy(space.Centroids.Vector(as), space.Centroids.Vector(l)) })
	h := header{metric: cfg.Metric, coding: cfg.Coding, dim: rows.Dim(), lists: g.Count(), asked: cfg.Lists, rows: n, scale: 1, widen: 1, reach: true, tuned: true}
	h.measureCodes(cfg, g.Offs)
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, err
	}
	copy(img.centroids, space.Centroids.Data)
	copy(img.offs, g.Offs)
	copy(img.ids, g.IDs)
	if err := img.encode(ctx, cfg, rows); err != nil {
		return nil, imagefile.JoinClose(err, img)
	}
	if err := img.tune(ctx, cfg, rows); err != nil {
		return nil, imagefile.JoinClose(err, img)
	}
	img.file.Seal(img.head.encode())
	report.Finish()
	return img, nil
}

// measureCodes sets how large the codes are.
func (h *header) measureCodes(cfg Config, offs []uint32) {
	switch h.coding {
	case PQ:
		h.parts, h.bits = cfg.Parts, cfg.Bits
	case RaBitQ:
		h.parts, h.bits = rabitq.Nibbles(h.dim), 4
	}
	if h.blocked() {
		at := blockStarts(offs)
		h.blocks = int(at[len(at)-1])
	}
}
