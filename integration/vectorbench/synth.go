package vectorbench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// synthPrefix in place of a folder asks for drawn rows: synth:ROWSxDIM.
const synthPrefix = "synth:"

// Shape of drawn data: bytes like those of image descriptors. Cluster centres lie in a space of few dimensions, each cluster spreads in
// a subspace of its own, and a little noise fills the rest, so that the local dimension is low as in real data.
const (
	synthClusters = 1000
	synthGlobal   = 24   // dimensions of the centres' space
	synthLocal    = 12   // dimensions of a cluster's subspace
	synthSpread   = 28.0 // deviation of the centres per dimension of their space
	synthWide     = 3.0  // deviation along a cluster's longest axis, per component
	synthNoise    = 2.5
	synthMean     = 24.0
	synthSkew     = 0.7 // cluster sizes fall with this power of their rank
	synthQueries  = 1000
	synthBlock    = 4096 // rows drawn from one seed
)

// mixture is what rows are drawn from.
type mixture struct {
	dim     int
	centres []float32 // clusters x dim
	axes    []float32 // clusters x local x dim
	upTo    []float64 // cumulated weights of the clusters
}

// synthesize draws the set that name describes; the same name gives the same bytes on one kind of machine.
func synthesize(ctx context.Context, name string) (*Set, error) {
	left, right, ok := strings.Cut(strings.TrimPrefix(name, synthPrefix), "x")
	rows, err1 := strconv.Atoi(left)
	dim, err2 := strconv.Atoi(right)
	if !ok || err1 != nil || err2 != nil || rows < 1 || dim < 1 || dim > 1<<15 || rows > maxCells/dim {
		return nil, fmt.Errorf("--data %s: drawn data is named synth:ROWSxDIM, for example synth:1000000x128", name)
	}
	m := newMixture(dim)
	s := &Set{Name: name, Metric: "L2", Dim: dim}
	var err error
	if s.Base, err = m.draw(ctx, rows, 1); err != nil {
		return nil, err
	}
	s.Query, err = m.draw(ctx, synthQueries, 2)
	return s, err
}

func newMixture(dim int) *mixture {
	r := rand.New(rand.NewPCG(7, 0))
	normal := func(n int, deviation float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(r.NormFloat64() * deviation)
		}
		return out
	}
	m := &mixture{dim: dim, centres: make([]float32, synthClusters*dim), axes: normal(synthClusters*synthLocal*dim, synthWide)}
	space := normal(synthGlobal*dim, 1/math.Sqrt(float64(dim)))
	for c := range synthClusters {
		centre := m.centres[c*dim : (c+1)*dim]
		for i := range centre {
			centre[i] = synthMean
		}
		for g := range synthGlobal {
			add(centre, space[g*dim:(g+1)*dim], float32(r.NormFloat64()*synthSpread))
		}
	}
	for i := range m.axes { // from the longest axis to a quarter of it
		axis := i / dim % synthLocal
		m.axes[i] *= 1 - 0.75*float32(axis)/(synthLocal-1)
	}
	sum := 0.0
	for _, rank := range r.Perm(synthClusters) {
		sum += math.Pow(float64(rank+1), -synthSkew)
		m.upTo = append(m.upTo, sum)
	}
	return m
}

// add adds times x to sum.
func add(sum, x []float32, times float32) {
	for i := range sum {
		sum[i] += times * x[i]
	}
}

// draw draws n rows; streams with other numbers are independent.
func (m *mixture) draw(ctx context.Context, n int, stream uint64) ([]float32, error) {
	out := make([]float32, n*m.dim)
	err := share(ctx, runtime.GOMAXPROCS(0), (n+synthBlock-1)/synthBlock, func(b int) error {
		r := rand.New(rand.NewPCG(stream, uint64(b)))
		for i := b * synthBlock; i < min(n, (b+1)*synthBlock); i++ {
			m.row(r, out[i*m.dim:(i+1)*m.dim])
		}
		return ctx.Err()
	})
	return out, err
}

func (m *mixture) row(r *rand.Rand, out []float32) {
	at := r.Float64() * m.upTo[len(m.upTo)-1]
	c, _ := slices.BinarySearch(m.upTo, at)
	c = min(c, synthClusters-1)
	copy(out, m.centres[c*m.dim:])
	for l := range synthLocal {
		add(out, m.axes[(c*synthLocal+l)*m.dim:][:m.dim], float32(r.NormFloat64()))
	}
	for i, x := range out {
		out[i] = float32(math.Max(0, math.Min(255, math.Round(float64(x)+r.NormFloat64()*synthNoise))))
	}
}
