package index

import (
	"slices"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/schema"
	"github.com/gyr-db/gyr/pkg/vector"
	"github.com/gyr-db/gyr/pkg/vector/hnsw"
	"github.com/gyr-db/gyr/pkg/vector/kernel"
)

// ElemOf returns how vectors of a field's type are stored; false for types that are no vectors of one length.
func ElemOf(t schema.Type) (vector.Elem, bool) {
	switch t {
	case schema.FloatVector:
		return kernel.F32, true
	case schema.Float16Vector:
		return kernel.F16, true
	case schema.BFloat16Vector:
		return kernel.BF16, true
	case schema.Int8Vector:
		return kernel.I8, true
	case schema.BinaryVector:
		return kernel.Bit, true
	}
	return 0, false
}

// typeName is the API's name of the type of fields whose vectors are stored as e.
func typeName(e vector.Elem) string {
	for _, t := range [...]schema.Type{schema.FloatVector, schema.Float16Vector, schema.BFloat16Vector, schema.Int8Vector, schema.BinaryVector} {
		if of, _ := ElemOf(t); of == e {
			return t.String()
		}
	}
	return e.String()
}

// IsScan reports whether an index type looks at every row and has nothing to be built.
func IsScan(kind string) bool { return kind == TypeFlat || kind == TypeBinFlat }

// SpecOf returns the specification of an index over a field.
func SpecOf(f *schema.Field, kind, metric string, params map[string]string) Spec {
	elem, _ := ElemOf(f.Type) // a field of another type fails in every use of the specification
	return Spec{Type: kind, Metric: metric, Dim: f.Dim, Elem: elem, Params: params}
}

// maxDim is the most components that a row of a kind may have.
func maxDim(e vector.Elem) int {
	if e == kernel.Bit {
		return 8 * hnsw.MaxDim
	}
	return hnsw.MaxDim
}

// served lists the index types that are built.
var served = [...]string{TypeHNSW, TypeHNSWSQ, TypeHNSWPQ, TypeHNSWPRQ, TypeIVFFlat, TypeIVFSQ8, TypeIVFPQ, TypeIVFRaBitQ, TypeScaNN, TypeDiskANN, TypeFlat, TypeBinIVFFlat, TypeBinFlat}

// known reports whether the API has an index type.
func known(kind string) bool {
	return kind == TypeAnnoy || slices.Contains(served[:], kind) || slices.Contains(planned[:], kind)
}

// instead names the index types that are built over rows of a kind.
func instead(e vector.Elem) string {
	var names []string
	for _, kind := range served {
		if takes(kind, e) {
			names = append(names, kind)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// takes reports whether an index type of the API works over rows of a kind.
func takes(kind string, e vector.Elem) bool {
	binary := strings.HasPrefix(kind, "BIN_") || kind == "MINHASH_LSH"
	switch {
	case strings.HasPrefix(kind, "SPARSE_"):
		return false
	case e == kernel.Bit || binary:
		return e == kernel.Bit && binary
	case e == kernel.I8:
		return kind == TypeFlat || kind == TypeHNSW
	}
	return true
}

// metrics lists every metric with its name in the API.
var metrics = [...]vector.Metric{
	vector.L2, vector.IP, vector.Cosine, vector.Hamming, vector.Jaccard, vector.Substructure, vector.Superstructure,
}

// parseMetric reads the metric of an index over rows of a kind; COSINE, and HAMMING for bits, when there is none.
func parseMetric(name string, e vector.Elem) (vector.Metric, error) {
	family := "float"
	switch e {
	case kernel.Bit:
		family = "binary"
	case kernel.I8:
		family = "int"
	}
	if name == "" {
		if e == kernel.Bit {
			return vector.Hamming, nil
		}
		return vector.Cosine, nil
	}
	for _, m := range metrics {
		if m.String() == strings.ToUpper(name) && m.Binary() == (e == kernel.Bit) {
			return m, nil
		}
	}
	return 0, errs.Invalid("%s vector index does not support metric type: %s", family, name)
}

// Ascending tells whether a smaller score is the better one by the metric of that name.
func Ascending(metric string) bool {
	for _, m := range metrics {
		if m.String() == metric {
			return !m.Greater()
		}
	}
	return false
}
