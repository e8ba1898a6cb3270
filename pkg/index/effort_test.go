package index

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
)

func TestAnyEffort(t *testing.T) {
	for _, c := range []struct {
		params map[string]string
		want   Effort
		ok     bool
	}{
		{nil, Effort{}, true},
		{map[string]string{"ef": "", "level": "2"}, Effort{}, true},
		{map[string]string{"ef": "64", "nprobe": "32"}, Effort{Ef: 64, NProbe: 32}, true},
		{map[string]string{"nprobe": `"16"`}, Effort{NProbe: 16}, true},
		{map[string]string{"refine_k": "2", "rbq_bits_query": "4", "reorder_k": "50"}, Effort{RefineK: 2, QueryBits: 4, ReorderK: 50}, true},
		{map[string]string{"rbq_query_bits": "8"}, Effort{QueryBits: 8}, true},
		{map[string]string{"nprobe": "many"}, Effort{}, false},
		{map[string]string{"ef": "1.5"}, Effort{}, false},
	} {
		got, err := AnyEffort(c.params)
		if (err == nil) != c.ok || c.ok && got != c.want || !c.ok && !errs.Is(err, errs.InvalidParameter) {
			t.Errorf("%v: %+v, %v", c.params, got, err)
		}
	}
}
