package index

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Index types that a graph in memory serves.
const (
	TypeHNSW   = "HNSW"
	TypeHNSWSQ = "HNSW_SQ"
	// TypeAnnoy is a forest of trees where it comes from, and a graph here: faster at every recall, of about the same size.
	TypeAnnoy = "ANNOY"
)

// Index types for hardware that Gyr does not use.
const (
	gpuCagra      = "GPU_CAGRA"
	gpuIVFFlat    = "GPU_IVF_FLAT"
	gpuIVFPQ      = "GPU_IVF_PQ"
	gpuBruteForce = "GPU_BRUTE_FORCE"
)

// Parameters of graphs.
const (
	ParamM              = "M"
	ParamEfConstruction = "efConstruction"
	ParamEf             = "ef"
	ParamSQType         = "sq_type"
	ParamTrees          = "n_trees"
	ParamSearchK        = "search_k"
)

const (
	defaultM   = 30
	defaultEfC = 360
	autoM      = 18
	autoEfC    = 240

	annoyM        = 16
	annoyEfC      = 200
	defaultTrees  = 8
	maxTrees      = 1024
	defaultSQType = "SQ8"

	// A search that names no ef gets a pool of 5/4 k and at least 64. The API promises max(k, 16); on ordinary
	// embeddings that means a recall of 0.92 for k = 10, and four times the pool costs twice the time and gives 0.98.
	minDefaultEf = 64
)

// sqTypes lists what HNSW_SQ may be asked to code vectors as. Gyr walks codes of 8 bits whatever it says, and scores what it
// returns by the raw vectors: at least as exact as any of these, and never larger than the 16-bit ones.
var sqTypes = [...]string{"SQ4U", "SQ6", "SQ8", "BF16", "FP16"}

// graphParams are the parameters of a graph in memory.
type graphParams struct {
	m, efc     int
	sqType     string
	refine     bool
	refineType string
	trees      int // of ANNOY, kept for show
	product    hnsw.Product
}

func isGraph(kind string) bool {
	return kind == TypeHNSW || kind == TypeHNSWSQ || kind == TypeAnnoy || isProduct(kind)
}

// graphs reads the parameters of a graph.
func (p *plain) graphs(kind string, params map[string]string) (err error) {
	p.kind = kind
	g := &p.graph
	if kind == TypeAnnoy {
		g.m, g.efc = annoyM, annoyEfC
		g.trees, err = intParam(params, ParamTrees, defaultTrees, 1, maxTrees)
		return err
	}
	if g.m, err = intParam(params, ParamM, defaultM, hnsw.MinM, hnsw.MaxM); err != nil {
		return err
	}
	if g.efc, err = intParam(params, ParamEfConstruction, defaultEfC, 1, math.MaxInt32); err != nil || kind == TypeHNSW {
		return err
	}
	if isProduct(kind) {
		if err = p.products(params); err != nil {
			return err
		}
	} else {
		if g.sqType, err = choice(params, ParamSQType, "sq", sqTypes[:]); err != nil {
			return err
		}
		if g.sqType == "" {
			g.sqType = defaultSQType
		}
	}
	if g.refine, err = boolParam(params, ParamRefine, false); err != nil {
		return err
	}
	g.refineType, err = choice(params, ParamRefineType, "refine", refineTypes[:])
	return err
}

// choice reads a parameter that is one of some words; empty when there is none.
func choice(params map[string]string, name, what string, of []string) (string, error) {
	v := strings.ToUpper(strings.Trim(params[name], `"`))
	if v != "" && !slices.Contains(of, v) {
		return "", errs.Invalid("invalid %s type: %s, expected one of %s", what, params[name], strings.Join(of, ", "))
	}
	return v, nil
}

// resolvedGraph returns the parameters with what was filled in.
func (p *plain) resolvedGraph() map[string]string {
	g := &p.graph
	if p.kind == TypeAnnoy {
		return map[string]string{ParamTrees: strconv.Itoa(g.trees)}
	}
	out := map[string]string{ParamM: strconv.Itoa(g.m), ParamEfConstruction: strconv.Itoa(g.efc)}
	switch {
	case p.kind == TypeHNSWSQ:
		out[ParamSQType] = g.sqType
	case isProduct(p.kind):
		p.resolvedProduct(out)
	default:
		return out
	}
	if out[ParamRefine] = strconv.FormatBool(g.refine); g.refineType != "" {
		out[ParamRefineType] = g.refineType
	}
	return out
}

// graphEffort reads the search parameters of a graph.
func (p *plain) graphEffort(params map[string]string, k int) (Effort, error) {
	if _, err := intParam(params, ParamSearchK, -1, -1, math.MaxInt32); err != nil {
		return Effort{}, err // it counts nodes of trees, which nothing here has: checked, and without effect
	}
	ef, err := intParam(params, ParamEf, 0, 1, math.MaxInt32)
	if err != nil {
		return Effort{}, err
	}
	refine, err := refineParam(params)
	if err != nil {
		return Effort{}, err
	}
	if !isProduct(p.kind) {
		refine = 0 // checked, and without effect
	}
	return Effort{Ef: ef, RefineK: refine}, checkEf(ef, k)
}

func defaultEf(k int) int { return max(k+k/4, minDefaultEf) }

func checkEf(ef, k int) error {
	if ef != 0 && ef < k {
		return errs.Invalid("ef(%d) should be larger than k(%d)", ef, k)
	}
	return nil
}

// refusal says what to use instead of an index type that is not built.
func refusal(name string, e vector.Elem) error {
	use := map[string]string{
		gpuCagra: "HNSW", gpuIVFFlat: TypeIVFFlat, gpuIVFPQ: "IVF_PQ or SCANN", gpuBruteForce: "FLAT",
	}[strings.ToUpper(name)]
	if use != "" {
		return errs.Invalid("invalid index type: %s. This server searches on CPUs; use %s instead", name, use)
	}
	return errs.Input(errs.Unimplemented, "index type %s is not supported by this server; use %s", name, instead(e))
}

// ServedBy says, in words for people, what serves an index type that is not what its name says; empty for all others.
func ServedBy(kind string) string {
	switch strings.ToUpper(kind) {
	case TypeAnnoy:
		return "a graph: HNSW with M 16 and efConstruction 200"
	case TypeHNSWSQ:
		return "a graph walked by 8-bit codes, re-ranked by the vectors themselves, whatever sq_type and refine say"
	}
	return ""
}

// graphRowBytes estimates the bytes per row of a graph.
func (p *plain) graphRowBytes() int {
	// A code, its weight, 2M links on level 0 and on the average a tenth more above.
	if isProduct(p.kind) {
		return p.graph.product.RowBytes() + 4 + 2*p.graph.m*4*11/10
	}
	return kernel.CodeStride(p.dim) + 4 + 2*p.graph.m*4*11/10
}
