package index

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
)

// Index types of the API.
const (
	TypeFlat = "FLAT"
	TypeHNSW = "HNSW"
	TypeAuto = "AUTOINDEX"
)

// Parameter names of the API.
const (
	ParamM              = "M"
	ParamEfConstruction = "efConstruction"
	ParamEf             = "ef"
)

const (
	defaultMetric = "COSINE"
	defaultM      = 30
	defaultEfC    = 360
	autoM         = 18
	autoEfC       = 240

	// A search that names no ef gets a pool of 5/4 k and at least 64. The API promises max(k, 16); on ordinary
	// embeddings that means a recall of 0.92 for k = 10, and four times the pool costs twice the time and gives 0.98.
	minDefaultEf = 64
)

// standIns lists index types for float vectors that are accepted and served by the graph of HNSW with default
// parameters: what they promise about results it keeps, since its scores are exact and its recall is higher than
// theirs; what they promise about memory and disks it doesn't. Users see the type and the parameters that they gave. The names
// of the other parameters are those that the API checks.
var standIns = [...]standIn{
	{kind: "IVF_FLAT", ints: nlist},
	{kind: "IVF_SQ8", ints: nlist},
	{kind: "IVF_PQ", ints: []bound{{name: "nlist", lo: 1, hi: 65536}, {name: "nbits", lo: 1, hi: 24}}, divides: "m"},
	{kind: "IVF_RABITQ", ints: nlist},
	{kind: "SCANN", ints: nlist},
	{kind: "DISKANN"},
	{kind: "HNSW_SQ", graph: true},
	{kind: "HNSW_PQ", graph: true, ints: []bound{{name: "nbits", lo: 1, hi: 16}}},
	{kind: "HNSW_PRQ", graph: true, ints: []bound{{name: "nbits", lo: 1, hi: 64}, {name: "nrq", lo: 1, hi: 64}}},
}

var nlist = []bound{{name: "nlist", lo: 1, hi: 65536}}

type standIn struct {
	kind    string
	graph   bool // it has M and efConstruction
	ints    []bound
	divides string // a parameter that must divide the dimension
}

type bound struct {
	name   string
	lo, hi int
}

// planned lists the index types that the API knows and Gyr neither builds nor stands in for: other kinds of vectors and
// other hardware.
var planned = [...]string{
	"DISKANN_RABITQ", "AISAQ", "GPU_CAGRA", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_BRUTE_FORCE",
	"BIN_FLAT", "BIN_IVF_FLAT", "MINHASH_LSH", "SPARSE_INVERTED_INDEX", "SPARSE_WAND",
}

// beside lists keys that may stand among the parameters without being any.
var beside = [...]string{"index_type", "metric_type", "dim", "mmap.enabled", "warmup", "indexoffsetcache.enabled"}

// plain is a checked specification.
type plain struct {
	kind   string
	metric vector.Metric
	dim    int
	m, efc int
}

// CheckSpec reports what the API would refuse about a specification: unknown types and metrics, and parameters out of
// range, with code InvalidParameter; what the API knows and Gyr lacks with code Unimplemented. Unknown parameters are ignored.
func CheckSpec(spec Spec) error {
	_, err := parse(spec)
	return err
}

// Resolve returns the specification that AUTOINDEX or missing values stand for, with all parameters filled in.
func Resolve(spec Spec) (Spec, error) {
	p, err := parse(spec)
	if err != nil {
		return Spec{}, err
	}
	out := Spec{Type: p.kind, Metric: p.metric.String(), Dim: p.dim}
	if p.kind == TypeHNSW {
		out.Params = map[string]string{ParamM: strconv.Itoa(p.m), ParamEfConstruction: strconv.Itoa(p.efc)}
	}
	return out, nil
}

func parse(spec Spec) (plain, error) {
	p := plain{dim: spec.Dim}
	var err error
	if p.metric, err = parseMetric(spec.Metric); err != nil {
		return p, err
	}
	if spec.Dim < 1 || spec.Dim > hnsw.MaxDim {
		return p, errs.Invalid("invalid dimension: %d. should be in range 1 ~ %d", spec.Dim, hnsw.MaxDim)
	}
	switch kind := strings.ToUpper(spec.Type); {
	case kind == TypeFlat:
		p.kind = TypeFlat
	case kind == TypeHNSW:
		return p, p.graph(spec.Params)
	case kind == TypeAuto || kind == "":
		for key := range spec.Params {
			if !slices.Contains(beside[:], key) {
				return p, errs.Invalid("only metric type can be passed when use AutoIndex")
			}
		}
		p.kind, p.m, p.efc = TypeHNSW, autoM, autoEfC
	case slices.Contains(planned[:], kind):
		return p, errs.Input(errs.Unimplemented, "index type %s is not supported by this server", spec.Type)
	default:
		for _, s := range standIns {
			if s.kind == kind {
				return p, p.standIn(s, spec.Params)
			}
		}
		return p, errs.Invalid("invalid index type: %s", spec.Type)
	}
	return p, nil
}

// graph reads the parameters of HNSW.
func (p *plain) graph(params map[string]string) (err error) {
	p.kind = TypeHNSW
	if p.m, err = intParam(params, ParamM, defaultM, hnsw.MinM, hnsw.MaxM); err != nil {
		return err
	}
	p.efc, err = intParam(params, ParamEfConstruction, defaultEfC, 1, math.MaxInt32)
	return err
}

// standIn checks the parameters of a type that the graph stands in for.
func (p *plain) standIn(s standIn, params map[string]string) error {
	for _, b := range s.ints {
		if _, err := intParam(params, b.name, b.lo, b.lo, b.hi); err != nil {
			return err
		}
	}
	if s.divides != "" {
		m, err := intParam(params, s.divides, 0, 1, math.MaxUint16+1)
		if err != nil {
			return err
		}
		if m == 0 || p.dim%m != 0 {
			return errs.Invalid("the dimension (%d) of a vector should be a multiple of %s (%d)", p.dim, s.divides, m)
		}
	}
	if s.graph {
		return p.graph(params)
	}
	p.kind, p.m, p.efc = TypeHNSW, autoM, autoEfC
	return nil
}

func parseMetric(name string) (vector.Metric, error) {
	switch strings.ToUpper(name) {
	case "L2":
		return vector.L2, nil
	case "IP":
		return vector.IP, nil
	case defaultMetric, "":
		return vector.Cosine, nil
	}
	return 0, errs.Invalid("float vector index does not support metric type: %s", name)
}

// intParam reads an integer parameter; 0 is returned for a missing one only when that is the default.
func intParam(params map[string]string, name string, def, lo, hi int) (int, error) {
	text, ok := params[name]
	if !ok || text == "" {
		return def, nil
	}
	v, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil {
		return 0, errs.Invalid("Type conflict in json: param '%s' (%s) should be integer", name, text)
	}
	if v < int64(lo) || v > int64(hi) {
		return 0, errs.Invalid("Out of range in json: param '%s' (%d) should be in range [%d, %d]", name, v, lo, hi)
	}
	return int(v), nil
}

// ParseEffort reads the search parameters of an index of this specification for a search of k rows.
func ParseEffort(spec Spec, params map[string]string, k int) (Effort, error) {
	p, err := parse(spec)
	if err != nil {
		return Effort{}, err
	}
	if p.kind != TypeHNSW {
		return Effort{}, nil
	}
	ef, err := intParam(params, ParamEf, 0, 1, math.MaxInt32)
	if err != nil {
		return Effort{}, err
	}
	return Effort{Ef: ef}, checkEf(ef, k)
}

func defaultEf(k int) int { return max(k+k/4, minDefaultEf) }

func checkEf(ef, k int) error {
	if ef != 0 && ef < k {
		return errs.Invalid("ef(%d) should be larger than k(%d)", ef, k)
	}
	return nil
}
