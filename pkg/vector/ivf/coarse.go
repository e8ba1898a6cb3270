package ivf

import (
	"context"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/sq8"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

const (
	// codedLists is the number of lists from which on centroids are compared by code.
	codedLists = 64
	// rankStep is the number of centroids that are measured between two looks at the context.
	rankStep = 4096
)

// coarse ranks centroids. Many of them are compared by codes of a byte per dimension, which lie on the Go heap and are made
// when an index is opened: the order of lists need not be exact.
type coarse struct {
	set       kernel.Set
	metric    vector.Metric
	centroids vector.Matrix
	quant     sq8.Quantiser
	codes     kernel.Codes // no data for few centroids
	weight    []int32
}

func newCoarse(set kernel.Set, img *Image) coarse {
	c := coarse{set: set, metric: img.Metric(), centroids: vector.Matrix{Data: img.centroids, D: img.Dim()}}
	n := img.count()
	if n < codedLists {
		return c
	}
	// Centroids of Cosine have length 1, so that inner products order them.
	metric := c.metric
	if metric == vector.Cosine {
		metric = vector.IP
	}
	c.quant = sq8.Quantiser{Set: set, Metric: metric, Mean: make([]float32, img.Dim())}
	c.quant.Train(c.centroids)
	c.codes = kernel.Codes{Stride: kernel.CodeStride(img.Dim())}
	c.codes.Data, c.weight = make([]byte, n*c.codes.Stride), make([]int32, n)
	for l := range n {
		_, norm, _ := c.quant.Encode(c.centroids.Vector(l), c.codes.Row(uint32(l)))
		if metric == vector.L2 {
			c.weight[l] = norm
		}
	}
	return c
}

// ranker is the scratch that one query needs.
type ranker struct {
	*coarse
	query sq8.Coded
	dist  []int32
}

func (c *coarse) ranker() ranker {
	r := ranker{coarse: c}
	if c.codes.Data != nil {
		r.query.Q, r.dist = make([]int8, c.codes.Stride), make([]int32, min(len(c.weight), rankStep))
	}
	return r
}

// rank stores in out how far the centroids are from a query: the smaller the nearer.
func (r *ranker) rank(ctx context.Context, query, out []float32) error {
	if r.codes.Data != nil {
		r.quant.Query(query, &r.query)
	}
	for at := 0; at < len(out); at += rankStep {
		if at > 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		part := out[at:min(at+rankStep, len(out))]
		if r.codes.Data != nil {
			r.coded(at, part)
		} else {
			r.exact(query, at, part)
		}
	}
	return nil
}

func (r *ranker) coded(at int, out []float32) {
	dist := r.dist[:len(out)]
	r.query.MeasureRange(r.set, r.codes, at, r.weight, dist)
	for i, d := range dist {
		out[i] = float32(d)
	}
}

func (r *ranker) exact(query []float32, at int, out []float32) {
	dim := r.centroids.D
	base := r.centroids.Data[at*dim:]
	if r.metric == vector.L2 {
		r.set.L2Range(query, base, dim, out)
		return
	}
	r.set.IPRange(query, base, dim, out)
	for i := range out {
		out[i] = -out[i]
	}
}
