package querynode

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/errs"
	"github.com/gyr-db/gyr/pkg/index"
)

func TestEffort(t *testing.T) {
	for _, c := range []struct {
		params map[string]string
		want   index.Effort
		ok     bool
	}{
		{nil, index.Effort{}, true},
		{map[string]string{"ef": "", "level": "2"}, index.Effort{}, true},
		{map[string]string{"ef": "64", "nprobe": "32"}, index.Effort{Ef: 64, NProbe: 32}, true},
		{map[string]string{"nprobe": `"16"`}, index.Effort{NProbe: 16}, true},
		{map[string]string{"nprobe": "many"}, index.Effort{}, false},
		{map[string]string{"ef": "1.5"}, index.Effort{}, false},
	} {
		got, err := effort(c.params)
		if (err == nil) != c.ok || c.ok && got != c.want || !c.ok && !errs.Is(err, errs.InvalidParameter) {
			t.Errorf("%v: %+v, %v", c.params, got, err)
		}
	}
}
