package ivf

import (
	"math"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// sums is a sum of squares.
type sums struct {
	squares float64
	n       int
}

// measureQueries is the number of rows of each list that are tried as queries.
const measureQueries = 2

// measure takes rows of a list as queries and returns the squared errors that codes of PQ make in estimates of their inner
// products with the list's other rows, in units of the query's length; for L2, both without the reference, which is what
// estimates of distances err in.
func (c *listCoder) measure(l int, quant *pq.Quantiser) sums {
	img, dim := c.img, c.img.head.dim
	from, n := img.offs[l], int(img.offs[l+1]-img.offs[l])
	count := min(n, encodeStep)
	coder, query, y := c.quant.NewCoder(c.rows), make([]float32, dim), make([]float32, dim)
	for i := range count {
		subtract(coder.Prepared(int(img.ids[int(from)+i])), c.ref, c.rest[i*dim:(i+1)*dim])
	}
	origin := c.ref
	if img.head.metric != vector.L2 {
		origin = make([]float32, dim)
	}
	var s sums
	for try := range min(measureQueries, n) {
		at := try * n / measureQueries
		subtract(coder.Prepared(int(img.ids[int(from)+at])), origin, query)
		length := dot(query, query)
		if length == 0 {
			continue
		}
		for i := range count {
			if i == at {
				continue
			}
			c.decode(l, i, quant, y)
			e := dot(query, c.rest[i*dim:(i+1)*dim]) - dot(query, y)
			s.squares += e * e / length
			s.n++
		}
	}
	return s
}

// decode writes what the code of the list's row i stands for.
func (c *listCoder) decode(l, i int, quant *pq.Quantiser, out []float32) {
	img, m := c.img, c.img.head.parts
	code := c.codes[:m]
	if img.head.blocked() {
		block := img.blocks[(int(img.blockAt[l])+i/kernel.PQ4Block)*m*16:]
		for j := range code {
			code[j] = block[j*16+i%16] >> (i % kernel.PQ4Block / 16 * 4) & 15
		}
	} else {
		copy(code, img.bytes[(int(img.offs[l])+i)*m:])
	}
	quant.Decode(code, out)
}

// spread returns the standard deviation of all errors; never 0, which files do not allow.
func spread(all []sums) float32 {
	var total sums
	for _, s := range all {
		if finite(s.squares) {
			total.squares += s.squares
			total.n += s.n
		}
	}
	v := math.Sqrt(total.squares / float64(max(1, total.n)))
	return float32(min(max(v, 1e-30), math.MaxFloat32))
}
