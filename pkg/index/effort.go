package index

import (
	"strconv"
	"strings"

	"github.com/gyr-db/gyr/pkg/errs"
)

// ParamTargetRecall asks a search for a share of the true nearest, in place of an effort: Gyr's own, beyond the API.
const ParamTargetRecall = "target_recall"

// SearchParams lists the names of the parameters that say how hard a search shall try, of all types of index.
func SearchParams() []string {
	return []string{
		ParamEf, ParamNProbe, ParamSearchList, ParamBeamWidth, ParamReorderK, ParamRefineK, ParamQueryBits, ParamQueryBitsOld,
		ParamEmptyBuckets, ParamSearchK, ParamTargetRecall, "level",
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
	if e.RefineK, err = refineParam(params); err != nil {
		return e, err
	}
	e.TargetRecall, err = targetParam(params)
	return e, err
}

// targetParam reads target_recall; 0 when there is none.
func targetParam(params map[string]string) (float64, error) {
	text := strings.Trim(params[ParamTargetRecall], `"`)
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0 && v < 1) {
		return 0, errs.Invalid("param '%s' (%s) should be a number between 0 and 1, such as 0.95", ParamTargetRecall, text)
	}
	for _, name := range []string{ParamEf, ParamNProbe, ParamSearchList, ParamReorderK} {
		if params[name] != "" {
			return 0, errs.Invalid("param '%s' chooses '%s' by itself: give one of them", ParamTargetRecall, name)
		}
	}
	return v, nil
}
