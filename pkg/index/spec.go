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

// planned lists the index types for float vectors that the API knows and Gyr does not build.
var planned = [...]string{
	"IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN", "HNSW_SQ", "HNSW_PQ", "HNSW_PRQ", "DISKANN", "DISKANN_RABITQ",
	"AISAQ", "GPU_CAGRA", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_BRUTE_FORCE", "BIN_FLAT", "BIN_IVF_FLAT", "MINHASH_LSH",
	"SPARSE_INVERTED_INDEX", "SPARSE_WAND",
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
		p.kind = TypeHNSW
		if p.m, err = intParam(spec.Params, ParamM, defaultM, hnsw.MinM, hnsw.MaxM); err != nil {
			return p, err
		}
		if p.efc, err = intParam(spec.Params, ParamEfConstruction, defaultEfC, 1, math.MaxInt32); err != nil {
			return p, err
		}
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
		return p, errs.Invalid("invalid index type: %s", spec.Type)
	}
	return p, nil
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
