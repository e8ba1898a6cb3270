package bench

import (
	"math"
	"math/rand/v2"

	"github.com/gyr-db/gyr/integration/client"
)

const (
	// dim is the dimension of generated vectors.
	dim = 384
	// clusterRows is how many rows share a centre: real embeddings lie in clumps, and an index on uniform noise shows nothing.
	clusterRows = 200
	// spread is the length of a row's deviation from its centre, whose length is 1.
	spread = 0.7
)

// generate makes rows first..first+n with keys first, first+1, ...; a row depends on its key alone.
func generate(first int64, n int) []client.Row {
	rows := make([]client.Row, n)
	centre := make([]float64, dim)
	had := int64(-1)
	for i := range rows {
		key := first + int64(i)
		if c := key / clusterRows; c != had {
			had = c
			gauss(centre, rand.New(rand.NewPCG(uint64(c), 1)))
		}
		own := make([]float64, dim)
		gauss(own, rand.New(rand.NewPCG(uint64(key), 2)))
		var sum float64
		for j := range own {
			own[j] = centre[j] + spread*own[j]
			sum += own[j] * own[j]
		}
		v := make([]float32, dim)
		for j := range v {
			v[j] = float32(own[j] / math.Sqrt(sum))
		}
		rows[i] = client.Row{Key: key, Version: 1, Vector: v}
	}
	return rows
}

// gauss fills v with a random direction of length 1.
func gauss(v []float64, r *rand.Rand) {
	var sum float64
	for i := range v {
		v[i] = r.NormFloat64()
		sum += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
}
