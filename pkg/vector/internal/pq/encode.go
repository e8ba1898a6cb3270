package pq

// Encoder codes vectors. It is one worker's scratch.
type Encoder struct {
	q     *Quantiser
	dots  []float32
	part  []float32
	along []float32 // of each centroid of each part, along the direction; see Turn
	err   []float32
}

// encodeBlock is the number of vectors that are coded together.
const encodeBlock = 32

// NewEncoder returns an Encoder; q is prepared.
func (q *Quantiser) NewEncoder() *Encoder {
	return &Encoder{
		q: q, dots: make([]float32, encodeBlock*q.K()), part: make([]float32, encodeBlock*q.Sub()),
		along: make([]float32, q.M*q.K()), err: make([]float32, q.M*q.K()),
	}
}

// Encode writes the codes of vectors, row-major, M bytes each, into codes.
func (e *Encoder) Encode(vectors []float32, codes []byte) {
	q := e.q
	sub, k := q.Sub(), q.K()
	n := len(vectors) / q.Dim
	for from := 0; from < n; from += encodeBlock {
		count := min(encodeBlock, n-from)
		for j := range q.M {
			for i := range count {
				copy(e.part[i*sub:(i+1)*sub], vectors[(from+i)*q.Dim+j*sub:])
			}
			q.Set.DotTile(e.part[:count*sub], q.book(j), sub, e.dots[:count*k])
			for i := range count {
				codes[(from+i)*q.M+j] = nearest(e.dots[i*k:(i+1)*k], q.norms[j*k:(j+1)*k])
			}
		}
	}
}

// turns is the number of passes of Turn over the parts.
const turns = 2

// Turn changes the code of x so that its error along a direction of length 1 counts weight times as much as that across it
// (Guo et al. 2020, "Accelerating large-scale inference with anisotropic vector quantization"): an inner product with a query
// that lies near the direction, as queries of interest do, then errs less. It goes over the parts, each time choosing the
// best centroid while the others stay.
func (e *Encoder) Turn(x, direction []float32, weight float32, code []byte) {
	q := e.q
	sub, k := q.Sub(), q.K()
	var sum float32 // of the errors along the direction
	for j := range q.M {
		book := q.book(j)
		part, dir := x[j*sub:(j+1)*sub], direction[j*sub:(j+1)*sub]
		for c := range k {
			var along, err float32
			for d, v := range part {
				v -= book[c*sub+d]
				err += v * v
				along += v * dir[d]
			}
			e.along[j*k+c], e.err[j*k+c] = along, err
		}
		sum += e.along[j*k+int(code[j])]
	}
	extra := weight - 1
	for range turns {
		changed := false
		for j := range q.M {
			along, err := e.along[j*k:(j+1)*k], e.err[j*k:(j+1)*k]
			now := int(code[j])
			rest := sum - along[now]
			best, least := now, err[now]+extra*sum*sum
			for c, a := range along {
				if a += rest; err[c]+extra*a*a < least {
					best, least = c, err[c]+extra*a*a
				}
			}
			if best != now {
				code[j], changed = byte(best), true
				sum = rest + along[best]
			}
		}
		if !changed {
			return
		}
	}
}

// Decode writes what a code stands for.
func (e *Encoder) Decode(code []byte, out []float32) { e.q.Decode(code, out) }
