package ivf

import (
	"context"
	"fmt"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
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
	// Most of the work is putting rows to centroids: those of the sample in each round, and all of them in the end.
	report := work.NewReporter(progress, (iterations*min(n, k*samplePerList)+n)*100/99)
	c := &clustering{
		set: cfg.Set, metric: cfg.Metric, rows: rows, workers: work.Workers(cfg.Workers), report: report,
		centroids: vector.Matrix{Data: make([]float32, k*rows.Dim()), D: rows.Dim()},
	}
	assign := make([]uint32, n)
	if n > 0 {
		if err := c.train(ctx); err != nil {
			return nil, err
		}
		ids := make([]uint32, n)
		for i := range ids {
			ids[i] = uint32(i)
		}
		if err := c.assign(ctx, ids, assign); err != nil {
			return nil, err
		}
	}
	g := c.dropEmpty(group(assign, k))
	h := header{metric: cfg.Metric, coding: cfg.Coding, dim: rows.Dim(), lists: c.lists(), asked: cfg.Lists, rows: n, scale: 1, widen: 1, reach: true}
	img, err := newImage(h, h.plan())
	if err != nil {
		return nil, err
	}
	copy(img.centroids, c.centroids.Data)
	copy(img.offs, g.offs)
	copy(img.ids, g.ids)
	if err := img.encode(ctx, cfg, rows); err != nil {
		return nil, joinClose(err, img)
	}
	img.file.Seal(img.head.encode())
	report.Finish()
	return img, nil
}

// dropEmpty takes out centroids without rows.
func (c *clustering) dropEmpty(g grouping) grouping {
	kept := 0
	offs := g.offs[:1]
	for l := range c.lists() {
		end := g.offs[l+1]
		if end == offs[kept] {
			continue
		}
		copy(c.centroids.Vector(kept), c.centroids.Vector(l))
		kept++
		offs = append(offs, end)
	}
	c.centroids.Data = c.centroids.Data[:kept*c.rows.Dim()]
	return grouping{offs: offs, ids: g.ids}
}

// encode fills in codes and bounds.
func (img *Image) encode(ctx context.Context, cfg Config, rows vector.Rows) error {
	q := sq8.Quantiser{Set: cfg.Set, Metric: cfg.Metric, Mean: img.mean, Scale: 1}
	if cfg.Coding.scalar() {
		q.Train(rows)
		img.head.scale = q.Scale
	}
	// One list per call: it is the unit of bounds.
	return work.Try(ctx, work.Workers(cfg.Workers), img.count(), func(l int) {
		e := listEncoder{img: img, quant: &q, coder: q.NewCoder(rows), centroid: img.centroid(l)}
		for at := img.offs[l]; at < img.offs[l+1]; at++ {
			e.row(at)
		}
		img.reach[l] = e.reach
	})
}

// listEncoder encodes the rows of one list.
type listEncoder struct {
	img      *Image
	quant    *sq8.Quantiser
	coder    *sq8.Coder
	centroid []float32
	reach    listReach
}

func (e *listEncoder) row(at uint32) {
	x := e.coder.Prepared(int(e.img.ids[at]))
	e.reach.Radius = max(e.reach.Radius, radius(x, e.centroid))
	if !e.img.head.coding.scalar() {
		return
	}
	code := e.img.codes.Row(at)
	_, norm, _ := e.quant.Encode(x, code)
	e.reach.Widen(e.quant.Residual(x, code))
	if e.quant.Metric == vector.IP {
		return
	}
	e.img.weight[at] = norm
	if e.quant.Metric == vector.Cosine && e.quant.Set.Dot(x, x) == 0 {
		// A row of length 0 has cosine 0 with every query, as if it lay at the distance of the root of 2, not of 1.
		inv := 1 / float64(e.quant.Scale)
		e.img.weight[at] += int32(min(inv*inv, 1<<24))
	}
}

// radius returns a number that is not below the distance of two vectors.
func radius(x, y []float32) float32 {
	var sum float64
	for d, v := range x {
		e := float64(v) - float64(y[d])
		sum += e * e
	}
	if r := math.Sqrt(sum) * (1 + 1e-6); r < math.MaxFloat32 {
		return float32(r)
	}
	return float32(math.Inf(1))
}
