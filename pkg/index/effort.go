package index

import (
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
)

// SearchParams lists the names of the parameters that say how hard a search shall try, of all types of index.
func SearchParams() []string {
	return []string{
		ParamEf, ParamNProbe, ParamSearchList, ParamBeamWidth, ParamReorderK, ParamRefineK, ParamQueryBits, ParamQueryBitsOld,
		ParamEmptyBuckets, "level",
	}
}

// AnyEffort reads the search parameters of all types of index, for a search over indexes that are not known yet; an index
// takes what is its own, and checks ranges.
func AnyEffort(params map[string]string) (Effort, error) {
	var e Effort
	for _, p := range []struct {
		name string
		to   *int
	}{
		{ParamEf, &e.Ef},
		{ParamNProbe, &e.NProbe},
		{ParamSearchList, &e.SearchList},
		{ParamReorderK, &e.ReorderK},
		{ParamQueryBitsOld, &e.QueryBits},
		{ParamQueryBits, &e.QueryBits},
	} {
		v := strings.Trim(params[p.name], `"`)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return e, errs.Invalid("%s %q is not a whole number", p.name, v)
		}
		*p.to = n
	}
	var err error
	e.RefineK, err = refineParam(params)
	return e, err
}
