package index

import (
	"math"
	"strconv"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
)

// Index types of graphs whose codes are those of a product quantiser: a tenth of the vectors, and less.
const (
	TypeHNSWPQ  = "HNSW_PQ"
	TypeHNSWPRQ = "HNSW_PRQ"
)

// ParamNRQ is the number of stages of HNSW_PRQ.
const ParamNRQ = "nrq"

const (
	defaultPQM   = 32
	defaultPRQM  = 2
	defaultNRQ   = 2
	maxPQBits    = 16
	maxPRQBits   = 64
	maxStages    = hnsw.MaxStages
	onlyOneStage = 1
)

func isProduct(kind string) bool { return kind == TypeHNSWPQ || kind == TypeHNSWPRQ }

// products reads the parameters of a graph's product quantiser.
func (p *plain) products(params map[string]string) (err error) {
	q := &p.graph.product
	parts, bits := defaultPQM, maxPQBits
	if q.Stages = onlyOneStage; p.kind == TypeHNSWPRQ {
		parts, bits = defaultPRQM, maxPRQBits
		if q.Stages, err = intParam(params, ParamNRQ, defaultNRQ, 1, maxStages); err != nil {
			return err
		}
	}
	if q.Parts, err = intParam(params, ParamPQM, parts, 1, maxParts); err != nil {
		return err
	}
	if p.dim%q.Parts != 0 {
		return errs.Invalid("dimension must be able to be divided by `m`, dimension: %d, m: %d", p.dim, q.Parts)
	}
	if q.Bits, err = intParam(params, ParamNBits, defaultNBits, 1, bits); err != nil {
		return err
	}
	if q.Bits > hnsw.MaxBits {
		return errs.Input(errs.Unimplemented, "%s %d of %s is not supported by this server; use 1 to %d", ParamNBits, q.Bits, p.kind, hnsw.MaxBits)
	}
	return nil
}

// resolvedProduct adds the parameters of a product quantiser.
func (p *plain) resolvedProduct(out map[string]string) {
	q := &p.graph.product
	out[ParamPQM], out[ParamNBits] = strconv.Itoa(q.Parts), strconv.Itoa(q.Bits)
	if p.kind == TypeHNSWPRQ {
		out[ParamNRQ] = strconv.Itoa(q.Stages)
	}
}

// rerank returns how many candidates refine_k asks to score exactly; 0 when it does not.
func (e Effort) rerank(k int) int {
	if e.RefineK < 1 {
		return 0
	}
	return int(min(math.Ceil(e.RefineK*float64(k)), math.MaxInt32))
}
