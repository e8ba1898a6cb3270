package index

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/vector/ivf"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// Index types of inverted lists.
const (
	TypeIVFFlat   = "IVF_FLAT"
	TypeIVFSQ8    = "IVF_SQ8"
	TypeIVFPQ     = "IVF_PQ"
	TypeIVFRaBitQ = "IVF_RABITQ"
	TypeScaNN     = "SCANN"
)

// Parameters of inverted lists.
const (
	ParamNList       = "nlist"
	ParamNProbe      = "nprobe"
	ParamPQM         = "m"
	ParamNBits       = "nbits"
	ParamSubDim      = "sub_dim"
	ParamWithRawData = "with_raw_data"
	ParamRefine      = "refine"
	ParamRefineType  = "refine_type"
	ParamRefineK     = "refine_k"
	ParamReorderK    = "reorder_k"
	ParamQueryBits   = "rbq_bits_query"
	// ParamQueryBitsOld is another name that guides use for ParamQueryBits.
	ParamQueryBitsOld  = "rbq_query_bits"
	ParamEmptyBuckets  = "max_empty_result_buckets"
	maxQueryBits       = 8
	maxNBits           = 24
	maxParts           = 65536
	defaultNList       = 128
	defaultNProbe      = 8
	defaultNBits       = 8
	defaultSubDim      = 2
	defaultEmptyBucket = 2
)

// refineTypes lists what IVF_RABITQ may be asked to hold for a second look. Gyr looks at the raw vectors whatever it says.
var refineTypes = [...]string{"SQ6", "SQ8", "FP16", "BF16", "FP32"}

// listTypes lists the types of inverted lists.
var listTypes = [...]string{TypeIVFFlat, TypeIVFSQ8, TypeIVFPQ, TypeIVFRaBitQ, TypeScaNN}

// listParams are the parameters of a type of inverted lists.
type listParams struct {
	nlist       int
	parts, bits int // of a product quantiser
	subDim      int
	raw         bool
	refine      bool
	refineType  string
}

func isLists(kind string) bool { return slices.Contains(listTypes[:], kind) }

// lists reads the parameters of a type of inverted lists.
func (p *plain) lists(kind string, params map[string]string) (err error) {
	p.kind = kind
	l := &p.list
	if l.nlist, err = intParam(params, ParamNList, defaultNList, 1, ivf.MaxLists); err != nil {
		return err
	}
	switch kind {
	case TypeIVFPQ:
		return p.product(params)
	case TypeScaNN:
		l.bits = 4
		if l.raw, err = boolParam(params, ParamWithRawData, true); err != nil {
			return err
		}
		if l.subDim, err = intParam(params, ParamSubDim, defaultSubDim, 1, maxParts); err != nil {
			return err
		}
		if p.dim%l.subDim != 0 {
			return errs.Invalid("dimension must be able to be divided by %s, dimension: %d, %s: %d", ParamSubDim, p.dim, ParamSubDim, l.subDim)
		}
		l.parts = p.dim / l.subDim
	case TypeIVFRaBitQ:
		if l.refine, err = boolParam(params, ParamRefine, false); err != nil {
			return err
		}
		l.refineType = strings.ToUpper(strings.Trim(params[ParamRefineType], `"`))
		if l.refineType != "" && !slices.Contains(refineTypes[:], l.refineType) {
			return errs.Invalid("invalid refine type: %s, expected one of %s", params[ParamRefineType], strings.Join(refineTypes[:], ", "))
		}
	}
	return nil
}

// product reads the parameters of IVF_PQ.
func (p *plain) product(params map[string]string) (err error) {
	l := &p.list
	if params[ParamPQM] == "" {
		return errs.Invalid("param '%s' not exist in json", ParamPQM)
	}
	if l.parts, err = intParam(params, ParamPQM, 0, 1, maxParts); err != nil {
		return err
	}
	if p.dim%l.parts != 0 {
		return errs.Invalid("dimension must be able to be divided by `m`, dimension: %d, m: %d", p.dim, l.parts)
	}
	if l.bits, err = intParam(params, ParamNBits, defaultNBits, 1, maxNBits); err != nil {
		return err
	}
	if l.bits > ivf.MaxBits {
		return errs.Input(errs.Unimplemented, "%s %d of %s is not supported by this server; use 1 to %d", ParamNBits, l.bits, p.kind, ivf.MaxBits)
	}
	return nil
}

// resolved returns the parameters with what was filled in.
func (p *plain) resolved() map[string]string {
	l := &p.list
	out := map[string]string{ParamNList: strconv.Itoa(l.nlist)}
	switch p.kind {
	case TypeIVFPQ:
		out[ParamPQM], out[ParamNBits] = strconv.Itoa(l.parts), strconv.Itoa(l.bits)
	case TypeScaNN:
		out[ParamSubDim], out[ParamWithRawData] = strconv.Itoa(l.subDim), strconv.FormatBool(l.raw)
	case TypeIVFRaBitQ:
		out[ParamRefine] = strconv.FormatBool(l.refine)
		if l.refineType != "" {
			out[ParamRefineType] = l.refineType
		}
	}
	return out
}

// listEffort reads the search parameters of inverted lists.
func (p *plain) listEffort(params map[string]string, k int) (e Effort, err error) {
	if e.NProbe, err = intParam(params, ParamNProbe, 0, 1, ivf.MaxLists); err != nil {
		return Effort{}, err
	}
	if _, err = intParam(params, ParamEmptyBuckets, defaultEmptyBucket, 1, ivf.MaxLists); err != nil {
		return Effort{}, err
	}
	switch p.kind {
	case TypeScaNN:
		if e.ReorderK, err = intParam(params, ParamReorderK, 0, 1, math.MaxInt32); err != nil {
			return Effort{}, err
		}
		if e.ReorderK != 0 && e.ReorderK < k {
			return Effort{}, errs.Invalid("%s(%d) should be larger than k(%d)", ParamReorderK, e.ReorderK, k)
		}
	case TypeIVFRaBitQ:
		if e.RefineK, err = refineParam(params); err != nil {
			return Effort{}, err
		}
		name := ParamQueryBits
		if params[name] == "" {
			name = ParamQueryBitsOld
		}
		if e.QueryBits, err = intParam(params, name, 0, 0, maxQueryBits); err != nil {
			return Effort{}, err
		}
	}
	return e, nil
}

// refineParam reads refine_k; 0 when there is none.
func refineParam(params map[string]string) (float64, error) {
	text := strings.Trim(params[ParamRefineK], `"`)
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(v):
		return 0, errs.Invalid("Type conflict in json: param '%s' (%s) should be a number", ParamRefineK, text)
	case v < 1 || v > math.MaxFloat32:
		return 0, errs.Invalid("Out of range in json: param '%s' (%s) should be in range [1, %g]", ParamRefineK, text, math.MaxFloat32)
	}
	return v, nil
}

func boolParam(params map[string]string, name string, def bool) (bool, error) {
	switch text := strings.ToLower(strings.Trim(params[name], `"`)); text {
	case "":
		return def, nil
	case "true", "false":
		return text == "true", nil
	}
	return false, errs.Invalid("Type conflict in json: param '%s' (%s) should be a boolean", name, params[name])
}

// listRowBytes estimates the bytes per row of an index of lists.
func (p *plain) listRowBytes() int {
	switch p.kind {
	case TypeIVFPQ, TypeScaNN:
		bytes := p.list.parts
		if p.list.bits == 4 {
			bytes = (bytes + 1) / 2
		}
		return bytes + 4
	case TypeIVFRaBitQ:
		return (p.dim+7)/8 + 8
	default:
		return kernel.CodeStride(p.dim) + 4
	}
}
