package ivf

import (
	"context"
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/internal/work"
)

// encode fills in codes and bounds.
func (img *Image) encode(ctx context.Context, cfg Config, rows vector.Rows) error {
	q := sq8.Quantiser{Set: cfg.Set, Metric: cfg.Metric, Mean: img.mean, Scale: 1}
	if cfg.Coding.scalar() {
		q.Train(rows)
		img.head.scale = q.Scale
	}
	workers := work.Workers(cfg.Workers)
	err := work.Try(ctx, workers, img.count(), func(l int) { img.bound(l, q.NewCoder(rows)) })
	if err != nil {
		return err
	}
	switch {
	case cfg.Coding.scalar():
		// One list per call: it is the unit of bounds.
		return work.Try(ctx, workers, img.count(), func(l int) { img.encodeScalar(l, &q, q.NewCoder(rows)) })
	case cfg.Coding.residual():
		img.blockAt = blockStarts(img.offs)
		return img.encodeResiduals(ctx, cfg, residuals{img: img, quant: &q, rows: rows})
	}
	return nil
}

// bound sets what is known of a list whatever the coding.
func (img *Image) bound(l int, coder *sq8.Coder) {
	r, centroid := &img.reach[l], img.centroid(l)
	r.Pull = 1
	var along float64
	for _, id := range img.list(l) {
		x := coder.Prepared(int(id))
		r.Radius = max(r.Radius, radius(x, centroid))
		if img.head.metric == vector.Cosine {
			along += dot(x, centroid)
		}
	}
	if img.head.metric == vector.Cosine {
		if along /= float64(len(img.list(l))); along >= 0 && along < 1 {
			r.Pull = float32(along)
		}
	}
}

func (img *Image) encodeScalar(l int, q *sq8.Quantiser, coder *sq8.Coder) {
	for at := img.offs[l]; at < img.offs[l+1]; at++ {
		x, code := coder.Prepared(int(img.ids[at])), img.codes.Row(at)
		_, norm, _ := q.Encode(x, code)
		img.reach[l].Widen(q.Residual(x, code))
		if q.Metric == vector.IP {
			continue
		}
		img.weight[at] = norm
		if q.Metric == vector.Cosine && q.Set.Dot(x, x) == 0 {
			// A row of length 0 has cosine 0 with every query, as if it lay at the distance of the root of 2, not of 1.
			inv := 1 / float64(q.Scale)
			img.weight[at] += int32(min(inv*inv, 1<<24))
		}
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

func dot(x, y []float32) (sum float64) {
	for d, v := range x {
		sum += float64(v) * float64(y[d])
	}
	return sum
}
