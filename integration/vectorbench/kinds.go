package vectorbench

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/index"
)

// kind is what the sweep has to know about a family of index types.
type kind struct {
	prefix   string
	sweep    string // the search parameter that buys recall with time; empty: the type has none
	floorK   bool   // the parameter is at least k
	defaults func(rows, dim int) map[string]string
}

// kinds are looked through from the top; the first prefix that fits is taken.
func kinds() []kind {
	return []kind{
		{"HNSW", index.ParamEf, true, graphDefaults},
		{"AUTOINDEX", index.ParamEf, true, noDefaults},
		{"DISKANN", "search_list", true, noDefaults},
		{"ANNOY", index.ParamEf, true, noDefaults},
		{"IVF_PQ", index.ParamNProbe, false, func(rows, dim int) map[string]string {
			p := listDefaults(rows, dim)
			p["m"] = strconv.Itoa(subquantisers(dim))
			return p
		}},
		{"IVF", index.ParamNProbe, false, listDefaults},
		{"SCANN", index.ParamNProbe, false, listDefaults},
		{"FLAT", "", false, noDefaults},
	}
}

func noDefaults(_, _ int) map[string]string { return map[string]string{} }

func graphDefaults(_, _ int) map[string]string {
	return map[string]string{index.ParamM: "16", index.ParamEfConstruction: "200"}
}

// listDefaults takes as many lists as the power of two nearest to the root of the rows.
func listDefaults(rows, _ int) map[string]string {
	n := 1 << int(math.Round(math.Log2(math.Sqrt(float64(max(rows, 1))))))
	return map[string]string{index.ParamNList: strconv.Itoa(n)}
}

// subquantisers is about one per four dimensions, and divides dim.
func subquantisers(dim int) int {
	for d := 4; d > 1; d-- {
		if dim%d == 0 {
			return dim / d
		}
	}
	return dim
}

func kindOf(indexType string) (kind, error) {
	for _, k := range kinds() {
		if strings.HasPrefix(indexType, k.prefix) {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("index type %s is none that can be swept here: float vectors are measured with HNSW*, IVF_*, SCANN, DISKANN, AUTOINDEX or FLAT", indexType)
}

// spec is the specification to build, with defaults filled in and checked.
func (k kind) spec(cfg Config, set *Set) (index.Spec, error) {
	params := k.defaults(set.Rows(), set.Dim)
	maps.Copy(params, cfg.Params)
	spec := index.Spec{Type: cfg.Index, Metric: set.Metric, Dim: set.Dim, Params: params}
	if err := index.CheckSpec(spec); err != nil {
		return spec, fmt.Errorf("index %s with parameters %v: %w", cfg.Index, params, err)
	}
	return spec, nil
}

// ladder returns the efforts to try, rising.
func (k kind) ladder(cfg Config) []int {
	switch {
	case k.sweep == "":
		return []int{0}
	case len(cfg.Efforts) > 0:
		return cfg.Efforts
	}
	var out []int
	low := 1
	if k.floorK {
		low = cfg.K
	}
	// Steps of about a sixth keep the error of a straight line between two points small.
	for e := low; e <= 4096*max(1, low/10); {
		out = append(out, e)
		e = max(e+1, e*7/6)
	}
	return out
}
