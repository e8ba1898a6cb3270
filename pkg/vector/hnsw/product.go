package hnsw

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/internal/pq"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// MaxStages bounds Product.Stages, MaxBits Product.Bits.
const (
	MaxStages = 64
	MaxBits   = pq.MaxBits
)

// Product asks for codes of a product quantiser, which take far less memory than integers and tell distances less exactly.
// The zero value means integer codes.
type Product struct {
	Parts  int // that a vector is cut into; the dimension is a multiple
	Bits   int // of a part's code, 1 to MaxBits
	Stages int // the second and later ones code what is left by those before
}

func (p Product) wanted() bool { return p.Parts > 0 }

func (p Product) check(dim int) error {
	if p.Stages < 1 || p.Stages > MaxStages {
		return fmt.Errorf("%d stages of a product quantiser are not in [1, %d]", p.Stages, MaxStages)
	}
	return pq.Check(dim, p.Parts, p.Bits)
}

// perByte returns how many codes of parts a byte holds.
func (p Product) perByte() int { return 8 / p.Bits }

// RowBytes returns the length of a row's code.
func (p Product) RowBytes() int { return (p.Parts*p.Stages + p.perByte() - 1) / p.perByte() }

// bookSize returns the number of components of the centroids of all stages.
func (p Product) bookSize(dim int) int { return p.Stages << p.Bits * dim }

// hasLengths reports whether rows have a length beside their code. In one stage, parts are at right angles, and the length
// of a sum of centroids is in the tables; of several it depends on which ones meet.
func (p Product) hasLengths(m vector.Metric) bool { return p.Stages > 1 && m != vector.IP }

// product is codes of a product quantiser, of rows less their mean.
type product struct {
	Product
	metric vector.Metric
	mean   []float32
	stages []pq.Quantiser
	codes  kernel.Codes // RowBytes each, without padding; the first part is in the low bits
	length []float32    // squared, of what a code stands for; see hasLengths
	norms  []float32    // squared length of each centroid; nil when rows have lengths, or for IP
}

// newProduct returns a product over memory that is filled in later.
func newProduct(p Product, metric vector.Metric, mean, books []float32) *product {
	out := &product{Product: p, metric: metric, mean: mean, stages: make([]pq.Quantiser, p.Stages)}
	size := len(books) / p.Stages
	for s := range out.stages {
		out.stages[s] = pq.Quantiser{Dim: len(mean), M: p.Parts, Bits: p.Bits, Books: books[s*size : (s+1)*size : (s+1)*size]}
	}
	return out
}

// prepare makes ready for searches, after centroids have been filled in.
func (p *product) prepare(set kernel.Set) {
	for s := range p.stages {
		p.stages[s].Set = set
	}
	if p.metric == vector.IP || p.Stages > 1 {
		return
	}
	q := &p.stages[0]
	p.norms = make([]float32, p.Parts<<p.Bits)
	for i := range p.norms {
		c := q.Books[i*q.Sub() : (i+1)*q.Sub()]
		p.norms[i] = set.Dot(c, c)
	}
}

// lookup is a query against codes of a product quantiser: for each byte of a code, what each of its values adds to the
// distance. It is one worker's scratch.
type lookup struct {
	p     *product
	x     []float32
	parts []float32 // of each code of each part
	table []float32 // byteValues for each byte of a code; entries of values that no code has stay 0
}

const byteValues = 256

func newLookup(p *product) *lookup {
	l := &lookup{p: p, x: make([]float32, len(p.mean)), parts: make([]float32, p.Parts*p.Stages<<p.Bits)}
	l.table = l.parts
	if p.Bits < 8 {
		l.table = make([]float32, p.RowBytes()*byteValues)
	}
	return l
}

// query makes x, prepared like the rows were, the query. Distances then are |x-y|² less |x|², or -<x, y> for IP, both of
// vectors less the mean: what is left out is equal for all rows.
func (l *lookup) query(x []float32) {
	p := l.p
	factor := float32(-2)
	if p.metric == vector.IP {
		factor = -1
		copy(l.x, x)
	} else {
		for d, v := range x {
			l.x[d] = v - p.mean[d]
		}
	}
	size := p.Parts << p.Bits
	for s := range p.stages {
		p.stages[s].Table(l.x, factor, l.parts[s*size:(s+1)*size])
	}
	for i, n := range p.norms {
		l.parts[i] += n
	}
	if p.Bits < 8 {
		l.merge()
	}
}

// merge sums up the tables of the parts that share a byte.
func (l *lookup) merge() {
	k, group := 1<<l.p.Bits, l.p.perByte()
	for at, parts := 0, l.parts; len(parts) > 0; at++ {
		of := min(group*k, len(parts))
		out := l.table[at*byteValues : (at+1)*byteValues]
		size := copy(out, parts[:k])
		for part := parts[k:of]; len(part) > 0; part = part[k:] {
			// Backwards, as the sums so far lie where those of code 0 go.
			for c := k - 1; c >= 0; c-- {
				to := out[c*size : (c+1)*size]
				for i, v := range out[:size] {
					to[i] = v + part[c]
				}
			}
			size *= k
		}
		parts = parts[of:]
	}
}

// measure stores the distances of ids in out, as whole numbers in the order of the distances.
func (l *lookup) measure(ids []uint32, out []int32) {
	stride, data, lengths := l.p.codes.Stride, l.p.codes.Data, l.p.length
	out = out[:len(ids)]
	i := 0
	// Rows do not wait for each other's sums.
	for ; i+4 <= len(ids); i += 4 {
		a, b, c, d := int(ids[i]), int(ids[i+1]), int(ids[i+2]), int(ids[i+3])
		var add [4]float32
		if lengths != nil {
			add = [4]float32{lengths[a], lengths[b], lengths[c], lengths[d]}
		}
		sums := l.four(data[a*stride:][:stride], data[b*stride:][:stride], data[c*stride:][:stride], data[d*stride:][:stride])
		for j, s := range sums {
			out[i+j] = ordered(s + add[j])
		}
	}
	for ; i < len(ids); i++ {
		at := int(ids[i])
		var sum float32
		for j, c := range data[at*stride:][:stride] {
			sum += l.table[j*byteValues+int(c)]
		}
		if lengths != nil {
			sum += lengths[at]
		}
		out[i] = ordered(sum)
	}
}

// four adds up the entries of four codes.
func (l *lookup) four(a, b, c, d []byte) (sums [4]float32) {
	b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
	_ = l.table[len(a)*byteValues-1]
	at := unsafe.Pointer(unsafe.SliceData(l.table))
	var s0, s1, s2, s3 float32
	for j, v := range a {
		t := (*[byteValues]float32)(at)
		s0 += t[v]
		s1 += t[b[j]]
		s2 += t[c[j]]
		s3 += t[d[j]]
		at = unsafe.Add(at, byteValues*4)
	}
	return [4]float32{s0, s1, s2, s3}
}

// ordered maps numbers to whole ones of the same order.
func ordered(v float32) int32 {
	i := int32(math.Float32bits(v))
	return i ^ i>>31&math.MaxInt32
}

// lines returns how many cache lines a code reaches into, at most.
func (p *product) lines() int {
	step := p.codes.Stride & -p.codes.Stride // codes start at its multiples
	return (p.codes.Stride + max(0, 64-step) + 63) / 64
}

// pack writes the codes of parts, a byte each, as a row's code.
func (p Product) pack(parts, row []byte) {
	clear(row)
	group := p.perByte()
	for i, c := range parts {
		row[i/group] |= c << (i % group * p.Bits)
	}
}
