package ivf

import (
	"cmp"
	"math"
	"slices"

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

// nearShare is the share of a list's rows, those nearest to a query, whose errors count: it is among them that a search has to
// decide, and codes may err less for them.
const nearShare = 8

// measure takes rows of a list as queries and returns the squared errors that codes of PQ make in estimates of their inner
// products with the nearest of the list's other rows, in units of the query's length; for L2, both without the reference,
// which is what estimates of distances err in.
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
	near := make([]neighbour, 0, count)
	for try := range min(measureQueries, n) {
		at := try * n / measureQueries
		subtract(coder.Prepared(int(img.ids[int(from)+at])), origin, query)
		near = c.neighbours(query, at, near[:0])
		length := dot(query, query)
		if length == 0 {
			continue
		}
		for _, o := range near[:(len(near)+nearShare-1)/nearShare] {
			c.decode(l, o.row, quant, y)
			e := dot(query, c.rest[o.row*dim:(o.row+1)*dim]) - dot(query, y)
			s.squares += e * e / length
			s.n++
		}
	}
	return s
}

// neighbour is one of the first rows of a list, and how far it is from a query.
type neighbour struct {
	row int
	far float64
}

// neighbours appends the first rows of a list but for one, the nearest first.
func (c *listCoder) neighbours(query []float32, but int, out []neighbour) []neighbour {
	dim := c.img.head.dim
	for i := range min(cap(out), encodeStep) {
		rest := c.rest[i*dim : (i+1)*dim]
		far := -2 * dot(query, rest)
		if c.img.head.metric == vector.L2 {
			far += dot(rest, rest)
		}
		if i != but {
			out = append(out, neighbour{i, far})
		}
	}
	slices.SortFunc(out, func(a, b neighbour) int { return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.row, b.row)) })
	return out
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
