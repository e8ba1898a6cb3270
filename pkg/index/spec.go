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

// Index types of the API.
const (
	TypeFlat = "FLAT"
	TypeHNSW = "HNSW"
	TypeAuto = "AUTOINDEX"

	TypeBinFlat    = "BIN_FLAT"
	TypeBinIVFFlat = "BIN_IVF_FLAT"
)

// Parameter names of the API.
const (
	ParamM              = "M"
	ParamEfConstruction = "efConstruction"
	ParamEf             = "ef"
)

const (
	defaultM   = 30
	defaultEfC = 360
	autoM      = 18
	autoEfC    = 240

	// A search that names no ef gets a pool of 5/4 k and at least 64. The API promises max(k, 16); on ordinary
	// embeddings that means a recall of 0.92 for k = 10, and four times the pool costs twice the time and gives 0.98.
	minDefaultEf = 64
)

// planned lists the index types that the API knows and Gyr does not build: other codes, graphs on disks, other kinds of
// vectors and other hardware. One is never built in the place of another: what a type promises about memory and disks
// matters as much as its results.
var planned = [...]string{
	"HNSW_SQ", "HNSW_PQ", "HNSW_PRQ", "DISKANN_RABITQ", "AISAQ",
	"GPU_CAGRA", "GPU_IVF_FLAT", "GPU_IVF_PQ", "GPU_BRUTE_FORCE",
	"MINHASH_LSH", "SPARSE_INVERTED_INDEX", "SPARSE_WAND",
}

// beside lists keys that may stand among the parameters without being any.
var beside = [...]string{"index_type", "metric_type", "dim", "mmap.enabled", "warmup", "indexoffsetcache.enabled"}

// plain is a checked specification.
type plain struct {
	kind   string
	metric vector.Metric
	elem   vector.Elem
	dim    int
	m, efc int // of HNSW
	list   listParams
	disk   diskParams
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
	out := Spec{Type: p.kind, Metric: p.metric.String(), Dim: p.dim, Elem: spec.Elem}
	switch {
	case p.kind == TypeHNSW:
		out.Params = map[string]string{ParamM: strconv.Itoa(p.m), ParamEfConstruction: strconv.Itoa(p.efc)}
	case p.kind == TypeDiskANN:
		out.Params = map[string]string{ParamMaxDegree: strconv.Itoa(p.disk.degree), ParamSearchListSize: strconv.Itoa(p.disk.list)}
	case isLists(p.kind):
		out.Params = p.resolved()
	case p.kind == TypeBinIVFFlat:
		out.Params = map[string]string{ParamNList: strconv.Itoa(p.list.nlist)}
	}
	return out, nil
}

func parse(spec Spec) (plain, error) {
	p := plain{dim: spec.Dim, elem: spec.Elem}
	var err error
	if p.metric, err = parseMetric(spec.Metric, p.elem); err != nil {
		return p, err
	}
	if top := maxDim(p.elem); spec.Dim < 1 || spec.Dim > top {
		return p, errs.Invalid("invalid dimension: %d. should be in range 1 ~ %d", spec.Dim, top)
	}
	if kind := strings.ToUpper(spec.Type); known(kind) && !takes(kind, p.elem) {
		return p, errs.Invalid("data type %s can't build with this index %s", typeName(p.elem), kind)
	}
	switch kind := strings.ToUpper(spec.Type); {
	case kind == TypeFlat:
		p.kind = TypeFlat
	case kind == TypeHNSW:
		return p, p.graph(spec.Params)
	case kind == TypeDiskANN:
		return p, p.onDisk(spec.Params)
	case isLists(kind):
		return p, p.lists(kind, spec.Params)
	case kind == TypeAuto || kind == "":
		for key := range spec.Params {
			if !slices.Contains(beside[:], key) {
				return p, errs.Invalid("only metric type can be passed when use AutoIndex")
			}
		}
		if p.elem == kernel.Bit {
			return p, p.bits(TypeAuto, nil)
		}
		p.kind, p.m, p.efc = TypeHNSW, autoM, autoEfC
	case kind == TypeBinFlat || kind == TypeBinIVFFlat:
		return p, p.bits(kind, spec.Params)
	case slices.Contains(planned[:], kind):
		return p, errs.Input(errs.Unimplemented, "index type %s is not supported by this server; use %s", spec.Type, instead(p.elem))
	default:
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
		return 0, outOfRange(name, v, lo, hi)
	}
	return int(v), nil
}

func outOfRange(name string, v int64, lo, hi int) error {
	return errs.Invalid("Out of range in json: param '%s' (%d) should be in range [%d, %d]", name, v, lo, hi)
}

// ParseEffort reads the search parameters of an index of this specification for a search of k rows.
func ParseEffort(spec Spec, params map[string]string, k int) (Effort, error) {
	p, err := parse(spec)
	if err != nil {
		return Effort{}, err
	}
	switch {
	case p.kind == TypeHNSW:
		ef, err := intParam(params, ParamEf, 0, 1, math.MaxInt32)
		if err != nil {
			return Effort{}, err
		}
		return Effort{Ef: ef}, checkEf(ef, k)
	case p.kind == TypeDiskANN:
		return diskEffort(params, k)
	case isLists(p.kind):
		return p.listEffort(params, k)
	case p.kind == TypeBinIVFFlat:
		return bitEffort(params)
	}
	return Effort{}, nil
}

func defaultEf(k int) int { return max(k+k/4, minDefaultEf) }

func checkEf(ef, k int) error {
	if ef != 0 && ef < k {
		return errs.Invalid("ef(%d) should be larger than k(%d)", ef, k)
	}
	return nil
}
