package index

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Index types of the API.
const (
	TypeFlat = "FLAT"
	TypeAuto = "AUTOINDEX"

	TypeBinFlat    = "BIN_FLAT"
	TypeBinIVFFlat = "BIN_IVF_FLAT"
)

// planned lists the index types that the API knows and Gyr does not build: other codes, graphs on disks, other kinds of
// vectors and other hardware. One is never built in the place of another: what a type promises about memory and disks
// matters as much as its results.
var planned = [...]string{
	"DISKANN_RABITQ", "AISAQ",
	gpuCagra, gpuIVFFlat, gpuIVFPQ, gpuBruteForce,
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
	graph  graphParams
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
	case isGraph(p.kind):
		out.Params = p.resolvedGraph()
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
	case isGraph(kind):
		return p, p.graphs(kind, spec.Params)
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
		p.kind, p.graph.m, p.graph.efc = TypeHNSW, autoM, autoEfC
	case kind == TypeBinFlat || kind == TypeBinIVFFlat:
		return p, p.bits(kind, spec.Params)
	case slices.Contains(planned[:], kind):
		return p, refusal(spec.Type, p.elem)
	default:
		return p, errs.Invalid("invalid index type: %s", spec.Type)
	}
	return p, nil
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
	target, err := targetParam(params)
	if err != nil {
		return Effort{}, err
	}
	if target > 0 {
		return Effort{TargetRecall: target}, nil
	}
	switch {
	case isGraph(p.kind):
		return p.graphEffort(params, k)
	case p.kind == TypeDiskANN:
		return diskEffort(params, k)
	case isLists(p.kind):
		return p.listEffort(params, k)
	case p.kind == TypeBinIVFFlat:
		return bitEffort(params)
	}
	return Effort{}, nil
}
